package enrich

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"riposte/agent/event"
)

// TestContainerOfCgroup1 puts a real process into a container's cgroup of a v1
// hierarchy, while it stays in the root of v2, and lets it fork.
func TestContainerOfCgroup1(t *testing.T) {
	const hierarchy = "/sys/fs/cgroup/pids"
	var fs unix.Statfs_t
	if err := unix.Statfs(hierarchy, &fs); err != nil || fs.Type != unix.CGROUP_SUPER_MAGIC || os.Getuid() != 0 {
		t.Skip("needs root and a cgroup v1 hierarchy, which hosts with cgroup v2 alone do not have")
	}
	dir := filepath.Join(hierarchy, "riposte", hex64)
	require.NoError(t, os.MkdirAll(dir, 0o755))
	cmd := exec.Command("/bin/cat")
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	cmd.Stdout = io.Discard
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		stdin.Close()
		_ = cmd.Wait()
		require.Eventually(t, func() bool { return unix.Rmdir(dir) == nil }, 10*time.Second, 10*time.Millisecond)
		_ = unix.Rmdir(filepath.Dir(dir))
	})
	pid := int32(cmd.Process.Pid)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(int(pid))), 0))

	r := &asked{}
	table, err := New(Options{Runtimes: r})
	require.NoError(t, err)
	require.NoError(t, table.Snapshot())
	p := table.byPID[pid]
	require.Equal(t, hex64, p.Container.ID)
	require.Zero(t, p.Container.CgroupID)
	require.Contains(t, r.ids, hex64)

	id, ok := table.cgroups.id("/")
	require.True(t, ok)
	me := event.Task{PID: pid, TID: pid, PPID: p.PPID, StartNS: p.StartNS, CgroupID: id, Comm: "cat"}
	at := p.StartNS + second
	table.do(forkOf(me, 1<<22+1, at, id)) // no kernel has such a pid
	child := table.do(event.Event{Type: event.Close, KernelNS: at, Task: task(1<<22+1, pid, at, id, "cat")}).Proc
	require.Equal(t, hex64, child.Container.ID, "it inherits what /proc says of its parent")
	require.Equal(t, 2, table.containers[hex64].held)
	table.do(event.Event{Type: event.ProcExit, KernelNS: at + 1, Task: task(1<<22+1, pid, at, id, "cat")})
	table.do(event.Event{Type: event.Close, KernelNS: at + 60*second, Task: me})
	require.Equal(t, 1, table.containers[hex64].held)
}
