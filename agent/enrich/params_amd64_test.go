//go:build linux

package enrich_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"riposte/agent/capture"
	"riposte/agent/enrich"
	"riposte/agent/event"
)

// TestParamsOfForksAndExecs compares what the table adds with what the process reads of
// itself.
func TestParamsOfForksAndExecs(t *testing.T) {
	src, err := capture.Open(capture.Options{})
	if err != nil && os.Getenv("CI") != "true" {
		t.Skip("needs eBPF: ", err)
	}
	require.NoError(t, err)
	defer src.Close()
	table, err := enrich.New(enrich.Options{})
	require.NoError(t, err)
	require.NoError(t, table.Snapshot())

	// It runs until it was looked at: of one that has ended, cgroups v1 are not known.
	box := newSandbox(t)
	gate := filepath.Join(t.TempDir(), "gate")
	require.NoError(t, unix.Mkfifo(gate, 0o600))
	script := "cd /usr; (/bin/true); (/no/such); read x <" + gate + "; exit 0"
	cmd := box.start(script)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	pid := int32(cmd.Process.Pid)
	ended := map[int32]bool{}
	seen := map[string]int{}
	require.NoError(t, src.Run(ctx, func(e *event.Event) {
		table.Apply(e)
		texts := func(names ...string) (all []string) {
			for _, name := range names {
				a, ok := e.Arg(name)
				require.True(t, ok, name)
				all = append(all, a.Text)
			}
			return all
		}
		switch {
		case e.Task.PID == pid && e.Fork != nil:
			seen["fork"]++
			// Whoever manages this machine may move it meanwhile.
			before, got := groupsIn(t, cmd.Process.Pid), texts("exe", "args", "cwd", "cgroups")
			require.Equal(t, []string{"/bin/sh", "-c " + script, "/usr"}, got[:3])
			require.Contains(t, []string{before, groupsIn(t, cmd.Process.Pid)}, got[3])
			var names []string
			for _, a := range e.Params() {
				names = append(names, a.Name)
			}
			require.True(t, strings.HasPrefix(strings.Join(names, " "), "res exe args tid pid ptid cwd fdlimit "), names)
		case e.Task.PPID == pid && (e.Type == event.Execve || e.Type == event.Execveat):
			if e.Ret < 0 {
				seen["failed exec"]++
			} else {
				seen["exec"]++
			}
			require.Equal(t, []string{"/usr"}, texts("cwd"))
		case e.Task.PPID == pid && e.Type == event.ProcExit:
			if ended[e.Task.PID] = true; len(ended) == 2 {
				require.NoError(t, os.WriteFile(gate, []byte("go\n"), 0))
			}
		case e.Task.PID == pid && e.Type == event.ProcExit:
			cancel()
		}
	}))
	require.Equal(t, map[string]int{"fork": 2, "exec": 1, "failed exec": 1}, seen)
}

// groupsIn are a process's cgroups by what the kernel says of it: v1 by controller, and
// for those of v2 the unified path.
func groupsIn(t *testing.T, pid int) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	require.NoError(t, err)
	root, err := enrich.CgroupRoot()
	require.NoError(t, err)
	unified, err := os.ReadFile(filepath.Join(root, "cgroup.controllers"))
	require.NoError(t, err)
	by := map[string]string{}
	for line := range strings.Lines(string(text)) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		names := strings.Split(f[1], ",")
		if f[0] == "0" {
			names = strings.Fields(string(unified))
		}
		for _, name := range names {
			by[name] = f[2]
		}
	}
	var all []string
	for _, c := range [][2]string{{"cpuset", "cpuset"}, {"cpu", "cpu"}, {"cpuacct", "cpuacct"}, {"io", "blkio"}, {"io", "io"}, {"memory", "memory"}} {
		if path, ok := by[c[1]]; ok {
			all = append(all, c[0]+"="+path)
		}
	}
	require.NotEmpty(t, all)
	return strings.Join(all, " ")
}
