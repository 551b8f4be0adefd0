//go:build linux

package capture_test

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"riposte/agent/capture"
	"riposte/agent/event"
)

// TestLateRequests are requests of io_uring that do not end: one that was told to say
// nothing of its success, and one that waits, which is told of twice.
func TestLateRequests(t *testing.T) {
	dir := t.TempDir()
	fifo, file := filepath.Join(dir, "fifo"), filepath.Join(dir, "file")
	require.NoError(t, unix.Mkfifo(fifo, 0o600))
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	src := open(t, capture.Options{OwnEvents: true, Types: []event.Type{event.Openat}})
	c := newCaller(dir, json.NewEncoder(io.Discard))
	r := c.newRing()
	defer unix.Close(r.fd)
	const atCWD = unix.AT_FDCWD
	r.submit(sqe{op: 18, flags: 1 << 6, fd: atCWD, addr: uint64(c.str(file)), opFlags: unix.O_RDONLY}, false)
	r.submit(sqe{op: 18, fd: atCWD, addr: uint64(c.str(fifo)), opFlags: unix.O_RDONLY}, false)

	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	silent, waiting := 0, 0
	require.NoError(t, src.Run(ctx, func(e *event.Event) {
		if e.Type != event.Openat {
			return
		}
		switch e.File.NameRaw {
		case file:
			silent++
			require.False(t, e.Pending)
			require.Zero(t, e.Ret)
		case fifo:
			if e.Ret == -int64(unix.EINPROGRESS) {
				waiting++
				require.True(t, e.Pending)
				require.Equal(t, int64(-1), e.File.Num)
				go func() { // the other end lets it go on
					if fd, err := unix.Open(fifo, unix.O_WRONLY, 0); err == nil {
						unix.Close(fd)
					}
				}()
				return
			}
			if e.Compat || e.File.Flags&unix.O_WRONLY != 0 {
				return // the other end's own
			}
			require.False(t, e.Pending)
			require.GreaterOrEqual(t, e.Ret, int64(0))
			require.Equal(t, fifo, e.File.RealPath)
			require.Equal(t, event.KindPipe, e.File.Kind)
			cancel()
		}
	}))
	require.ErrorIs(t, ctx.Err(), context.Canceled)
	require.Equal(t, 1, silent)
	require.Equal(t, 1, waiting)
	require.Zero(t, src.Lost()["uring_unmatched"])
}
