package scap_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/agent/capture"
	"riposte/agent/capture/scap"
	"riposte/agent/capture/scap/synth"
	"riposte/agent/event"
)

var _ capture.Source = (*scap.Source)(nil)

// both runs a test with today's layout and with that of 2016.
func both(t *testing.T, test func(t *testing.T, f *file)) {
	for name, old := range map[string]bool{"today": false, "2016": true} {
		t.Run(name, func(t *testing.T) {
			f := newFile(old)
			f.users(map[uint32]string{0: "root", 1000: "eve"})
			f.tasks(
				task{tid: 1, pid: 1, comm: "init", exe: "/sbin/init", cwd: "/"},
				task{tid: 50, pid: 50, ptid: 1, comm: "bash", exe: "-bash", args: "-l\x00", cwd: "/home/eve", uid: 1000, env: "A=1\x00HISTFILE=/dev/null\x00"},
				task{tid: 51, pid: 50, ptid: 1, comm: "bash", exe: "-bash", cwd: "/home/eve", uid: 1000},
			)
			f.descriptors(50, listedFile(0, "/dev/pts/0"), listedFile(9, "/etc"))
			test(t, f)
		})
	}
}

func TestListedProcess(t *testing.T) {
	both(t, func(t *testing.T, f *file) {
		f.event(50, 5, int64(0), int64(0))
		f.event(51, 5, int64(-9), int64(0))
		all := events(t, f)
		require.Len(t, all, 2)
		e := all[0]
		require.Equal(t, event.Close, e.Type)
		require.Equal(t, "/dev/pts/0", e.File.Name)
		require.Equal(t, "bash", e.proc.Comm)
		require.Equal(t, "bash -l", e.proc.CmdLine())
		require.Equal(t, "init", e.parent)
		require.Equal(t, "eve", e.proc.User)
		require.Equal(t, []string{"A=1", "HISTFILE=/dev/null"}, e.proc.Env)
		require.Equal(t, event.Host, e.proc.Container)
		require.Equal(t, "<f>/dev/pts/0", e.arg("fd"))
		require.Zero(t, all[1].File.Kind, "the thread shares the descriptors, so 0 is closed")
		require.Equal(t, int32(50), all[1].Task.PID)
		require.Equal(t, int32(51), all[1].Task.TID)
		if !f.old {
			require.Equal(t, uint64(bootNS), uint64(e.TimeNS)-e.KernelNS)
			require.Equal(t, uint32(34816), e.proc.TTY)
			require.Equal(t, uint32(1000), e.proc.LoginUID)
			require.True(t, e.proc.ExeWritable)
			require.True(t, e.proc.ExeUpperLayer)
			require.Equal(t, uint64(77), e.proc.ExeIno)
			require.Equal(t, uint64(1<<21), e.proc.Caps.Effective)
		}
	})
}

