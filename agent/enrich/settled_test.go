package enrich_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/agent/enrich"
	"riposte/agent/event"
)

func TestSettled(t *testing.T) {
	table, err := enrich.New(enrich.Options{Recording: &enrich.Recording{}})
	require.NoError(t, err)
	apply := func(pid, ppid int32) *event.Process {
		e := event.Event{Type: event.Openat, KernelNS: 1, Task: event.Task{PID: pid, TID: pid, PPID: ppid, StartNS: uint64(pid)}}
		table.Apply(&e)
		return e.Proc
	}
	apply(20, 10)
	child := apply(30, 20)
	require.False(t, table.Settled(child), "its grandparent is not known yet")
	apply(10, 0)
	apply(20, 10)
	require.True(t, table.Settled(child))
	other := *child
	require.False(t, table.Settled(&other), "a copy")
	for metadata, want := range map[event.Metadata]bool{
		event.MetadataNone: true, event.MetadataAwaited: false, event.MetadataLate: false, event.MetadataKnown: true,
	} {
		child.Container = &event.Container{ID: "x", Metadata: metadata}
		require.Equal(t, want, table.Settled(child), metadata)
	}
	table.Apply(&event.Event{Type: event.ProcExit, KernelNS: 2, Task: event.Task{PID: 30, TID: 30, PPID: 20, StartNS: 30}})
	require.False(t, table.Settled(child), "it has ended")
}
