package scap_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/agent/event"
)

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
