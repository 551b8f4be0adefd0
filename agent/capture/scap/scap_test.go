package scap_test

import (
	"bytes"
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
