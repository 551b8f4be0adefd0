//go:build linux

package capture

import (
	"bytes"
	"encoding/binary"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"riposte/agent/event"
	"riposte/bpf"
)

func testDecoder(t testing.TB) *decoder {
	c, err := newClock()
	require.NoError(t, err)
	return newDecoder(c)
}

func head(kind bpf.SyscallWireKind, call bpf.SyscallWireCall, ret int64) bpf.SyscallWireHeader {
	return bpf.SyscallWireHeader{
		Version: wireVersion, Kind: uint8(kind), Call: uint8(call), Ktime: 5e9, Start: 1e9, Cgroup: 77,
		Ret: ret, Pid: 10, Tid: 11, Ppid: 9, Uid: 1000, Gid: 100, Cpu: 3, Comm: [16]int8{'c', 'a', 't'},
	}
}

// wire is a record as the kernel sends it.
func wire[T any](v T, texts ...string) []byte {
	b := bytes.Clone(unsafe.Slice((*byte)(unsafe.Pointer(&v)), unsafe.Sizeof(v)))
	for _, s := range texts {
		b = append(b, s...)
	}
	binary.NativeEndian.PutUint32(b, uint32(len(b)))
	return b
}

func openRecord() []byte {
	return wire(bpf.SyscallWireOpen{
		Header: head(bpf.SyscallWireKindWIRE_OPEN, bpf.SyscallWireCallCALL_OPENAT, 3),
		Flags:  unix.O_RDONLY | unix.O_CLOEXEC, Dirfd: unix.AT_FDCWD, Imode: unix.S_IFREG | 0o600, Dev: 0xfe00, Ino: 817,
		Marks:   uint32(bpf.SyscallWireMarkMARK_LOWER),
		NameLen: 11, PathLen: 11,
	}, "/etc/shadow", "/etc/shadow")
}

func execRecord() []byte {
	argv := "sh\x00-c\x00\x00id\x00"
	return wire(bpf.ProcessWireExec{
		Header: processHead(head(bpf.SyscallWireKindWIRE_EXEC, bpf.SyscallWireCallCALL_EXECVE, 0)),
		Imode:  unix.S_IFREG | 0o755, Euid: 1000, Loginuid: ^uint32(0), Tty: 34816,
		Marks:   uint32(bpf.SyscallWireMarkMARK_UPPER),
		NameLen: 7, PathLen: 9, CwdLen: 1, ArgsLen: uint16(len(argv)),
	}, "/bin/sh", "/bin/dash", "/", argv)
}

// processHead is the header as the other object's types have it; both come from one
// C structure, which a test of package bpf checks.
func processHead(h bpf.SyscallWireHeader) bpf.ProcessWireHeader {
	return *(*bpf.ProcessWireHeader)(unsafe.Pointer(&h))
}

func connectRecord() []byte {
	r := bpf.SyscallWireConnect{
		Header: head(bpf.SyscallWireKindWIRE_CONNECT, bpf.SyscallWireCallCALL_CONNECT, 0),
		Fd:     4, Family: unix.AF_INET, Protocol: 6, LocalPort: 4000, RemotePort: 443,
		Marks: uint32(bpf.SyscallWireMarkMARK_SOCKET), AddrLen: 16,
	}
	copy(r.Local[:], []byte{10, 0, 0, 1})
	copy(r.Remote[:], []byte{192, 0, 2, 1})
	return wire(r, "\x02\x00\x01\xbb\xc0\x00\x02\x01\x00\x00\x00\x00\x00\x00\x00\x00")
}

func TestDecode(t *testing.T) {
	d := testDecoder(t)
	var e event.Event
	require.NoError(t, d.record(openRecord(), &e))
	require.Equal(t, event.Task{PID: 10, TID: 11, PPID: 9, StartNS: 1e9, UID: 1000, GID: 100, CgroupID: 77, Comm: "cat"}, e.Task)
	require.Equal(t, uint16(3), e.CPU)
	require.Equal(t, uint64(5e9), e.KernelNS)
	a, ok := e.Arg("flags")
	require.True(t, ok)
	require.Equal(t, "O_RDONLY|O_CLOEXEC|FD_LOWER_LAYER", a.Text)

	require.NoError(t, d.record(execRecord(), &e))
	require.Equal(t, []string{"sh", "-c", "", "id"}, e.Exec.Args)
	require.True(t, e.Exec.UpperLayer)
	require.False(t, e.Exec.Writable) // root's file, others may not write
	require.Zero(t, e.File)

	require.NoError(t, d.record(connectRecord(), &e))
	require.Equal(t, "10.0.0.1:4000->192.0.2.1:443", e.File.Name)
	require.Nil(t, e.Exec)
}

func TestDecodeErrors(t *testing.T) {
	d := testDecoder(t)
	var e event.Event
	for name, change := range map[string]func([]byte) []byte{
		"empty":         func([]byte) []byte { return nil },
		"cut":           func(b []byte) []byte { return b[:len(b)-1] },
		"size too big":  func(b []byte) []byte { b[0]++; return b },
		"size too low":  func(b []byte) []byte { b[0], b[1] = 3, 0; return b },
		"other version": func(b []byte) []byte { b[4]++; return b },
		"other kind":    func(b []byte) []byte { b[6] = 99; return b },
		"long text": func(b []byte) []byte {
			b[int(unsafe.Offsetof(bpf.SyscallWireOpen{}.PathLen))]++
			return b
		},
	} {
		require.Error(t, d.record(change(openRecord()), &e), name)
	}
}

func TestFlagText(t *testing.T) {
	for flags, want := range map[uint32]string{
		unix.O_RDONLY: "O_RDONLY",
		unix.O_RDWR | unix.O_CREAT | unix.O_EXCL | unix.O_CLOEXEC: "O_EXCL|O_CREAT|O_RDWR|O_CLOEXEC",
		unix.O_WRONLY | unix.O_SYNC:                               "O_SYNC|O_DSYNC|O_WRONLY",
		unix.O_RDWR | unix.O_TMPFILE:                              "O_DIRECTORY|O_RDWR|O_TMPFILE",
		unix.O_ACCMODE:                                            "O_NONE",
		unix.O_PATH | unix.O_NOFOLLOW | kernelLargeFile:           "O_LARGEFILE|O_RDONLY",
	} {
		require.Equal(t, want, openFlags.text(falcoOpen(flags, false)), "%o", flags)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(openRecord())
	f.Add(execRecord())
	f.Add(connectRecord())
	f.Add(wire(bpf.ProcessWireFork{Header: processHead(head(bpf.SyscallWireKindWIRE_FORK, 0, 5))}))
	f.Add(wire(bpf.ProcessWireExit{Header: processHead(head(bpf.SyscallWireKindWIRE_EXIT, 0, 139))}))
	f.Add(wire(bpf.ProcessWireCgroup{Header: processHead(head(bpf.SyscallWireKindWIRE_CGROUP, 0, 0)), PathLen: 2}, "/a"))
	d := testDecoder(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		var e event.Event
		if d.record(raw, &e) == nil {
			require.Equal(t, e.Cgroup != nil, e.Type == event.Unknown)
		}
		require.LessOrEqual(t, len(d.comms.known), memoryLimit)
	})
}

func BenchmarkDecode(b *testing.B) {
	for name, raw := range map[string][]byte{"open": openRecord(), "exec": execRecord(), "connect": connectRecord()} {
		b.Run(name, func(b *testing.B) {
			d := testDecoder(b)
			var e event.Event
			b.ReportAllocs()
			b.SetBytes(int64(len(raw)))
			for b.Loop() {
				if err := d.record(raw, &e); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
