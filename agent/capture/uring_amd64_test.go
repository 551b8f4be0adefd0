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
	silent, waiting := filepath.Join(dir, "silent"), filepath.Join(dir, "waiting")
	for _, name := range []string{silent, waiting} {
		require.NoError(t, os.WriteFile(name, nil, 0o600))
	}
	var gate [2]int
	require.NoError(t, unix.Pipe(gate[:]))
	defer unix.Close(gate[0])
	defer unix.Close(gate[1])
	src := open(t, capture.Options{OwnEvents: true, Types: []event.Type{event.Openat}})
	c := newCaller(dir, json.NewEncoder(io.Discard))
	r := c.newRing()
	defer unix.Close(r.fd)
	const pollAdd, openat, linked, skip = 6, 18, 1 << 2, 1 << 6
	r.put(sqe{op: openat, flags: skip, fd: unix.AT_FDCWD, addr: uint64(c.str(silent)), opFlags: unix.O_RDONLY})
	r.put(sqe{op: pollAdd, flags: linked, fd: int32(gate[0]), opFlags: unix.POLLIN})
	r.put(sqe{op: openat, fd: unix.AT_FDCWD, addr: uint64(c.str(waiting)), opFlags: unix.O_RDONLY})
	r.enter(3, 0)

	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	seen := map[string]int{}
	require.NoError(t, src.Run(ctx, func(e *event.Event) {
		switch name := e.File.NameRaw; {
		case name == silent:
			seen["silent"]++
			require.False(t, e.Pending)
			require.Zero(t, e.Ret)
		case name == waiting && e.Pending:
			seen["waiting"]++
			require.Equal(t, -int64(unix.EINPROGRESS), e.Ret)
			require.Equal(t, int64(-1), e.File.Num)
			_, err := unix.Write(gate[1], []byte("x"))
			require.NoError(t, err)
			r.enter(0, 2) // lets the kernel go on with the request
		case name == waiting:
			seen["done"]++
			require.GreaterOrEqual(t, e.Ret, int64(0))
			require.Equal(t, waiting, e.File.RealPath)
			cancel()
		}
	}))
	require.ErrorIs(t, ctx.Err(), context.Canceled)
	require.Equal(t, map[string]int{"silent": 1, "waiting": 1, "done": 1}, seen)
	require.Zero(t, src.Lost()["uring_unmatched"])
}