func TestOpen(t *testing.T) {
	both(t, func(t *testing.T, f *file) {
		f.event(50, 307, int64(3), int64(-100), "x/../secret", uint32(1|4096), uint32(0), uint32(0x801), uint64(42))
		f.event(50, 307, int64(-2), int64(9), "../none", uint32(2|4), uint32(0o644), uint32(0), uint64(0))
		f.event(50, 307, int64(4), int64(77), "lost", uint32(3|4), uint32(0o755), uint32(0), uint64(0))
		f.event(50, 7, int64(10), []byte("data"), int64(3), uint32(10))
		// As older recorders have it: the entry says what the exit does not.
		f.event(50, 102, int64(-100), "older", uint32(2), uint32(0))
		f.event(50, 103, int64(5))
		all := events(t, f)
		require.Len(t, all, 5)

		require.Equal(t, "/home/eve/secret", all[0].File.Name)
		require.Equal(t, "x/../secret", all[0].File.NameRaw)
		require.Equal(t, event.KindFile, all[0].File.Kind)
		require.Equal(t, uint32(0o2000000), all[0].File.Flags)
		require.Equal(t, "O_RDONLY|O_CLOEXEC", all[0].arg("flags"))
		require.Equal(t, "/home/eve/secret", all[0].arg("name"))
		require.Equal(t, "AT_FDCWD", all[0].arg("dirfd"))
		require.Equal(t, "801", all[0].arg("dev"))
		require.Empty(t, all[0].File.RealPath, "a replay has the lexical name alone")
		require.False(t, all[0].NameDiffers())

		require.Equal(t, int64(-1), all[1].File.Num)
		require.Equal(t, int64(-2), all[1].Ret)
		require.Equal(t, "/none", all[1].File.Name)
		require.Equal(t, "ENOENT", all[1].arg("fd"))
		require.Equal(t, "<f>/etc", all[1].arg("dirfd"))
		require.Equal(t, "0644", all[1].arg("mode"))

		require.Equal(t, "<UNKNOWN>/lost", all[2].File.Name)
		require.Equal(t, uint32(0o100|2), all[2].File.Flags)

		require.Equal(t, event.Read, all[3].Type)
		require.Equal(t, "/home/eve/secret", all[3].File.Name)
		require.Equal(t, int64(3), all[3].File.Num)

		require.Equal(t, "/home/eve/older", all[4].File.Name)
		require.Equal(t, int64(5), all[4].Ret)
		require.Equal(t, "O_WRONLY", all[4].arg("flags"))
	})
}

// TestManyPaths opens more files than are remembered, each of them twice.
func TestManyPaths(t *testing.T) {
	f := newFile(false)
	const paths = 40_000
	for range 2 {
		for i := range paths {
			f.event(50, 307, int64(3), int64(-100), fmt.Sprintf("/srv/%d/%d", i%7, i), uint32(1), uint32(0), uint32(0), uint64(0))
		}
	}
	s, err := scap.Open(&f.Buffer, scap.Options{})
	require.NoError(t, err)
	n := 0
	require.NoError(t, s.Run(t.Context(), func(e *event.Event) {
		i := n % paths
		if want := fmt.Sprintf("/srv/%d/%d", i%7, i); e.File.Name != want || e.File.NameRaw != want {
			t.Fatalf("event %d names %q, raw %q: want %q", e.Num, e.File.Name, e.File.NameRaw, want)
		}
		n++
	}))
	require.Equal(t, 2*paths, n)
}

// TestObjectsAreUsedAgain closes, duplicates and inherits descriptors: an object must
// not be given to another while one of them still names it.
func TestObjectsAreUsedAgain(t *testing.T) {
	f := newFile(false)
	open := func(tid, fd int64, path string) {
		f.event(tid, 307, fd, int64(-100), path, uint32(1), uint32(0), uint32(0), uint64(0))
	}
	f.tasks(task{tid: 50, pid: 50, ptid: 1, comm: "bash", cwd: "/"})
	open(50, 3, "/a")
	f.event(50, 363, int64(4), int64(3), int64(4))
	f.event(50, 5, int64(0), int64(3))
	open(50, 3, "/b")
	f.event(50, 223, child(60, 50, 50, 1, 0, 0)...)
	f.event(50, 5, int64(0), int64(3))
	f.event(50, 5, int64(0), int64(4))
	open(50, 3, "/c")
	open(50, 4, "/d")
	f.event(50, 363, int64(4), int64(3), int64(4))
	open(50, 5, "/e")
	f.event(60, 71, int64(0), int64(3))
	f.event(60, 71, int64(0), int64(4))
	f.event(50, 71, int64(0), int64(3))
	f.event(50, 71, int64(0), int64(4))
	f.event(50, 71, int64(0), int64(5))
	f.event(60, 186, int64(0), int64(0), uint8(0), uint8(0), int64(1))
	open(50, 6, "/f")
	f.event(50, 71, int64(0), int64(3))
	var names []string
	for _, e := range events(t, f) {
		if e.Type == event.Fstat {
			names = append(names, e.File.Name)
		}
	}
	require.Equal(t, []string{"/b", "/a", "/c", "/c", "/e", "/c"}, names)
}

