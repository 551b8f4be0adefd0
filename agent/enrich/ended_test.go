//go:build linux

package enrich

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/agent/event"
)

// TestASnapshotHasNoZombies: nothing would ever say that they have ended.
func TestASnapshotHasNoZombies(t *testing.T) {
	c := exec.Command("true")
	require.NoError(t, c.Start())
	files := &procFiles{root: "/proc"}
	pid := int32(c.Process.Pid)
	require.Eventually(t, func() bool {
		st, ok := parseStat(files.read(pid, "stat"))
		return ok && st.ended
	}, 20*time.Second, time.Millisecond)
	tab, err := New(Options{CgroupRoot: t.TempDir()})
	require.NoError(t, err)
	require.NoError(t, tab.Snapshot())
	require.NotContains(t, tab.byPID, pid)
	require.Contains(t, tab.byPID, int32(os.Getpid()))
	require.NoError(t, c.Wait())
}

// TestTheDeadAreBoundedInBytes: each has left as much text as it can.
func TestTheDeadAreBoundedInBytes(t *testing.T) {
	tab, err := New(Options{Recording: &Recording{}})
	require.NoError(t, err)
	const each, n = 8 << 10, 10000
	for pid := range int32(n) {
		task := event.Task{PID: pid + 10, TID: pid + 10, StartNS: uint64(pid + 10), Comm: "x"}
		tab.Apply(&event.Event{Type: event.Execve, Task: task, KernelNS: 1, Exec: &event.Exec{Args: []string{strings.Repeat("a", each)}}})
		tab.Apply(&event.Event{Type: event.ProcExit, Task: task, KernelNS: 1})
	}
	require.LessOrEqual(t, tab.endedBytes, maxEndedBytes)
	require.Greater(t, tab.endedBytes, maxEndedBytes-2*each)
	forgotten := tab.Counts()["process_forgotten_early"]
	require.Positive(t, forgotten)
	require.Len(t, tab.exited, n-int(forgotten))
	tab.forget(uint64(time.Hour))
	require.Zero(t, tab.endedBytes)
	require.Empty(t, tab.exited)
}

func TestOwnIsInherited(t *testing.T) {
	tab, err := New(Options{Recording: &Recording{}, Self: 7})
	require.NoError(t, err)
	fork := func(parent, child int32) {
		tab.Apply(&event.Event{
			Type: event.Clone, Task: event.Task{PID: parent, TID: parent, StartNS: uint64(parent)}, KernelNS: 1,
			Fork: &event.Fork{PID: child, PPID: parent, StartNS: uint64(child)},
		})
	}
	fork(7, 8)
	fork(8, 9)
	fork(6, 10)
	tab.Apply(&event.Event{Type: event.ProcExit, Task: event.Task{PID: 8, TID: 8, StartNS: 8}, KernelNS: 2})
	fork(9, 11)
	for pid, own := range map[int32]bool{7: false, 9: true, 10: false, 11: true} {
		require.Equal(t, own, tab.byPID[pid].Own, "%d", pid)
	}
	tab.join(tab.byPID[11], &container{c: &event.Container{ID: "c"}})
	require.False(t, tab.byPID[11].Own, "who goes into a container is seen")
}
