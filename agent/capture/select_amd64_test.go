//go:build linux

package capture_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"riposte/agent/capture"
	"riposte/agent/enrich"
	"riposte/agent/event"
)

// until hands this process's events to see until the name `last` has been opened, which
// the types must include.
func until(t *testing.T, src capture.Source, last string, see func(*event.Event)) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	require.NoError(t, src.Run(ctx, func(e *event.Event) {
		switch {
		case e.File.NameRaw == last:
			cancel()
		case e.Task.PID == int32(os.Getpid()):
			see(e)
		}
	}))
	require.ErrorIs(t, ctx.Err(), context.Canceled)
}

// TestSetTypes changes what is wanted while the programs run.
func TestSetTypes(t *testing.T) {
	dir := t.TempDir()
	src := open(t, capture.Options{OwnEvents: true, Types: []event.Type{event.Openat}}).(*capture.Live)
	unlink := func(name string) { require.Error(t, unix.Unlink(filepath.Join(dir, name))) }
	unlink("before")
	require.NoError(t, src.SetTypes([]event.Type{event.Openat, event.Unlink, event.Unlinkat, event.Unknown, event.Brk}))
	unlink("while")
	require.NoError(t, src.SetTypes([]event.Type{event.Openat}))
	unlink("after")
	require.NoError(t, unix.Chdir(dir)) // of the state set
	last := filepath.Join(dir, "the end")
	_, err := os.Open(last)
	require.Error(t, err)
	var names []string
	state := 0
	until(t, src, last, func(e *event.Event) {
		switch {
		case e.Type == event.Unlink || e.Type == event.Unlinkat:
			a, ok := e.Arg(map[event.Type]string{event.Unlink: "path", event.Unlinkat: "name"}[e.Type])
			require.True(t, ok)
			names = append(names, filepath.Base(a.Text))
		case e.Type == event.Chdir && e.Change.CWD == dir:
			state++
		default:
			require.True(t, e.Type == event.Openat || e.Type.State() || e.Type == event.Unknown, e.Type)
		}
	})
	require.Equal(t, []string{"while"}, names)
	require.Equal(t, 1, state)
	require.NoError(t, src.Close())
	require.NoError(t, src.SetTypes(nil), "after Close")
}

// TestRolesAreFollowed asks for sends alone: which end the socket is comes from the
// connect, that is not reported.
func TestRolesAreFollowed(t *testing.T) {
	src := open(t, capture.Options{OwnEvents: true, Types: []event.Type{event.Openat, event.Sendto}})
	c := newCaller(t.TempDir(), nil)
	server, port := c.bound(unix.SOCK_STREAM)
	require.NoError(t, unix.Listen(int(server), 1))
	client := c.socket(unix.AF_INET, unix.SOCK_STREAM)
	require.NoError(t, unix.Connect(int(client), &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}))
	accepted, _, err := unix.Accept(int(server))
	require.NoError(t, err)
	for _, fd := range []int{int(client), accepted} {
		require.NoError(t, unix.Sendto(fd, []byte("x"), 0, nil))
		defer unix.Close(fd)
	}
	defer unix.Close(int(server))
	last := filepath.Join(t.TempDir(), "the end")
	_, err = os.Open(last)
	require.Error(t, err)
	roles := map[int64]event.Role{}
	until(t, src, last, func(e *event.Event) {
		require.NotContains(t, []event.Type{event.Connect, event.Accept, event.Accept4, event.Listen}, e.Type)
		if e.Type == event.Sendto && e.File.Kind == event.KindIPv4 {
			roles[e.File.Num] = e.File.Socket.Role
		}
	})
	require.Equal(t, map[int64]event.Role{int64(client): event.RoleClient, int64(accepted): event.RoleServer}, roles)
}

// TestThreads are events only where rules ask for them.
func TestThreads(t *testing.T) {
	for _, wanted := range []bool{false, true} {
		types := []event.Type{event.Openat}
		if wanted {
			types = append(types, event.Clone, event.Clone3)
		}
		src := open(t, capture.Options{OwnEvents: true, Types: types})
		started, end := make(chan struct{}), make(chan struct{})
		const many = 40 // more than idle ones can be
		for range many {
			go func() {
				runtime.LockOSThread() // not given back, so the thread ends
				started <- struct{}{}
				<-end
			}()
		}
		for range many {
			<-started
		}
		close(end)
		require.NoError(t, exec.Command("/bin/true").Run())
		last := filepath.Join(t.TempDir(), "the end")
		_, err := os.Open(last)
		require.Error(t, err)
		threads := 0
		until(t, src, last, func(e *event.Event) {
			a, ok := e.Arg("flags")
			if !ok || e.Fork != nil || e.Type != event.Clone && e.Type != event.Clone3 || e.Ret < 0 {
				return
			}
			require.Contains(t, a.Text, "CLONE_THREAD")
			threads++
		})
		require.Equal(t, wanted, threads > 0)
		require.NoError(t, src.Close())
	}
}

// TestMoveToACgroup moves a process that is told of its cgroup at once.
func TestMoveToACgroup(t *testing.T) {
	root, err := enrich.CgroupRoot()
	require.NoError(t, err)
	group := filepath.Join(root, "riposte-test-move")
	src := open(t, capture.Options{OwnEvents: true, Types: []event.Type{event.Openat}})
	sleep := exec.Command("/bin/sleep", "60")
	require.NoError(t, sleep.Start())
	require.NoError(t, os.Mkdir(group, 0o755))
	t.Cleanup(func() {
		_ = sleep.Process.Kill()
		_ = sleep.Wait()
		require.Eventually(t, func() bool { return unix.Rmdir(group) == nil }, 5*time.Second, 5*time.Millisecond)
	})
	var st unix.Stat_t
	require.NoError(t, unix.Stat(group, &st))
	require.NoError(t, os.WriteFile(filepath.Join(group, "cgroup.procs"), []byte(num(sleep.Process.Pid)), 0))
	last := filepath.Join(t.TempDir(), "the end")
	_, err = os.Open(last)
	require.Error(t, err)
	var start uint64
	made, moved := 0, 0
	until(t, src, last, func(e *event.Event) {
		switch {
		case e.Fork != nil && e.Fork.PID == int32(sleep.Process.Pid):
			start = e.Fork.StartNS
		case e.Cgroup != nil && e.Cgroup.ID == st.Ino:
			require.Equal(t, "/riposte-test-move", e.Cgroup.Path)
			if e.Move == nil {
				made++
				return
			}
			moved++
			require.Equal(t, &event.Move{PID: int32(sleep.Process.Pid), StartNS: start}, e.Move)
		}
	})
	require.Equal(t, []int{1, 1}, []int{made, moved})
}