// program are the parameters of an execve's exit.
func program(res int64, exe, args string, pid, ptid int64, cgroups string, uid uint32) []any {
	return []any{
		res, exe, []byte(args), pid, pid, ptid, "/srv", uint64(1024), uint64(0), uint64(0), uint32(0), uint32(0), uint32(0), "comm" + exe[len(exe)-1:],
		[]byte(cgroups), []byte("B=2\x00"), uint32(0), pid, ^uint32(0), uint32(1 | 2), uint64(0), uint64(1), uint64(1), uint64(5), uint64(6), uint64(7), uid,
		"/real" + exe,
	}
}

const (
	containerID = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	cgroups     = "cpuset=/\x00cpu=/docker/" + containerID + "\x00"
)

func child(res, tid, pid, ptid int64, flags, uid uint32) []any {
	return []any{
		res, "/bin/kid", []byte("-k\x00"), tid, pid, ptid, "/home/eve", int64(1024), uint64(0), uint64(0), uint32(0), uint32(0), uint32(0), "kid", []byte(cgroups),
		flags, uid, uid, tid, pid,
	}
}

func TestLife(t *testing.T) {
	both(t, func(t *testing.T, f *file) {
		f.event(50, 307, int64(3), int64(-100), "keep", uint32(1), uint32(0), uint32(0), uint64(0))
		f.event(50, 307, int64(4), int64(-100), "drop", uint32(1|4096), uint32(0), uint32(0), uint64(0))
		f.event(50, 223, child(60, 50, 50, 1, 0, 1000)...)
		f.event(60, 223, child(0, 60, 60, 50, 0, 1000)...)
		f.event(60, 5, int64(0), int64(0))
		f.event(60, 293, program(-2, "/bin/no", "", 60, 50, cgroups, 1000)...)
		f.event(60, 293, program(0, "/bin/x", "-a\x00b\x00", 60, 50, cgroups, 0)...)
		f.event(60, 71, int64(0), int64(3))
		f.event(60, 71, int64(0), int64(4))
		f.event(50, 71, int64(0), int64(4))
		f.event(50, 71, int64(0), int64(0))
		f.event(60, 223, child(61, 60, 60, 50, 0, 0)...)
		f.event(61, 223, child(0, 61, 61, 60, 0, 0)...)
		f.event(60, 186, int64(256), int64(1), uint8(0), uint8(0), int64(50))
		f.event(61, 71, int64(0), int64(3))
		all := events(t, f)
		require.Len(t, all, 15)

		require.Equal(t, event.Clone, all[2].Type)
		require.Equal(t, int64(60), all[2].Ret)
		require.Equal(t, "bash", all[3].parent)
		require.Equal(t, "kid", all[3].proc.Comm)
		require.True(t, all[3].proc.StartKnown)
		require.Equal(t, containerID[:12], all[3].proc.Container.ShortID())
		require.Equal(t, "/dev/pts/0", all[4].File.Name, "a child has a copy of its parent's descriptors")

		require.Equal(t, "kid", all[5].proc.Comm, "a failed exec leaves the caller")
		x := all[6].proc
		require.Equal(t, "commx a", x.Comm+" "+x.Args[0][1:])
		require.Equal(t, []string{"-a", "b"}, x.Args)
		require.Equal(t, "/real/bin/x", x.ExePath)
		require.Equal(t, "/srv", x.CWD)
		require.True(t, x.ExeWritable)
		require.True(t, x.ExeUpperLayer)
		require.Equal(t, "root", x.User)
		require.Equal(t, "EXE_WRITABLE|EXE_UPPER_LAYER", all[6].arg("flags"))
		require.Equal(t, []string{"B=2"}, x.Env)

		require.Equal(t, "/home/eve/keep", all[7].File.Name)
		require.Zero(t, all[8].File.Kind, "closed by the exec")
		require.Equal(t, "/home/eve/drop", all[9].File.Name, "but not the parent's")
		require.Equal(t, "/dev/pts/0", all[10].File.Name, "nor what the child closed itself")

		require.Equal(t, event.ProcExit, all[13].Type)
		require.Equal(t, int64(256), all[13].Ret)
		require.Equal(t, "bash", all[14].parent, "the reaper has the orphan")
	})
}

