//go:build linux

package capture

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"riposte/agent/event"
	"riposte/bpf"
)

// begun and ended are the two records of a request of io_uring.
func begun(id int64, typ event.Type, name string) []byte {
	h := head(bpf.SyscallWireKindWIRE_FILE, typ, id)
	h.Uring = 1
	return wire(bpf.SyscallWireFile{Call: bpf.SyscallWireCall{Header: h, NameLen: [2]uint16{uint16(len(name))}}}, name)
}

func ended(id uint64, typ event.Type, ret int64, path string) []byte {
	h := head(bpf.SyscallWireKindWIRE_DONE, typ, ret)
	h.Uring = 1
	return wire(bpf.SyscallWireSocket{
		Call: bpf.SyscallWireCall{Header: h, Args: [6]uint64{id}}, Object: bpf.SyscallWireObject{Imode: unix.S_IFREG, Ino: 3, PathLen: uint16(len(path))},
	}, path)
}

func TestRequestsAreJoined(t *testing.T) {
	d := testDecoder(t)
	var e event.Event
	require.ErrorIs(t, d.record(begun(7, event.Openat, "/a"), &e), errKept)
	require.ErrorIs(t, d.record(begun(8, event.Openat, "/b"), &e), errKept)
	require.NoError(t, d.record(ended(8, event.Openat, 5, "/real"), &e))
	require.Equal(t, "/b", e.File.NameRaw)
	require.Equal(t, "/real", e.File.RealPath)
	require.Equal(t, int64(5), e.File.Num)
	require.False(t, d.late(5e9+requestTimeout-1, &e))
	require.True(t, d.late(5e9+requestTimeout, &e))
	require.Equal(t, "/a", e.File.NameRaw)
	require.True(t, e.Pending)
	require.False(t, d.late(5e9+requestTimeout, &e), "told once")
	require.NoError(t, d.record(ended(7, event.Openat, -2, ""), &e))
	require.False(t, e.Pending)
	require.Equal(t, "/a", e.File.NameRaw)
	require.Zero(t, d.pending.unmatched)

	// The beginning was lost: the file itself is still known.
	require.NoError(t, d.record(ended(9, event.Openat, 6, "/real"), &e))
	require.Equal(t, "/real", e.File.RealPath)
	require.Equal(t, uint64(1), d.pending.unmatched)
	// The end was lost: the kernel uses the request's memory again.
	require.ErrorIs(t, d.record(begun(7, event.Openat, "/a"), &e), errKept)
	require.ErrorIs(t, d.record(begun(7, event.Openat, "/c"), &e), errKept)
	require.NoError(t, d.record(ended(7, event.Openat, 5, "/c"), &e))
	require.Equal(t, "/c", e.File.NameRaw)
	require.Equal(t, uint64(2), d.pending.unmatched)
}

// TestRequestsAreBounded submits without end.
func TestRequestsAreBounded(t *testing.T) {
	d := testDecoder(t)
	var e event.Event
	for id := range int64(5 * maxRequests) {
		require.ErrorIs(t, d.record(begun(id+1, event.Openat, "/a"), &e), errKept)
		if id%2 == 0 {
			require.NoError(t, d.record(ended(uint64(id+1), event.Openat, 3, "/a"), &e))
		}
		require.LessOrEqual(t, len(d.pending.byID), maxRequests)
		require.LessOrEqual(t, len(d.pending.all), 2*maxRequests)
		require.LessOrEqual(t, len(d.pending.young), 2*maxRequests)
	}
	require.Equal(t, uint64(5*maxRequests/2-maxRequests), d.pending.unmatched)
}
