//go:build linux

package enrich_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"riposte/agent/capture"
	"riposte/agent/enrich"
	"riposte/agent/event"
)

const stateVariable = "RIPOSTE_TEST_STATE"

// TestMain is, in a helper process, a program that changes everything about itself.
func TestMain(m *testing.M) {
	if dir := os.Getenv(stateVariable); dir != "" {
		runtime.LockOSThread()
		if err := changeAll(dir); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// changeAll makes one call of each kind and opens a file after it, by whose name the
// test knows where it is. It is the process's first thread that does it.
func changeAll(dir string) error {
	// The test attaches and reads the process table now.
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return err
	}
	name := [16]byte{'r', 'e', 'n', 'a', 'm', 'e', 'd'}
	steps := []struct {
		name string
		do   func() error
	}{
		{"nothing", func() error { return nil }},
		{"name", func() error { return unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(&name)), 0, 0, 0) }},
		{"chdir", func() error { return unix.Chdir(dir) }},
		{"fchdir", func() error {
			fd, err := unix.Open("/usr", unix.O_DIRECTORY|unix.O_RDONLY, 0)
			if err != nil {
				return err
			}
			return unix.Fchdir(fd)
		}},
		{"setsid", func() error { _, err := unix.Setsid(); return err }},
		{"unshare", func() error { return unix.Unshare(unix.CLONE_NEWUTS) }},
		{"cgroup", func() error {
			return os.WriteFile(filepath.Join(os.Getenv("GROUP"), "cgroup.procs"), []byte(strconv.Itoa(os.Getpid())), 0)
		}},
		{"capset", func() error {
			header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
			var data [2]unix.CapUserData
			if err := unix.Capget(&header, &data[0]); err != nil {
				return err
			}
			data[0].Effective &^= 1 << unix.CAP_SYS_TIME
			return unix.Capset(&header, &data[0])
		}},
		{"setgid", func() error { return rawCall(unix.SYS_SETRESGID, 4321, 4322, 4323) }},
		{"setuid", func() error { return rawCall(unix.SYS_SETRESUID, 1234, 1235, 0) }},
	}
	for _, s := range steps {
		if err := s.do(); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		_, _ = os.Open("/no such file/" + s.name)
	}
	return nil
}

// rawCall changes the calling thread alone, which is the first.
func rawCall(number, a, b, c uintptr) error {
	if _, _, errno := unix.RawSyscall(number, a, b, c); errno != 0 {
		return errno
	}
	return nil
}

// init keeps the first thread for the helper.
func init() {
	if os.Getenv(stateVariable) != "" {
		runtime.LockOSThread()
	}
}

// TestStateFollowsRealCalls compares the table with what the helper did to itself.
func TestStateFollowsRealCalls(t *testing.T) {
	src, err := capture.Open(capture.Options{})
	if err != nil && os.Getenv("CI") != "true" {
		t.Skip("needs eBPF: ", err)
	}
	require.NoError(t, err)
	defer src.Close()
	box := newSandbox(t)
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), stateVariable+"="+dir, "GROUP="+filepath.Join(box.dir, "child"))
	cmd.Dir = "/etc"
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	out := &strings.Builder{}
	cmd.Stdout = out
	require.NoError(t, cmd.Start())
	pid := int32(cmd.Process.Pid)
	require.Eventually(t, func() bool {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		return strings.HasPrefix(string(b), os.Args[0])
	}, 10*time.Second, time.Millisecond)

	table, err := enrich.New(enrich.Options{})
	require.NoError(t, err)
	require.NoError(t, table.Snapshot())
	_, err = stdin.Write([]byte("go\n"))
	require.NoError(t, err)
	require.NoError(t, cmd.Wait(), out.String())

	seen := map[string]event.Process{}
	changed := map[string]bool{}
	var last uint64
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	require.NoError(t, src.Run(ctx, func(e *event.Event) {
		table.Apply(e)
		if e.Task.PID != pid {
			return
		}
		if name, ok := strings.CutPrefix(e.File.NameRaw, "/no such file/"); ok {
			seen[name] = *e.Proc
			changed[name] = e.Clock.Since(e.Proc, last)
			last = e.Clock.Now()
		}
		if e.Type == event.ProcExit {
			cancel()
		}
	}))
	own, err := unix.Getpgid(0)
	require.NoError(t, err)
	start := seen["nothing"]
	require.Equal(t, []any{"/etc", "/", int32(own), uint32(0), uint32(0)}, []any{start.CWD, start.Root, start.PGID, start.EUID, start.EGID})
	require.Contains(t, start.Env, stateVariable+"="+dir)
	require.True(t, start.Caps.Known)
	require.NotZero(t, start.Caps.Effective&(1<<unix.CAP_SYS_TIME))
	require.NotZero(t, start.Namespaces.Mount)
	require.NotZero(t, start.ExeMtimeNS)
	require.Equal(t, "enrich.test", start.Comm)

	want := start
	for _, step := range []struct {
		name string
		set  func()
	}{
		{"name", func() { want.Comm = "renamed" }},
		{"chdir", func() { want.CWD = dir }},
		{"fchdir", func() { want.CWD = "/usr" }},
		{"setsid", func() { want.SID, want.PGID, want.VPGID, want.TTY = pid, pid, pid, 0 }},
		{"unshare", func() { want.Namespaces.UTS = seen["unshare"].Namespaces.UTS }},
		{"cgroup", func() { want.Container = seen["cgroup"].Container }},
		{"capset", func() { want.Caps.Effective &^= 1 << unix.CAP_SYS_TIME }},
		{"setgid", func() { want.GID, want.EGID = 4321, 4322 }},
		{"setuid", func() { want.UID, want.EUID, want.Caps = 1234, 1235, seen["setuid"].Caps }},
	} {
		step.set()
		got := seen[step.name]
		require.EqualExportedValues(t, want, got, step.name)
		require.True(t, changed[step.name], step.name)
	}
	require.NotEqual(t, start.Namespaces.UTS, seen["unshare"].Namespaces.UTS)
	require.Equal(t, box.id, seen["cgroup"].Container.ID)
	require.Same(t, event.Host, seen["unshare"].Container)
	require.Zero(t, seen["setuid"].Caps.Effective, "whoever is no longer root has lost them")
	require.Equal(t, syscall.WaitStatus(0), cmd.ProcessState.Sys())
}