func TestThreads(t *testing.T) {
	const thread, files = 1 << 13, 1
	both(t, func(t *testing.T, f *file) {
		f.event(50, 223, child(60, 50, 50, 1, thread|files, 1000)...)
		f.event(60, 223, child(0, 60, 50, 1, thread|files, 1000)...)
		f.event(60, 307, int64(3), int64(-100), "shared", uint32(1), uint32(0), uint32(0), uint64(0))
		f.event(50, 71, int64(0), int64(3))
		f.event(60, 186, int64(0), int64(0), uint8(0), uint8(0), int64(1))
		f.event(50, 71, int64(0), int64(3))
		f.event(50, 223, child(70, 50, 50, 1, files, 1000)...)
		f.event(70, 5, int64(0), int64(3))
		f.event(50, 71, int64(0), int64(3))
		// A thread's exec makes it the process's first.
		f.event(50, 223, child(80, 50, 50, 1, thread|files, 1000)...)
		f.event(80, 293, program(0, "/bin/x", "", 50, 1, "", 1000)...)
		f.event(50, 71, int64(0), int64(0))
		all := events(t, f)
		require.Equal(t, "/home/eve/shared", all[3].File.Name)
		require.Equal(t, int32(50), all[2].Task.PID)
		require.Equal(t, "bash", all[4].proc.Comm)
		require.Equal(t, "/home/eve/shared", all[5].File.Name, "the process goes on without one thread")
		require.Zero(t, all[8].File.Kind, "CLONE_FILES shares the descriptors of two processes")
		require.Equal(t, int32(50), all[11].Task.PID)
		require.Equal(t, "commx", all[11].proc.Comm)
		require.Equal(t, "/dev/pts/0", all[11].File.Name)
	})
}

func TestSockets(t *testing.T) {
	both(t, func(t *testing.T, f *file) {
		f.event(50, 19, int64(3), uint32(2), uint32(1), uint32(0))
		f.event(50, 23, int64(-115), inet(2, "10.0.0.1:4000", "93.184.216.34:443"), int64(3))
		f.event(50, 363, int64(0), int64(3), int64(0))
		f.event(50, 19, int64(5), uint32(2), uint32(2), uint32(0))
		f.event(50, 31, int64(4), []byte("ping"), int64(5), uint32(4), inet(2, "0.0.0.0:0", "8.8.8.8:53"))
		f.event(50, 31, int64(4), []byte("ping"), int64(5), uint32(4), inet(2, "0.0.0.0:0", "8.8.8.8:53"))
		f.event(50, 19, int64(6), uint32(10), uint32(1), uint32(6))
		f.event(50, 21, int64(0), inet(10, "[::]:80"), int64(6))
		f.event(50, 389, int64(7), inet(10, "[2001:db8::2]:999", "[2001:db8::1]:80"), uint8(0), uint32(0), uint32(0), int32(0))
		f.event(50, 23, int64(-2), append(append([]byte{1}, make([]byte, 16)...), "/run/x\x00"...), int64(8))
		all := events(t, f)
		require.Len(t, all, 10)

		require.Equal(t, event.KindIPv4, all[0].File.Kind)
		require.Equal(t, "AF_INET", all[0].arg("domain"))
		require.Equal(t, "10.0.0.1:4000->93.184.216.34:443", all[1].File.Name)
		require.Equal(t, event.RoleClient, all[1].File.Socket.Role)
		require.Equal(t, uint8(6), all[1].File.Socket.L4)
		require.Equal(t, "EINPROGRESS", all[1].arg("res"))
		require.Equal(t, all[1].File.Name, all[2].File.Name, "dup2 gives the same socket")
		require.Zero(t, all[2].File.Num)

		require.True(t, all[4].File.Socket.Renamed)
		require.False(t, all[4].File.Socket.Connected)
		require.Equal(t, "0.0.0.0:0->8.8.8.8:53", all[4].File.Name)
		require.False(t, all[5].File.Socket.Renamed)

		require.Equal(t, "2001:db8::2:999->2001:db8::1:80", all[8].File.Name)
		require.Equal(t, event.RoleServer, all[8].File.Socket.Role)
		require.Equal(t, uint16(80), all[8].File.Socket.Local.Port())
		require.Equal(t, event.KindUnix, all[9].File.Kind)
		require.Equal(t, "/run/x", all[9].File.Name)
	})
}

