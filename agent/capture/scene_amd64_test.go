//go:build linux

package capture_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"riposte/agent/capture"
	"riposte/agent/event"
)

func open(t testing.TB, o capture.Options) capture.Source {
	src, err := capture.Open(o)
	if err != nil && os.Getenv("CI") != "true" {
		t.Skip("needs eBPF: ", err)
	}
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, src.Close()) })
	return src
}

// scene is the folder and the sockets that the watched program finds.
type scene struct {
	dir    string
	v4, v6 int
	// overlay says that dir/overlay is one; a machine may not allow it.
	overlay error
}

// mountOverlay makes dir/overlay of a program below and one on top.
func mountOverlay(t *testing.T, dir string) error {
	binary, err := os.ReadFile("/bin/true")
	require.NoError(t, err)
	in := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"lower", "upper", "work", "overlay"} {
		require.NoError(t, os.Mkdir(in(name), 0o755))
	}
	require.NoError(t, os.WriteFile(in("lower/image"), binary, 0o755))
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", in("lower"), in("upper"), in("work"))
	if err := unix.Mount("overlay", in("overlay"), "overlay", 0, options); err != nil {
		return err
	}
	t.Cleanup(func() { require.NoError(t, unix.Unmount(in("overlay"), unix.MNT_DETACH)) })
	require.NoError(t, os.WriteFile(in("overlay/dropped"), binary, 0o755))
	return nil
}

func newScene(t *testing.T) scene {
	s := scene{dir: t.TempDir()}
	in := func(name string) string { return filepath.Join(s.dir, name) }
	require.NoError(t, os.WriteFile(in("file"), []byte("x"), 0o644))
	require.NoError(t, os.MkdirAll(in("sub"), 0o755))
	require.NoError(t, os.MkdirAll(in(strings.Repeat("d/", 150)), 0o755))
	require.NoError(t, os.WriteFile(in(strings.Repeat("d/", 150)+"file"), nil, 0o644))
	require.NoError(t, os.Symlink(in("file"), in("link")))
	require.NoError(t, os.Symlink("/bin/true", in("truelink")))
	require.NoError(t, unix.Mkfifo(in("fifo"), 0o600))
	s.overlay = mountOverlay(t, s.dir)
	listen := func(network, at string) net.Listener {
		l, err := net.Listen(network, at)
		require.NoError(t, err)
		t.Cleanup(func() { l.Close() })
		return l
	}
	s.v4 = listen("tcp4", "127.0.0.1:0").Addr().(*net.TCPAddr).Port
	s.v6 = listen("tcp6", "[::1]:0").Addr().(*net.TCPAddr).Port
	listen("unix", in("sock"))
	require.NoError(t, os.Symlink(in("sock"), in("socklink")))
	return s
}

// watched is all that the program and its children did, in order.
type watched struct {
	t      *testing.T
	pid    int32
	dir    string
	events []event.Event
}

// watch runs the program of calls under capture until its exit has been seen.
func watch(t *testing.T, src capture.Source, s scene) *watched {
	return watchProgram(t, src, s.dir, callsIn+"="+s.dir, fmt.Sprintf("PORTS=%d,%d", s.v4, s.v6))
}

// watchProgram runs this test binary as the program that the environment says.
func watchProgram(t *testing.T, src capture.Source, dir string, env ...string) *watched {
	w := &watched{t: t, dir: dir}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self)
	cmd.Dir = dir
	cmd.Env = env
	cmd.Stderr = os.Stderr
	family := map[int32]bool{int32(os.Getpid()): true}
	ended := make(chan error, 1)
	go func() {
		err := cmd.Run()
		var exit *exec.ExitError
		if !assertAs(err, &exit) || exit.ExitCode() != 3 {
			cancel() // the program has said why
		}
		ended <- err
	}()
	require.NoError(t, src.Run(ctx, func(e *event.Event) {
		if e.Fork != nil && family[e.Task.PID] {
			family[e.Fork.PID] = true
		}
		if !family[e.Task.PID] {
			return
		}
		c := *e
		c.Args = slices.Clone(e.Args)
		c.Data = slices.Clone(e.Data)
		w.events = append(w.events, c)
		if e.Type == event.ProcExit && e.Task.PPID == int32(os.Getpid()) && e.Ret == 3<<8 {
			cancel()
		}
	}))
	require.ErrorIs(t, ctx.Err(), context.Canceled, "the program's exit was not seen; lost: %v", src.Lost())
	require.EqualError(t, <-ended, "exit status 3")
	w.pid = int32(cmd.Process.Pid)
	return w
}

func assertAs(err error, target **exec.ExitError) bool {
	e, ok := err.(*exec.ExitError) //nolint:errorlint // exec.Cmd.Run returns it bare
	*target = e
	return ok
}

// only finds the one event of the program that fits.
func (w *watched) only(what string, fits func(*event.Event) bool) *event.Event {
	w.t.Helper()
	var found []*event.Event
	for i := range w.events {
		if e := &w.events[i]; e.Task.PID == w.pid && fits(e) {
			found = append(found, e)
		}
	}
	require.Len(w.t, found, 1, what)
	return found[0]
}

func (w *watched) opened(t event.Type, name string, ok bool) *event.Event {
	w.t.Helper()
	return w.only(fmt.Sprint(t, " ", name), func(e *event.Event) bool {
		return e.Type == t && e.File.NameRaw == name && (e.Ret >= 0) == ok && !e.Compat
	})
}

func args(e *event.Event) map[string]string {
	all := map[string]string{}
	for _, a := range e.Args {
		switch {
		case a.Text != "":
			all[a.Name] = a.Text
		case a.IsInt:
			all[a.Name] = strconv.FormatInt(a.Int, 10)
		default:
			all[a.Name] = ""
		}
	}
	return all
}
