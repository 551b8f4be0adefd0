package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// cgroup is the cgroup of one cluster: in the unified hierarchy a child for each
// program, and kubepods with the containers below it. On machines where
// controllers are in cgroup v1, runc puts containers into those hierarchies too.
type cgroup struct {
	unified string   // directory in the unified hierarchy
	v1      []string // the directories of the same name in the others
}

func (p place) cgroupName() string { return "riposte-cluster-" + p.name }

// findCgroup says where the cluster's cgroup is, whether it exists or not.
func findCgroup(p place) (cgroup, error) {
	mounts, err := os.Open("/proc/self/mounts")
	if err != nil {
		return cgroup{}, err
	}
	defer mounts.Close()
	var c cgroup
	for lines := bufio.NewScanner(mounts); lines.Scan(); {
		f := strings.Fields(lines.Text())
		dir := filepath.Join(f[1], p.cgroupName())
		switch {
		case f[2] == "cgroup2" && c.unified == "":
			c.unified = dir
		case f[2] == "cgroup" && !slices.Contains(c.v1, dir):
			c.v1 = append(c.v1, dir)
		}
	}
	if c.unified == "" {
		return c, errors.New("no cgroup2 file system is mounted")
	}
	return c, nil
}

// create makes the cgroup in every hierarchy: kubelet wants to find it.
func (c cgroup) create() error {
	for _, dir := range append([]string{c.unified}, c.v1...) {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	return nil
}

// child makes the cgroup of one program, if need be, and opens it: a process can
// be started right into it.
func (c cgroup) child(part string) (*os.File, error) {
	dir := filepath.Join(c.unified, part)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	return os.Open(dir)
}

// find returns the pid of the process in a program's cgroup that was started
// by that program's name, or 0. Children of it (containerd's shims) do not count.
func (c cgroup) find(part string) int {
	for _, pid := range pids(filepath.Join(c.unified, part)) {
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err != nil {
			continue
		}
		name, _, _ := strings.Cut(string(line), "\x00")
		if filepath.Base(name) == part {
			return pid
		}
	}
	return 0
}

// exists says whether anything of the cluster is there, be it an empty directory.
func (c cgroup) exists() bool {
	return slices.ContainsFunc(append([]string{c.unified}, c.v1...), func(dir string) bool {
		_, err := os.Stat(dir)
		return err == nil
	})
}

// holdsUs says whether this very process is in the cluster's cgroup.
func (c cgroup) holdsUs() bool {
	own, err := os.ReadFile("/proc/self/cgroup")
	return err == nil && strings.Contains(string(own), "/"+filepath.Base(c.unified)+"/")
}

// kill ends every process of the cluster and removes its cgroup. It returns when
// nothing is left of both.
func (c cgroup) kill(ctx context.Context) error {
	for ctx.Err() == nil {
		// A process that cgroup v1 has frozen would not even take SIGKILL.
		for _, dir := range c.v1 {
			walk(dir, func(dir string) { _ = os.WriteFile(filepath.Join(dir, "freezer.state"), []byte("THAWED"), 0) })
		}
		if err := os.WriteFile(filepath.Join(c.unified, "cgroup.kill"), []byte("1"), 0); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		left := 0
		for _, dir := range append([]string{c.unified}, c.v1...) {
			walk(dir, func(dir string) {
				if os.Remove(dir) != nil {
					left++
				}
			})
		}
		if left == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
	var stuck []int
	for _, dir := range append([]string{c.unified}, c.v1...) {
		walk(dir, func(dir string) { stuck = append(stuck, pids(dir)...) })
	}
	slices.Sort(stuck)
	return fmt.Errorf("ending its processes: %w; left are %v", ctx.Err(), slices.Compact(stuck))
}

// walk calls do with each directory below dir and with dir, the deepest first.
func walk(dir string, do func(dir string)) {
	var all []string
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			all = append(all, path)
		}
		return nil // a directory that goes while we look is what we want
	})
	for _, dir := range slices.Backward(all) {
		do(dir)
	}
}

func pids(dir string) (all []int) {
	text, _ := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	for field := range strings.FieldsSeq(string(text)) {
		if pid, err := strconv.Atoi(field); err == nil && pid > 0 {
			all = append(all, pid)
		}
	}
	return all
}