// TestInterfaces has sockets that were never bound: their own address is that of the
// interface which leads to the peer.
func TestInterfaces(t *testing.T) {
	both(t, func(t *testing.T, f *file) {
		f.interfaces("127.0.0.1/8", "10.0.0.5/24", "192.168.7.1/16", "2001:db8::5/64")
		listed := inet(2, "0.0.0.0:555", "192.168.3.3:53")[1:]
		f.descriptors(50, append(append(le(le(le(nil, int64(20)), uint64(9)), uint8(3)), append(append(listed[:4:4], listed[6:10]...), append(listed[4:6:6], listed[10:]...)...)...), 3))
		f.event(50, 19, int64(3), uint32(2), uint32(2), uint32(0))
		for _, peer := range []string{"10.0.0.77:53", "8.8.8.8:53", "127.0.0.9:53"} {
			f.event(50, 31, int64(4), []byte("ping"), int64(3), uint32(4), inet(2, "0.0.0.0:0", peer))
		}
		f.event(50, 19, int64(4), uint32(10), uint32(2), uint32(0))
		f.event(50, 31, int64(4), []byte("ping"), int64(4), uint32(4), inet(10, "[::]:0", "[2001:db8::1]:53"))
		f.event(50, 71, int64(0), int64(20))
		all := events(t, f)
		var local []string
		for _, e := range all {
			local = append(local, e.File.Socket.Local.Addr().String())
		}
		require.Equal(t, []string{"invalid IP", "10.0.0.5", "10.0.0.5", "127.0.0.1", "invalid IP", "2001:db8::5", "192.168.7.1"}, local)
		require.Equal(t, "0.0.0.0:0->8.8.8.8:53", all[2].File.Name)
		require.Equal(t, "192.168.7.1:555->192.168.3.3:53", all[6].File.Name)
	})
}

// TestCalls has events of calls that have none of their own, but a number.
func TestCalls(t *testing.T) {
	both(t, func(t *testing.T, f *file) {
		f.event(50, 0, uint16(107), uint16(13))
		f.event(50, 1, uint16(107), uint16(13))
		f.event(50, 1, uint16(103), uint16(35))
		f.event(50, 1, uint16(5), uint16(2))
		f.event(50, 1, uint16(9999), uint16(9999))
		f.event(50, 5, int64(0), int64(0))
		all := events(t, f)
		var names []string
		for _, e := range all {
			names = append(names, e.TypeName())
		}
		require.Equal(t, []string{"rt_sigaction", "nanosleep", "open", "syscall", "close"}, names)
		require.Equal(t, event.Syscall, all[0].Type)
		require.Equal(t, "rt_sigaction", all[0].arg("ID"))
		require.Equal(t, event.Nanosleep, all[1].Type)
		require.Equal(t, "/dev/pts/0", all[4].File.Name, "an open without parameters opens nothing")

		s, err := scap.Open(bytes.NewReader(f.Bytes()), scap.Options{Types: []event.Type{event.Nanosleep}})
		require.NoError(t, err)
		require.NoError(t, s.Run(t.Context(), func(e *event.Event) { require.Equal(t, uint64(3), e.Num) }))
	})
}

