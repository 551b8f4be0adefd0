//go:build linux

package capture

import (
	"bytes"
	"encoding/binary"
	"strings"
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

func head(kind bpf.SyscallWireKind, typ event.Type, ret int64) bpf.SyscallWireHeader {
	return bpf.SyscallWireHeader{
		Version: wireVersion, Kind: uint8(kind), Call: uint8(typ), Ktime: 5e9, Start: 1e9, Cgroup: 77,
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
	atCWD := int64(unix.AT_FDCWD)
	return wire(bpf.SyscallWireFile{
		Call: bpf.SyscallWireCall{
			Header: head(bpf.SyscallWireKindWIRE_FILE, event.Openat, 3),
			Args:   [6]uint64{uint64(atCWD), 0, unix.O_RDONLY | unix.O_CLOEXEC},
			Marks:  uint32(bpf.SyscallWireMarkMARK_LOWER), NameLen: [2]uint16{11},
		},
		Object: bpf.SyscallWireObject{Imode: unix.S_IFREG | 0o600, Dev: 0xfe00, Ino: 817, PathLen: 11},
	}, "/etc/shadow", "/etc/shadow")
}

func execRecord() []byte {
	argv, env := "sh\x00-c\x00\x00id\x00", "A=1\x00B=\x00"
	return wire(bpf.SyscallWireExec{
		Header:  head(bpf.SyscallWireKindWIRE_EXEC, event.Execve, 0),
		State:   bpf.SyscallWireState{Euid: 1000, Loginuid: ^uint32(0), Tty: 34816, CwdLen: 1, RootLen: 1},
		Imode:   unix.S_IFREG | unix.S_ISUID | 0o755,
		Marks:   uint32(bpf.SyscallWireMarkMARK_UPPER),
		NameLen: 7, PathLen: 9, ArgsLen: uint16(len(argv)), EnvLen: uint16(len(env)),
	}, "/bin/sh", "/bin/dash", "/", "/", argv, env)
}

func connectRecord() []byte {
	r := bpf.SyscallWireSocket{
		Call: bpf.SyscallWireCall{
			Header: head(bpf.SyscallWireKindWIRE_SOCKET, event.Connect, 0), Args: [6]uint64{4},
			Marks: uint32(bpf.SyscallWireMarkMARK_SOCKET | bpf.SyscallWireMarkMARK_CONNECTED),
		},
		Object: bpf.SyscallWireObject{Imode: unix.S_IFSOCK | 0o777, Ino: 5},
		Family: unix.AF_INET, Type: unix.SOCK_STREAM, Protocol: 6, LocalPort: 4000, RemotePort: 443, AddrLen: 16,
	}
	copy(r.Local[:], []byte{10, 0, 0, 1})
	copy(r.Remote[:], []byte{192, 0, 2, 1})
	return wire(r, "\x02\x00\x01\xbb\xc0\x00\x02\x01\x00\x00\x00\x00\x00\x00\x00\x00")
}

func forkRecord() []byte {
	return wire(bpf.SyscallWireFork{Header: head(bpf.SyscallWireKindWIRE_FORK, event.Clone, 5), Pid: 5, Tid: 5})
}

func changeRecord() []byte {
	return wire(bpf.SyscallWireChange{
		Call:  bpf.SyscallWireCall{Header: head(bpf.SyscallWireKindWIRE_CHANGE, event.Chdir, 0), NameLen: [2]uint16{2}, BaseLen: [2]uint16{4}},
		State: bpf.SyscallWireState{Euid: 7, CwdLen: 6, RootLen: 1},
	}, "..", "/a/b", "/a/bcd", "/")
}

func renameRecord() []byte {
	return wire(bpf.SyscallWireCall{
		Header: head(bpf.SyscallWireKindWIRE_CALL, event.Renameat2, -int64(unix.ENOENT)), Args: [6]uint64{5, 0, 6, 0, unix.RENAME_NOREPLACE},
		NameLen: [2]uint16{1, 2}, BaseLen: [2]uint16{2, 0},
	}, "x", "/d", "/y")
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

	require.Equal(t, []string{"A=1", "B="}, e.Exec.Env)
	require.True(t, e.Exec.Setuid)
	require.False(t, e.Exec.Setgid)

	require.NoError(t, d.record(connectRecord(), &e))
	require.Equal(t, "10.0.0.1:4000->192.0.2.1:443", e.File.Name)
	require.Nil(t, e.Exec)

	require.NoError(t, d.record(changeRecord(), &e))
	require.Equal(t, "/a/bcd", e.Change.CWD)
	require.Equal(t, uint32(7), e.Change.EUID)
	require.Equal(t, []event.Arg{{Name: "res", IsInt: true}, {Name: "path", Text: "/a", Raw: ".."}}, e.Args)

	require.NoError(t, d.record(renameRecord(), &e))
	require.Nil(t, e.Change)
	require.Equal(t, []event.Arg{
		{Name: "res", Int: -2, IsInt: true, Text: "ENOENT"},
		{Name: "olddirfd", Int: 5, IsInt: true, Text: "<d>/d"}, {Name: "oldpath", Text: "/d/x", Raw: "x"},
		{Name: "newdirfd", Int: 6, IsInt: true}, {Name: "newpath", Text: "/y", Raw: "/y"},
		{Name: "flags", Int: 1, IsInt: true, Text: "RENAME_NOREPLACE"},
	}, e.Args)
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
		"other call":    func(b []byte) []byte { b[7] = uint8(event.Brk); return b },
		"wrong call":    func(b []byte) []byte { b[7] = uint8(event.Connect); return b },
		"long text": func(b []byte) []byte {
			b[int(unsafe.Offsetof(bpf.SyscallWireFile{}.Object)+unsafe.Offsetof(bpf.SyscallWireObject{}.PathLen))]++
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
		require.Equal(t, want, fileFlags.Text(falcoOpen(flags, false)), "%o", flags)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(openRecord())
	f.Add(execRecord())
	f.Add(connectRecord())
	f.Add(changeRecord())
	f.Add(renameRecord())
	f.Add(forkRecord())
	f.Add(wire(bpf.SyscallWireExit{Header: head(bpf.SyscallWireKindWIRE_EXIT, 0, 139)}))
	f.Add(wire(bpf.SyscallWireCgroup{Header: head(bpf.SyscallWireKindWIRE_CGROUP, 0, 0), PathLen: 2}, "/a"))
	for _, c := range calls { // every call with all of its parameters, and cut
		text := strings.Repeat("/x", 40)
		n := uint16(len(text))
		r := bpf.SyscallWireCall{
			Header: head(bpf.SyscallWireKindWIRE_CALL, c.typ, 3), Args: [6]uint64{1, 2, 3, 4, 5, 6},
			NameLen: [2]uint16{n, n}, BaseLen: [2]uint16{n, n}, DataLen: n,
		}
		switch c.handler {
		case plain:
			f.Add(wire(r, strings.Repeat(text, 5)))
		case onFile:
			r.Header.Kind = uint8(bpf.SyscallWireKindWIRE_FILE)
			f.Add(wire(bpf.SyscallWireFile{Call: r, Object: bpf.SyscallWireObject{Imode: unix.S_IFREG, PathLen: n}}, strings.Repeat(text, 6)))
		case onSock:
			r.Header.Kind = uint8(bpf.SyscallWireKindWIRE_SOCKET)
			f.Add(wire(bpf.SyscallWireSocket{Call: r, Family: unix.AF_UNIX, AddrLen: n, OwnLen: n, PeerLen: n, ControlLen: n}, strings.Repeat(text, 5)))
		case changes:
			r.Header.Kind = uint8(bpf.SyscallWireKindWIRE_CHANGE)
			f.Add(wire(bpf.SyscallWireChange{Call: r, State: bpf.SyscallWireState{CwdLen: n, RootLen: n}}, strings.Repeat(text, 7)))
		}
	}
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
