//go:build linux

package capture_test

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"riposte/agent/capture"
	"riposte/agent/event"
)

// TestSwappedDescriptor tries what docs/threat-model.md says cannot be promised: another thread
// puts a harmless file in the descriptor's place between the open and our look. It
// logs how often that went well. Whatever we see must be one of the two files, and
// nobody may be able to do it at will.
func TestSwappedDescriptor(t *testing.T) {
	dir := t.TempDir()
	secret, harmless := filepath.Join(dir, "secret"), filepath.Join(dir, "harmless")
	for _, name := range []string{secret, harmless} {
		require.NoError(t, os.WriteFile(name, nil, 0o600))
	}
	src := open(t, capture.Options{OwnEvents: true, RingBytes: 128 << 20, Types: []event.Type{event.Openat}})
	c := newCaller(dir, json.NewEncoder(io.Discard))
	other := c.open(harmless, unix.O_RDONLY)
	lowest := c.open(harmless, unix.O_RDONLY)
	must("close", unix.Close(int(lowest)), nil)

	var stop atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		for !stop.Load() {
			_, _, _ = unix.RawSyscall(unix.SYS_DUP2, other, lowest, 0)
			_, _, _ = unix.RawSyscall(unix.SYS_CLOSE, lowest, 0, 0)
		}
	}()
	const tries = 100_000
	name := c.str(secret)
	for range tries {
		if fd := c.call(unix.SYS_OPENAT, no, atCWD, name, unix.O_RDONLY); fd >= 0 && uintptr(fd) != lowest {
			must("close", unix.Close(int(fd)), nil)
		}
	}
	stop.Store(true)
	<-done
	last := filepath.Join(dir, "the end")
	c.call(unix.SYS_OPENAT, no, atCWD, c.str(last), unix.O_RDONLY)

	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	aimed, swapped, gone := 0, 0, 0
	require.NoError(t, src.Run(ctx, func(e *event.Event) {
		switch e.File.NameRaw {
		case last:
			cancel()
		case secret:
			if e.Ret != int64(lowest) {
				return
			}
			aimed++
			switch e.File.RealPath {
			case secret:
			case harmless:
				swapped++
			case "":
				gone++
			default:
				require.Fail(t, "neither file", e.File.RealPath)
			}
		}
	}))
	require.ErrorIs(t, ctx.Err(), context.Canceled)
	t.Logf("of %d opens, %d got the descriptor that was aimed at; %d of them showed the other file, %d none", tries, aimed, swapped, gone)
	require.Less(t, swapped+gone, aimed, "not one of the opens that were aimed at told the truth")
}