func TestContainerMetadata(t *testing.T) {
	both(t, func(t *testing.T, f *file) {
		num := uint16(272)
		if !f.old {
			num = 324
		}
		f.event(0, num, `{"container":{"id":"0123456789ab","full_id":"`+containerID+`","type":0,"name":"web","image":"nginx:1","imagerepo":"nginx",
"imagetag":"1","privileged":true,"pod_sandbox_id":"x","labels":{"io.kubernetes.pod.name":"p","io.kubernetes.pod.namespace":"n","io.kubernetes.pod.uid":"u"}}}`)
		f.event(60, 223, child(0, 60, 60, 50, 0, 1000)...)
		all := events(t, f)
		require.Len(t, all, 2)
		require.Equal(t, event.ContainerAdded, all[0].Type)
		c := all[1].proc.Container
		require.Equal(t, containerID, c.ID)
		require.Equal(t, "web nginx 1", c.Name+" "+c.Repository+" "+c.Tag)
		require.Equal(t, event.Yes, c.Privileged)
		require.Equal(t, event.Pod{UID: "u", Namespace: "n", Name: "p", SandboxID: "x"}, *c.Pod)
	})
}

func TestTypesAreFiltered(t *testing.T) {
	f := newFile(false)
	f.event(50, 307, int64(3), int64(-100), "/x", uint32(1), uint32(0), uint32(0), uint64(0))
	f.event(50, 5, int64(0), int64(3))
	s, err := scap.Open(&f.Buffer, scap.Options{Types: []event.Type{event.Close}})
	require.NoError(t, err)
	require.NoError(t, s.Run(t.Context(), func(e *event.Event) {
		require.Equal(t, event.Close, e.Type)
		require.Equal(t, "/x", e.File.Name, "the open counts though nobody sees it")
		require.Equal(t, uint64(2), e.Num)
	}))
	require.Equal(t, uint64(2), s.Read())
}

// TestLost has what cannot be kept or understood: the replay goes on and counts it.
func TestLost(t *testing.T) {
	f := newFile(false)
	f.event(50, 60_000, int64(1))
	f.event(50, 102, int64(-100), strings.Repeat("a", 20_000), uint32(1), uint32(0))
	f.event(50, 103, int64(3))
	f.event(1, 148, uint32(2))
	f.event(1, 324, "no JSON")
	f.descriptors(99, listedFile(0, "/x"))
	for range 1100 {
		f.event(50, 5, int64(-9), int64(1))
	}
	all, s, err := replay(t, f.Bytes())
	require.NoError(t, err)
	require.Equal(t, event.Openat, all[0].Type)
	require.Empty(t, all[0].File.Name)
	require.Equal(t, map[string]uint64{
		"event_of_unknown_type": 1, "call_entry_not_kept": 1, "dropped_by_the_recorder": 1, "container_not_understood": 1, "container_details_not_kept": 0, "fd_list_without_process": 1,
		"thread_not_kept": 0, "fd_not_kept": 0, "arguments_not_kept": 0,
	}, s.Lost())
}

// TestClosed ends a replay that nobody wants any more.
func TestClosed(t *testing.T) {
	var busy bytes.Buffer
	_, err := synth.Write(&busy, synth.Options{Events: 10_000})
	require.NoError(t, err)
	s, err := scap.Open(&busy, scap.Options{})
	require.NoError(t, err)
	n := 0
	require.NoError(t, s.Run(t.Context(), func(*event.Event) {
		n++
		require.NoError(t, s.Close())
	}))
	require.Less(t, n, 2000, "of more than five thousand")
}

func TestLongArguments(t *testing.T) {
	f := newFile(false)
	f.event(60, 293, program(0, "/bin/x", strings.Repeat("a\x00", 5000), 60, 50, "", 0)...)
	all := events(t, f)
	require.True(t, all[0].proc.ArgsTruncated)
	require.Len(t, all[0].proc.Args, 2048)
}

