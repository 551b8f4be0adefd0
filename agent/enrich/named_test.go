package enrich

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/agent/event"
)

// TestNamedContainer: a cgroup counts as a container's from when its runtime says so, for
// those that are in it too.
func TestNamedContainer(t *testing.T) {
	table, err := New(Options{Runtimes: &asked{}, Recording: &Recording{Cgroups: map[uint64]string{5: "/default/web", 6: "/default/web/sub", 7: "/default/webs", 8: "/default/web/sub/inner"}}})
	require.NoError(t, err)
	now := uint64(time.Hour)
	in := func(pid int32, cgroup uint64) *event.Container {
		now += 1000
		e := event.Event{Type: event.Open, KernelNS: now, Task: event.Task{PID: pid, TID: pid, StartNS: 1, CgroupID: cgroup}}
		table.Apply(&e)
		return e.Proc.Container
	}
	require.Same(t, event.Host, in(10, 5))
	require.Same(t, event.Host, in(11, 7))

	table.Learn("web", &event.Container{Name: "web", Cgroup: "/default/web", Metadata: event.MetadataKnown}, false)
	web := in(10, 5)
	require.Equal(t, []any{"web", "web", "/default/web", event.MetadataKnown}, []any{web.ID, web.Name, web.Cgroup, web.Metadata})
	require.Same(t, web, in(12, 6))
	require.Same(t, event.Host, in(11, 7), "whose name only begins so")
	c, ok := table.ContainerAt("/default/web/sub")
	require.True(t, ok)
	require.Equal(t, "web", c.ID)

	fork := event.Event{Type: event.ForkCall, KernelNS: now, Task: event.Task{PID: 10, TID: 10, StartNS: 1, CgroupID: 5}, Fork: &event.Fork{PID: 13, StartNS: 1, CgroupID: 5}}
	table.Apply(&fork)
	require.Same(t, web, table.byPID[13].Container)
	require.Same(t, web, in(13, 5))

	table.Learn("web/inner", &event.Container{Cgroup: "/default/web/sub/inner"}, false)
	require.Equal(t, "web/inner", in(14, 8).ID, "the innermost counts")

	id := "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	table.Learn(id, &event.Container{Cgroup: "/default/" + id}, false)
	require.Equal(t, 2, table.Sizes()["named_containers"], "a path that shows its id needs none")
	for _, dir := range []string{"/", "relative", ""} {
		table.Learn("bad", &event.Container{Cgroup: dir}, false)
	}
	require.Equal(t, 2, table.Sizes()["named_containers"])

	for _, pid := range []int32{10, 12, 13, 14} {
		e := event.Event{Type: event.ProcExit, KernelNS: now, Task: event.Task{PID: pid, TID: pid, StartNS: 1, CgroupID: 5}}
		table.Apply(&e)
	}
	now += uint64(10 * time.Minute)
	in(11, 7)
	now += uint64(10 * time.Minute)
	require.Same(t, event.Host, in(20, 7))
	require.Zero(t, table.Sizes()["named_containers"], "the container was forgotten, and its name with it")
}
