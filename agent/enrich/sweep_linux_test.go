//go:build linux

package enrich

import (
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/agent/event"
)

// TestAnExitThatWasLost: a process whose end nobody has told leaves the table, one whose
// end may still be on its way does not, and a living one stays.
func TestAnExitThatWasLost(t *testing.T) {
	start := func() *exec.Cmd {
		c := exec.Command("sleep", "600")
		require.NoError(t, c.Start())
		t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
		return c
	}
	lives, ends := start(), start()
	tab, err := New(Options{CgroupRoot: t.TempDir()})
	require.NoError(t, err)
	for _, c := range []*exec.Cmd{lives, ends} {
		pid := int32(c.Process.Pid)
		st, ok := parseStat(tab.files.read(pid, "stat"))
		require.True(t, ok)
		tab.Apply(&event.Event{Type: event.Execve, Exec: &event.Exec{}, Task: event.Task{PID: pid, TID: pid, StartNS: st.start + 5}})
	}
	gone := tab.byPID[int32(ends.Process.Pid)]
	require.NoError(t, ends.Process.Kill())
	_ = ends.Wait()

	kernel := uint64(0)
	look := func(at time.Time) {
		kernel += sweepEvery
		tab.Apply(&event.Event{Type: event.Open, KernelNS: kernel, TimeNS: at.UnixNano(), Task: event.Task{PID: int32(lives.Process.Pid), StartNS: tab.byPID[int32(lives.Process.Pid)].StartNS}})
	}
	before := time.Now()
	for range 4 { // twice as many looks as there are processes
		look(before)
	}
	require.False(t, gone.Exited, "its exit may be on its way: events are not that far yet")
	require.NotEmpty(t, tab.sweeper.missing)
	look(time.Now().Add(time.Minute))
	require.True(t, gone.Exited)
	require.Equal(t, uint64(1), tab.Counts()["exit_missed"], "once, however often it was missed")
	for range 4 {
		look(time.Now().Add(time.Minute))
	}
	require.Contains(t, tab.byPID, int32(lives.Process.Pid))
	require.Len(t, tab.byPID, 1)
	require.Equal(t, uint64(1), tab.Counts()["exit_missed"])

	// The pid is another process's by now.
	other := start()
	pid := int32(other.Process.Pid)
	tab.Apply(&event.Event{Type: event.Execve, KernelNS: kernel, Exec: &event.Exec{}, Task: event.Task{PID: pid, TID: pid, StartNS: 7}})
	for range 4 {
		look(before)
	}
	look(time.Now().Add(time.Minute))
	require.NotContains(t, tab.byPID, pid)

	// An exit that comes late is no second end.
	waits := start()
	pid = int32(waits.Process.Pid)
	st, _ := parseStat(tab.files.read(pid, "stat"))
	task := event.Task{PID: pid, TID: pid, StartNS: st.start}
	tab.Apply(&event.Event{Type: event.Execve, KernelNS: kernel, Exec: &event.Exec{}, Task: task})
	require.NoError(t, waits.Process.Kill())
	_ = waits.Wait()
	for range 4 {
		look(before)
	}
	tab.Apply(&event.Event{Type: event.ProcExit, KernelNS: kernel, Task: task})
	look(time.Now().Add(time.Minute))
	require.Equal(t, uint64(2), tab.Counts()["exit_missed"])
}