func TestFilesInOneAnother(t *testing.T) {
	f := newFile(false)
	f.tasks(task{tid: 50, pid: 50, comm: "first"})
	f.event(50, 5, int64(0), int64(3))
	g := newFile(true)
	g.tasks(task{tid: 50, pid: 50, comm: "second"})
	g.event(50, 5, int64(0), int64(3))
	all, _, err := replay(t, append(f.Bytes(), g.Bytes()...))
	require.NoError(t, err)
	require.Len(t, all, 2)
	require.Equal(t, "first second", all[0].proc.Comm+" "+all[1].proc.Comm)
}

// whole is a small file with every kind of block.
func whole(old bool) []byte {
	f := newFile(old)
	f.interfaces("10.0.0.5/24")
	f.users(map[uint32]string{1000: "eve"})
	f.tasks(task{tid: 50, pid: 50, ptid: 1, comm: "bash", exe: "-bash", cwd: "/", group: cgroups})
	f.descriptors(50, listedFile(0, "/dev/pts/0"))
	f.event(50, 307, int64(3), int64(-100), "a", uint32(1), uint32(0), uint32(0), uint64(0))
	f.event(50, 22, int64(4), inet(2, "1.2.3.4:5"))
	f.event(50, 23, int64(0), inet(2, "10.0.0.1:4000", "1.2.3.4:5"), int64(4))
	f.event(60, 223, child(0, 60, 60, 50, 0, 1000)...)
	return f.Bytes()
}

// TestCut cuts a file at every byte: what is there is replayed, and the rest is one
// located message.
func TestCut(t *testing.T) {
	for _, old := range []bool{false, true} {
		b := whole(old)
		full, _, err := replay(t, b)
		require.NoError(t, err)
		require.Len(t, full, 3)
		blocks := map[int]bool{0: true}
		for at := 0; at < len(b); {
			at += int(b[at+4]) | int(b[at+5])<<8
			blocks[at] = true
		}
		for n := range b {
			all, _, err := replay(t, b[:n])
			require.LessOrEqual(t, len(all), len(full))
			if blocks[n] && n > 0 {
				require.NoError(t, err, "the file ends between two blocks")
				continue
			}
			var d *scap.Damage
			require.ErrorAs(t, err, &d, "cut at %d", n)
			require.LessOrEqual(t, d.Offset, int64(n))
			require.True(t, blocks[int(d.Offset)], "the damage is in a block that begins at %d", d.Offset)
			require.Contains(t, err.Error(), "the file ends here")
		}
		z := packed(t, b)
		all, _, err := replay(t, z)
		require.NoError(t, err)
		require.Len(t, all, len(full))
		for n := 2; n < len(z); n++ {
			_, _, err := replay(t, z[:n])
			var d *scap.Damage
			require.ErrorAs(t, err, &d, "cut at %d", n)
			require.True(t, d.Packed)
		}
	}
}

// TestTurned turns bytes over: an answer or a located message, never a panic.
func TestTurned(t *testing.T) {
	for _, old := range []bool{false, true} {
		b := whole(old)
		for n := range b {
			for _, with := range []byte{0x01, 0x80, 0xff} {
				c := bytes.Clone(b)
				c[n] ^= with
				_, _, err := replay(t, c)
				var d *scap.Damage
				require.True(t, err == nil || errors.As(err, &d), "byte %d: %v", n, err)
			}
		}
	}
}

