//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"
)

// mixed is what a busy machine does, over and over: short programs in a chain, opens that
// fail, connections that nobody takes, names that are strange, and cgroups that live
// for a moment.
const mixed = `
n=0
while :; do
	n=$((n+1))
	ls / | wc -l >/dev/null
	( : </etc/hostname; true </nonexistent ) 2>/dev/null
	( sleep 0.2; exit 3 ) &
	printf 'x' >"$0/$(printf 'a\nb\033[31m%s' $n)"; rm -f "$0"/a*
	if [ -n "$1" ]; then
		c=$1/$(printf '%064x' $n)
		mkdir "$c" && sh -c 'echo 0 >"$0/cgroup.procs"; exec true' "$c"; rmdir "$c"
	fi
done 2>/dev/null`

// sampleEvery is how often a soak prints.
const sampleEvery = 30 * time.Second

// soak runs the agent under load and prints what it holds. It fails when the memory of
// its last third is clearly over that of its second one.
func soak(ctx context.Context, o options, w io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "riposte-soak-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	cgroups, err := cgroupDir()
	if err != nil {
		return err
	}
	pid, end, err := startAgent(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	load := exec.Command("sh", "-c", mixed, dir, cgroups)
	load.SysProcAttr = group()
	if err := load.Start(); err != nil {
		return err
	}
	defer func() {
		_ = killGroup(load.Process.Pid)
		_ = load.Wait() // it was killed
		removeCgroups(cgroups)
	}()
	fmt.Fprintf(w, "%s, load %s; the agent for %s\n", kernel(), loadAverage(), o.soak)
	fmt.Fprintf(w, "%8s %10s %8s %8s %10s %10s %8s %8s %8s %8s %8s\n",
		"seconds", "events", "lost", "RSS MiB", "heap MiB", "goroutines", "procs", "ended", "contain.", "cgroups", "paths")
	var all []float64
	began, ticks := time.Now(), time.NewTicker(sampleEvery)
	defer ticks.Stop()
	for time.Since(began) < o.soak {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticks.C:
		}
		m, err := metrics()
		if err != nil {
			return err
		}
		mib, err := resident(pid)
		if err != nil {
			return err
		}
		all = append(all, mib)
		size := func(table string) float64 { return m[`riposte_agent_table_size{table="`+table+`"}`] }
		fmt.Fprintf(w, "%8.0f %10.0f %8.0f %8.1f %10.1f %10.0f %8.0f %8.0f %8.0f %8.0f %8.0f\n", time.Since(began).Seconds(),
			m["falcosecurity_scap_n_evts_total"], m["falcosecurity_scap_n_drops_total"], mib, m["riposte_agent_heap_bytes"]/(1<<20),
			m["riposte_agent_goroutines"], size("processes"), size("ended_processes"), size("containers"), size("cgroups"), size("cgroup_paths"))
	}
	return flat(all, w)
}

// flat compares the medians of the last and the second third.
func flat(all []float64, w io.Writer) error {
	third := len(all) / 3
	if third == 0 {
		fmt.Fprintln(w, "too short to say whether memory is flat")
		return nil
	}
	middle, last := median(all[third:2*third]), median(all[2*third:])
	fmt.Fprintf(w, "resident memory: median %.1f MiB in the second third, %.1f MiB in the last, largest %.1f MiB\n", middle, last, slices.Max(all))
	if last > middle*1.1+5 {
		return errors.New("memory grows")
	}
	fmt.Fprintln(w, "memory is flat")
	return nil
}

// cgroupDir makes a folder for the load's cgroups.
func cgroupDir() (string, error) {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(mounts)) {
		if f := strings.Fields(line); len(f) > 2 && f[2] == "cgroup2" {
			dir := f[1] + "/riposte-soak-" + strconv.Itoa(os.Getpid())
			return dir, os.Mkdir(dir, 0o755)
		}
	}
	return "", errors.New("no cgroup v2 tree is mounted")
}

func removeCgroups(dir string) {
	below, _ := os.ReadDir(dir) //nolint:errcheck // what is left is empty
	for _, d := range below {
		_ = os.Remove(dir + "/" + d.Name())
	}
	_ = os.Remove(dir)
}
