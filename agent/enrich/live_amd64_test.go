//go:build linux

package enrich_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"riposte/agent/capture"
	"riposte/agent/enrich"
	"riposte/agent/event"
)

// sandbox is a container's cgroup with one below it.
type sandbox struct {
	id, dir string
	t       *testing.T
}

func newSandbox(t *testing.T) sandbox {
	root, err := enrich.CgroupRoot()
	require.NoError(t, err)
	id := make([]byte, 32)
	for i := range id {
		id[i] = byte(rand.Uint32())
	}
	s := sandbox{id: hex.EncodeToString(id), t: t}
	s.dir = filepath.Join(root, "riposte", s.id)
	require.NoError(t, os.MkdirAll(filepath.Join(s.dir, "child"), 0o755))
	t.Cleanup(func() {
		_ = os.WriteFile(filepath.Join(s.dir, "cgroup.kill"), []byte("1"), 0)
		require.Eventually(t, func() bool {
			_ = unix.Rmdir(filepath.Join(s.dir, "child"))
			err := unix.Rmdir(s.dir)
			return err == nil || err == unix.ENOENT
		}, 10*time.Second, 10*time.Millisecond)
		_ = unix.Rmdir(filepath.Dir(s.dir)) // stays when another sandbox is in it
	})
	return s
}

// start runs a shell in the child cgroup, in its own pid namespace.
func (s sandbox) start(script string) *exec.Cmd {
	group, err := os.Open(filepath.Join(s.dir, "child"))
	require.NoError(s.t, err)
	defer group.Close()
	cmd := exec.Command("/bin/sh", "-c", script)
	cmd.Dir = "/etc"
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(group.Fd()), Cloneflags: unix.CLONE_NEWPID}
	require.NoError(s.t, cmd.Start())
	return cmd
}

// TestLive follows real processes: one that ran before the table was made, and one
// whose cgroup has gone when its events are read.
func TestLive(t *testing.T) {
	running, old := newSandbox(t), newSandbox(t)
	gate := filepath.Join(t.TempDir(), "gate")
	require.NoError(t, unix.Mkfifo(gate, 0o600))
	before := running.start(fmt.Sprintf("cd /usr; read x <%s; read y <../etc/hostname; (cat share/../../etc/hostname; sleep 0) & wait", gate))
	cmdline := fmt.Sprintf("/proc/%d/cmdline", before.Process.Pid)
	require.Eventually(t, func() bool {
		b, _ := os.ReadFile(cmdline)
		return strings.HasPrefix(string(b), "/bin/sh")
	}, 10*time.Second, time.Millisecond)

	src, err := capture.Open(capture.Options{})
	if err != nil && os.Getenv("CI") != "true" {
		t.Skip("needs eBPF: ", err)
	}
	require.NoError(t, err)
	defer src.Close()
	table, err := enrich.New(enrich.Options{})
	require.NoError(t, err)
	require.NoError(t, table.Snapshot())
	c, ok := table.Container(running.id)
	require.True(t, ok)
	startedAt := c.StartNS
	require.NotZero(t, startedAt)

	// All this waits in the ring buffer until Run reads it.
	require.NoError(t, os.WriteFile(gate, []byte("go\n"), 0))
	require.NoError(t, before.Wait())
	// Containers that are gone, one of which is younger than the table.
	young := newSandbox(t)
	var pids []int32
	for _, box := range []sandbox{old, young} {
		cmd := box.start("read x </etc/hostname")
		require.NoError(t, cmd.Wait())
		pids = append(pids, int32(cmd.Process.Pid))
		require.Eventually(t, func() bool {
			_ = unix.Rmdir(filepath.Join(box.dir, "child"))
			return unix.Rmdir(box.dir) == nil
		}, 10*time.Second, 5*time.Millisecond)
	}

	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	seen := map[string]bool{}
	require.NoError(t, src.Run(ctx, func(e *event.Event) {
		table.Apply(e)
		require.NotNil(t, e.Proc)
		require.NotNil(t, e.Proc.Container)
		p := e.Proc
		switch {
		case e.Task.PID == int32(before.Process.Pid) && e.File.NameRaw == "../etc/hostname":
			seen["running shell"] = true
			require.Equal(t, "/etc/hostname", e.File.Name)
			require.Equal(t, "/usr", p.CWD)
			require.Equal(t, "/bin/sh", p.Exe)
			require.False(t, p.StartKnown)
			require.Equal(t, int32(1), p.VPID)
			require.Equal(t, e.Task.StartNS, p.StartNS, "the exact start has replaced that of /proc")
			require.Equal(t, "enrich.test", p.Parent.Comm)
			require.Equal(t, running.id, p.Container.ID)
			require.Equal(t, startedAt, p.Container.StartNS)
			require.Equal(t, "/riposte/"+running.id, p.Container.Cgroup)
			var st unix.Stat_t
			require.NoError(t, unix.Stat(running.dir, &st))
			require.Equal(t, st.Ino, p.Container.CgroupID)
			require.NotEqual(t, st.Ino, e.Task.CgroupID)
		case p.Container.ID == running.id && strings.HasPrefix(e.File.NameRaw, "share/.."):
			seen["its child"] = true
			require.Equal(t, "cat", p.Comm)
			require.True(t, p.StartKnown)
			require.Equal(t, "/etc/hostname", e.File.Name)
			require.Equal(t, "sh", p.Parent.Comm)
		case e.Task.PID == pids[0] && e.File.NameRaw == "/etc/hostname":
			require.Equal(t, old.id, p.Container.ID)
			seen["old container"] = true
		case e.Task.PID == pids[1] && e.File.NameRaw == "/etc/hostname":
			require.Equal(t, young.id, p.Container.ID)
			require.Equal(t, "/riposte/"+young.id, p.Container.Cgroup)
			require.NotEqual(t, e.Task.CgroupID, p.Container.CgroupID)
			seen["young container"] = true
		case e.Task.PID == pids[1] && e.Type == event.ProcExit:
			cancel()
		}
	}))
	require.True(t, seen["running shell"])
	require.True(t, seen["its child"])
	require.True(t, seen["old container"])
	require.True(t, seen["young container"])
}