func TestDamageIsNamed(t *testing.T) {
	head := newFile(false).Bytes()
	long := newFile(false)
	long.Write(le(le(nil, uint32(0x216)), uint32(0xfffffff0)))
	claimed := newFile(false)
	claimed.Write(le(le(nil, uint32(0x222)), uint32(60<<20)))
	tail := newFile(false)
	tail.Write(le(le(le(nil, uint32(0x216)), uint32(12)), uint32(13)))
	params := newFile(false)
	params.block(0x216, le(le(le(le(le(le(nil, uint16(0)), uint64(1)), int64(1)), uint32(26)), uint16(5)), uint32(1<<30)))
	major := &file{}
	major.block(0x0A0D0D0A, le(le(le(le(nil, uint32(0x1A2B3C4D)), uint16(9)), uint16(2)), ^uint64(0)))
	procs := newFile(false)
	procs.block(0x215, le(le(nil, uint32(99)), uint64(1)))
	for name, c := range map[string]struct {
		b    []byte
		want string
	}{
		"empty":   {nil, "byte 0: a capture begins with a section header: the file ends here"},
		"text":    {[]byte("hello, this is no capture at all"), "is it a capture file at all?"},
		"big":     {long.Bytes(), "block 0x216 is said to have 4294967280 bytes, more than the 67108864 that are read"},
		"claimed": {claimed.Bytes(), "block 0x222 is said to have 62914560 bytes, here are 8: the file ends here"},
		"tail":    {tail.Bytes(), "block 0x216 has 12 bytes by its header and 13 by its end"},
		"params":  {params.Bytes(), "event close is said to have 1073741824 parameters in 0 bytes"},
		"version": {major.Bytes(), "version 9 of the format"},
		"process": {procs.Bytes(), "entry 1 of the process list is longer than what is left"},
		"gzip":    {[]byte{0x1f, 0x8b, 8}, "the compressed file has no whole header"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := replay(t, c.b)
			require.ErrorContains(t, err, c.want)
			if len(c.b) > len(head) {
				require.ErrorContains(t, err, fmt.Sprintf("byte %d: ", len(head)), "after the two blocks of the head")
			}
		})
	}
}

func FuzzReplay(f *testing.F) {
	for _, old := range []bool{false, true} {
		b := whole(old)
		f.Add(b)
		f.Add(b[:len(b)/2])
		f.Add(packed(f, b))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		_, s, err := replay(t, b)
		var d *scap.Damage
		if err != nil && !errors.As(err, &d) {
			t.Fatalf("an error without a place: %v", err)
		}
		if err == nil {
			_ = s.Lost()
		}
	})
}

// TestUnwantedEventsStillTell compares what a close shows when all events are looked
// at and when it is the only one: the tables must not depend on who looks.
func TestUnwantedEventsStillTell(t *testing.T) {
	both(t, func(t *testing.T, f *file) {
		f.event(50, 61, int64(0), int64(3), int64(4), uint64(1))
		f.event(50, 63, int64(5), uint64(0), uint32(0))
		f.event(50, 151, int64(6), int64(5), uint8(1), uint64(0))
		f.event(50, 405, int64(7), "mem", uint32(0))
		f.event(50, 95, int64(0), "/opt")
		f.event(50, 199, int64(0), uint32(0))
		f.event(50, 307, int64(8), int64(-100), "x", uint32(1), uint32(0), uint32(0), uint64(0))
		f.event(50, 43, int64(0), int64(10), int64(11), uint64(0), uint64(0), uint32(1), uint32(1), uint32(0))
		for fd := range int64(12) {
			f.event(50, 5, int64(0), fd)
		}
		f.event(50, 401, int64(0), uint32(15), "other", int64(0))
		f.event(50, 5, int64(-9), int64(0))
		show := func(o scap.Options) (shown []string) {
			s, err := scap.Open(bytes.NewReader(f.Bytes()), o)
			require.NoError(t, err)
			require.NoError(t, s.Run(t.Context(), func(e *event.Event) {
				if e.Type == event.Close {
					shown = append(shown, fmt.Sprintf("%c %s %s %s", e.File.Kind, e.File.Name, e.Proc.User, e.Proc.Comm))
				}
			}))
			return shown
		}
		all := show(scap.Options{})
		require.Equal(t, all, show(scap.Options{Types: []event.Type{event.Close}}))
		require.Equal(t, []string{
			"f /dev/pts/0 root bash", "\x00  root bash", "\x00  root bash", "p  root bash", "p  root bash", "e  root bash", "e  root bash", "m mem root bash",
			"f /opt/x root bash", "f /etc root bash", "u  root bash", "u  root bash", "\x00  root other",
		}, all)
	})
}
