//go:build linux

package capture_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"riposte/agent/capture"
	"riposte/agent/event"
)

// held lists the BPF objects that this process holds open, as the kernel tells.
func held(t *testing.T) (programs []ebpf.ProgramID, maps []ebpf.MapID, links []link.ID) {
	files, err := os.ReadDir("/proc/self/fdinfo")
	require.NoError(t, err)
	for _, f := range files {
		info, err := os.ReadFile("/proc/self/fdinfo/" + f.Name())
		if err != nil {
			continue // closed meanwhile
		}
		for line := range strings.Lines(string(info)) {
			name, value, _ := strings.Cut(line, ":")
			id, err := strconv.ParseUint(strings.TrimSpace(value), 10, 32)
			if err != nil {
				continue
			}
			switch name {
			case "prog_id":
				programs = append(programs, ebpf.ProgramID(id))
			case "map_id":
				maps = append(maps, ebpf.MapID(id))
			case "link_id":
				links = append(links, link.ID(id))
			}
		}
	}
	return programs, maps, links
}

func TestCloseUnloads(t *testing.T) {
	src := open(t, capture.Options{})
	programs, maps, links := held(t)
	require.GreaterOrEqual(t, len(programs), 4)
	require.GreaterOrEqual(t, len(maps), 3)
	require.GreaterOrEqual(t, len(links), 4)

	done := make(chan error)
	go func() { done <- src.Run(context.Background(), func(*event.Event) {}) }()
	require.NoError(t, src.Close())
	select {
	case err := <-done:
		require.NoError(t, err)
	case <-time.After(5 * time.Second):
		t.Fatal("Run goes on after Close")
	}
	require.NoError(t, src.Close())
	require.Contains(t, src.Lost(), "ring_full")

	// The kernel frees what was closed when a grace period has passed: half a second,
	// more on a busy machine. No garbage collection is needed for it.
	var left string
	gone := func(what string, closer interface{ Close() error }, err error) bool {
		if err == nil {
			_ = closer.Close()
		}
		left = fmt.Sprint(what, ": ", err)
		return errors.Is(err, os.ErrNotExist)
	}
	deadline := time.Now().Add(20 * time.Second)
	for !func() bool {
		for _, id := range links {
			if l, err := link.NewFromID(id); !gone(fmt.Sprint("link ", id), l, err) {
				return false
			}
		}
		for _, id := range programs {
			if p, err := ebpf.NewProgramFromID(id); !gone(fmt.Sprint("program ", id), p, err) {
				return false
			}
		}
		for _, id := range maps {
			if m, err := ebpf.NewMapFromID(id); !gone(fmt.Sprint("map ", id), m, err) {
				return false
			}
		}
		return true
	}() {
		require.True(t, time.Now().Before(deadline), "still loaded: %s", left)
		time.Sleep(50 * time.Millisecond)
	}
	require.NoError(t, goleak.Find(goleak.IgnoreCurrent()))
}

func TestCancelEndsRun(t *testing.T) {
	src := open(t, capture.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- src.Run(ctx, func(*event.Event) {}) }()
	cancel()
	select {
	case err := <-done:
		require.NoError(t, err)
	case <-time.After(5 * time.Second):
		t.Fatal("Run goes on after its context ended")
	}
}

func TestRingSize(t *testing.T) {
	_, err := capture.Open(capture.Options{RingBytes: 5000})
	require.EqualError(t, err, "ring buffer of 5000 bytes: the size must be a power of two of at least 4096")
}

// TestFullRing fills a ring that nobody reads: what does not fit is counted, what says
// least is given up first, and state events find room still. Other processes' events
// are in it too, so it is large enough for what they do meanwhile.
func TestFullRing(t *testing.T) {
	src := open(t, capture.Options{RingBytes: 4 << 20, OwnEvents: true, Types: []event.Type{event.Sendto, event.Unlinkat}})
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
	require.NoError(t, err)
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	fill := func(place string, call func()) {
		for deadline := time.Now().Add(60 * time.Second); src.Lost()[place] == 0; {
			require.True(t, time.Now().Before(deadline), "nothing was lost as %s: %v", place, src.Lost())
			for range 100 {
				call()
			}
		}
	}
	fill("shed_low", func() {
		require.NoError(t, unix.Sendto(pair[0], []byte("x"), unix.MSG_DONTWAIT, nil))
		_, _, err := unix.Recvfrom(pair[1], make([]byte, 1), 0)
		require.NoError(t, err)
	})
	require.Zero(t, src.Lost()["shed"])
	fill("shed", func() { require.ErrorIs(t, unix.Unlink("/nonexistent"), unix.ENOENT) })
	require.NoError(t, exec.Command("/bin/true").Run())
	lost := src.Lost()
	require.Zero(t, lost["ring_full"], lost)
	require.Zero(t, lost["ring_full_state"], lost)
	fill("ring_full_state", func() { require.NoError(t, unix.Chdir(".")) })

	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	require.NoError(t, src.Run(ctx, func(e *event.Event) {
		if e.Exec != nil && e.Task.PPID == int32(os.Getpid()) && e.Exec.Args[0] == "/bin/true" {
			cancel()
		}
	}))
	require.ErrorIs(t, ctx.Err(), context.Canceled)
}

// TestOwnEventsAreLeftOut checks that the agent does not watch itself, but its
// children.
func TestOwnEventsAreLeftOut(t *testing.T) {
	src := open(t, capture.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_, err := os.Open("/nonexistent/own")
	require.Error(t, err)
	require.NoError(t, exec.Command("/bin/sh", "-c", "true </nonexistent/child || true").Run())
	saw := false
	require.NoError(t, src.Run(ctx, func(e *event.Event) {
		require.NotEqual(t, "/nonexistent/own", e.File.NameRaw)
		if e.File.NameRaw == "/nonexistent/child" {
			saw = true
			cancel()
		}
	}))
	require.True(t, saw)
}

// TestWithoutRoot runs this test as nobody: the error says what is missing.
func TestWithoutRoot(t *testing.T) {
	if os.Getenv("RIPOSTE_TEST_NOBODY") != "" {
		_, err := capture.Open(capture.Options{})
		var u *capture.Unavailable
		require.ErrorAs(t, err, &u)
		require.Contains(t, u.Why, "lacks CAP_BPF and CAP_PERFMON: no program can be loaded")
		require.Contains(t, u.Help, "root")
		return
	}
	if os.Getuid() != 0 {
		t.Skip("needs root to become nobody")
	}
	self, err := os.Open("/proc/self/exe")
	require.NoError(t, err)
	defer self.Close()
	cmd := exec.Command("/proc/self/fd/3", "-test.run=^TestWithoutRoot$")
	cmd.Dir = "/"
	cmd.ExtraFiles = []*os.File{self}
	cmd.Env = append(os.Environ(), "RIPOSTE_TEST_NOBODY=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
}
