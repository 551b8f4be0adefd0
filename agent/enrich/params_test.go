package enrich

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/agent/event"
)

// TestGroupsOfUnified is a host that has its controllers in cgroup v2.
func TestGroupsOfUnified(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(root, "cgroup.controllers"), []byte("cpuset cpu io memory hugetlb pids\n"), 0o600))
	table, err := New(Options{CgroupRoot: root, Proc: t.TempDir()})
	require.NoError(t, err)
	table.Apply(&event.Event{Cgroup: &event.Cgroup{ID: 7, Path: "/a/b"}, Task: event.Task{PID: 1}})
	e := event.Event{
		Type: event.ForkCall, Task: event.Task{PID: 1, CgroupID: 7},
		Args: []event.Arg{{Name: "res"}, {Name: "tid"}, {Name: "ptid"}, {Name: "comm"}, {Name: "flags"}},
	}
	table.Apply(&e)
	a, ok := e.Arg("cgroups")
	require.True(t, ok)
	require.Equal(t, "cpuset=/a/b cpu=/a/b io=/a/b memory=/a/b", a.Text)
	_, ok = e.Arg("exe")
	require.False(t, ok, "what is not known is not told")
}
