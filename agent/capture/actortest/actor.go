//go:build linux

// Package actortest has processes that do what a test tells them: the test's own binary,
// started again. A package that imports it is such a process where the environment says
// so, before any of its tests run.
package actortest

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// variable names the pipes of an actor, without ".in" and ".out".
const variable = "RIPOSTE_TEST_ACTOR"

// Actor is a process that waits to be told what to do.
type Actor struct {
	PID     int
	t       testing.TB
	dir     string
	name    string
	in, out *os.File
	answers *bufio.Reader
}

// Start starts one as this process's child, in a cgroup's directory unless that is "".
func Start(t testing.TB, cgroup string) *Actor {
	a := newActor(t, t.TempDir(), "root")
	cmd := command(filepath.Join(a.dir, a.name))
	cmd.Stderr = os.Stderr
	if cgroup != "" {
		group, err := os.Open(cgroup)
		require.NoError(t, err)
		defer group.Close()
		cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(group.Fd())}
	}
	require.NoError(t, cmd.Start())
	a.PID = cmd.Process.Pid
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	a.answer()
	return a
}

func command(pipes string) *exec.Cmd {
	cmd := exec.CommandContext(context.Background(), "/proc/self/exe")
	cmd.Env = []string{variable + "=" + pipes, "GOMAXPROCS=1"}
	return cmd
}

func newActor(t testing.TB, dir, name string) *Actor {
	a := &Actor{t: t, dir: dir, name: name}
	open := func(end string) *os.File {
		path := filepath.Join(dir, name+end)
		require.NoError(t, syscall.Mkfifo(path, 0o666))
		// For both directions, so that it neither waits for the other end nor ends with it.
		f, err := os.OpenFile(path, os.O_RDWR|syscall.O_NONBLOCK, 0)
		require.NoError(t, err)
		t.Cleanup(func() { f.Close() })
		return f
	}
	a.in, a.out = open(".in"), open(".out")
	a.answers = bufio.NewReader(a.out)
	return a
}

// Do has the actor do one thing, and returns what it says when it is done:
//
//	open PATH N, unlink PATH N, mkdir PATH N   the call, N times
//	name TEXT, comm TEXT                       its name, by prctl and by writing to /proc
//	thread TEXT                                the name of another thread
//	uid N                                      its effective user
//	exec TEXT                                  itself again, with another argv[0]
//	exit                                       its end
func (a *Actor) Do(words ...string) string {
	a.t.Helper()
	if words[0] != "exit" {
		a.send(words)
		return a.answer()
	}
	process, err := unix.PidfdOpen(a.PID, 0)
	require.NoError(a.t, err)
	defer unix.Close(process)
	a.send(words)
	require.Eventually(a.t, func() bool {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(process), Events: unix.POLLIN}}, 0)
		return err == nil && n == 1
	}, 30*time.Second, time.Millisecond, "the actor %s does not end", a.name)
	return ""
}

// Spawn has the actor start another one; nil if it cannot.
func (a *Actor) Spawn(name string) *Actor {
	a.t.Helper()
	child := newActor(a.t, a.dir, name)
	a.send([]string{"spawn", filepath.Join(a.dir, name)})
	pid, err := strconv.Atoi(a.answer())
	if err != nil {
		return nil
	}
	child.PID = pid
	a.t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
	child.answer()
	return child
}

func (a *Actor) send(words []string) {
	a.t.Helper()
	_, err := fmt.Fprintln(a.in, strings.Join(words, " "))
	require.NoError(a.t, err)
}

func (a *Actor) answer() string {
	a.t.Helper()
	require.NoError(a.t, a.out.SetReadDeadline(time.Now().Add(30*time.Second)))
	line, err := a.answers.ReadString('\n')
	require.NoError(a.t, err, "the actor %s does not answer", a.name)
	return strings.TrimSpace(line)
}
