//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
)

// limits are what the agent must hold: a rate without a loss, and its memory.
func limits(ctx context.Context, o options, w io.Writer) error {
	if o.rate > 0 {
		if err := noLoss(ctx, o, w); err != nil {
			return fmt.Errorf("events without a loss: %w", err)
		}
	}
	if o.processes > 0 {
		if err := memory(ctx, o, w); err != nil {
			return fmt.Errorf("memory: %w", err)
		}
	}
	return nil
}

// noLoss leaves the agent the last CPU and lets all others make events.
func noLoss(ctx context.Context, o options, w io.Writer) (err error) {
	last := runtime.NumCPU() - 1
	if last == 0 {
		return errors.New("needs two CPUs")
	}
	_, end, err := startAgent(ctx, o, "taskset", "-c", strconv.Itoa(last))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	before, err := metrics()
	if err != nil {
		return err
	}
	type answer struct {
		n   float64
		err error
	}
	answers := make(chan answer, last)
	each := strconv.Itoa(o.rate / last)
	for cpu := range last {
		count := perSecond(o.each, "/proc/self/exe", helperName, "rate", strconv.FormatInt(o.each.Milliseconds(), 10), each, strconv.Itoa(cpu))
		go func() {
			n, err := count(ctx)
			answers <- answer{n, err}
		}()
	}
	rate := 0.0
	for range last {
		a := <-answers
		rate, err = rate+a.n, errors.Join(err, a.err)
	}
	if err != nil {
		return err
	}
	after, err := metrics()
	if err != nil {
		return err
	}
	const seen, lost = "falcosecurity_scap_n_evts_total", "falcosecurity_scap_n_drops_total"
	fmt.Fprintf(w, "\n%.0f opens a second on %d of %d CPUs (asked for: %d), the agent on one: %.0f events looked at or lost, %.0f lost\n",
		rate, last, runtime.NumCPU(), o.rate, after[seen]-before[seen], after[lost]-before[lost])
	return nil
}

// memory is what the agent holds when so many processes run.
func memory(ctx context.Context, o options, w io.Writer) (err error) {
	sleepers := exec.CommandContext(ctx, "sh", "-c", `i=0; while [ $i -lt "$0" ]; do sleep 1000 & i=$((i+1)); done; echo; wait`, strconv.Itoa(o.processes))
	sleepers.SysProcAttr = group()
	out, err := sleepers.StdoutPipe()
	if err != nil {
		return err
	}
	pid, end, err := startAgent(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	empty, err := resident(pid)
	if err != nil {
		return err
	}
	if err := sleepers.Start(); err != nil {
		return err
	}
	defer func() {
		_ = killGroup(sleepers.Process.Pid)
		_ = sleepers.Wait() // it was killed
	}()
	if _, err := out.Read(make([]byte, 1)); err != nil {
		return fmt.Errorf("start %d processes: %w", o.processes, err)
	}
	var all map[string]float64
	err = await(ctx, "the agent to know them", func() bool {
		all, err = metrics()
		return err != nil || all[`riposte_agent_table_size{table="processes"}`] >= float64(o.processes)
	})
	if err != nil {
		return err
	}
	full, err := resident(pid)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "\n%.0f MiB resident with %.0f processes, %.0f MiB before\n", full, all[`riposte_agent_table_size{table="processes"}`], empty)
	return nil
}

var rss = regexp.MustCompile(`VmRSS:\s+([0-9]+) kB`)

// resident is a process's memory in MiB.
func resident(pid int) (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	m := rss.FindSubmatch(b)
	if m == nil {
		return 0, fmt.Errorf("process %d says nothing of its memory: %s", pid, strings.TrimSpace(string(b)))
	}
	kb, err := strconv.ParseFloat(string(m[1]), 64)
	return kb / 1024, err
}
