//go:build linux

package capture_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"riposte/agent/capture"
	"riposte/agent/event"
)

func TestLive(t *testing.T) {
	for _, raw := range []bool{false, true} {
		t.Run(fmt.Sprintf("raw=%v", raw), func(t *testing.T) {
			s := newScene(t)
			src := open(t, capture.Options{Raw: raw, OwnEvents: true, RingBytes: 64 << 20})
			w := watch(t, src, s)
			t.Run("open", func(t *testing.T) { checkOpens(t, w, s, raw) })
			t.Run("connect", func(t *testing.T) { checkConnects(t, w, s) })
			t.Run("exec", func(t *testing.T) { checkExecs(t, w, s) })
			t.Run("overlay", func(t *testing.T) { checkOverlay(t, w, s) })
			t.Run("life", func(t *testing.T) { checkLife(t, w) })
			lost := src.Lost()
			for _, place := range []string{"ring_full", "scratch_busy", "recursion", "undecodable", "file_gone"} {
				require.Zero(t, lost[place], place)
			}
			require.Equal(t, raw, lost["path_cut"] > 0, lost)
			require.NotZero(t, lost["argument_unreadable"])
			require.NotZero(t, lost["exec_args_cut"])
			require.NotZero(t, lost["exec_env_cut"])
		})
	}
}

func checkOpens(t *testing.T, w *watched, s scene, raw bool) {
	in := func(name string) string { return filepath.Join(s.dir, name) }
	var st unix.Stat_t
	require.NoError(t, unix.Stat(in("file"), &st))

	e := w.opened(event.Open, in("file"), true)
	require.Equal(t, event.File{
		Kind: 'f', Num: e.Ret, NameRaw: in("file"), RealPath: in("file"),
		Flags: unix.O_CLOEXEC, Dev: st.Dev, Ino: st.Ino,
	}, e.File)
	require.Equal(t, map[string]string{
		"fd": strconv.FormatInt(e.Ret, 10), "name": in("file"), "flags": "O_RDONLY|O_CLOEXEC", "mode": "0",
		"dev": strconv.FormatUint(st.Dev, 16), "ino": strconv.FormatUint(st.Ino, 10),
	}, args(e))
	require.WithinDuration(t, time.Now(), time.Unix(0, e.TimeNS), time.Minute)
	require.Equal(t, int32(os.Getpid()), e.Task.PPID)
	require.Equal(t, "capture.test", e.Task.Comm)

	e = w.opened(event.Openat, in("link"), true)
	require.Equal(t, in("file"), e.File.RealPath)
	require.Equal(t, "O_APPEND|O_RDWR", args(e)["flags"])
	require.Equal(t, "AT_FDCWD", args(e)["dirfd"])

	e = w.opened(event.Openat, "sub/../file", true)
	require.Equal(t, s.dir, e.File.Base)
	require.Equal(t, in("file"), e.File.RealPath)

	e = w.opened(event.Openat, "../file", true)
	require.Equal(t, in("sub"), e.File.Base)
	require.Equal(t, in("file"), e.File.RealPath)
	require.Equal(t, "O_TRUNC|O_WRONLY", args(e)["flags"])

	e = w.opened(event.Openat, in("sub"), true)
	require.Equal(t, event.KindDirectory, e.File.Kind)

	e = w.opened(event.Openat, in("new"), true)
	require.True(t, e.File.Created)
	require.Equal(t, uint32(0o640), e.File.Mode)
	require.Equal(t, "O_EXCL|O_CREAT|O_WRONLY|O_F_CREATED", args(e)["flags"])
	require.Equal(t, "0640", args(e)["mode"])

	e = w.opened(event.Creat, in("creat"), true)
	require.True(t, e.File.Created)
	require.Equal(t, "0600", args(e)["mode"])
	require.NotContains(t, args(e), "flags")

	e = w.opened(event.Openat, in("none"), false)
	require.Equal(t, event.File{Kind: 'f', Num: -1, NameRaw: in("none")}, e.File)
	require.Equal(t, -int64(unix.ENOENT), e.Ret)
	require.Equal(t, "ENOENT", args(e)["fd"])

	e = w.opened(event.Openat2, in("link"), false)
	require.Equal(t, "ELOOP", args(e)["fd"])
	require.Equal(t, "RESOLVE_NO_SYMLINKS", args(e)["resolve"])
	e = w.opened(event.Openat2, "../sub", true)
	require.Equal(t, in("sub"), e.File.RealPath)

	require.Equal(t, in("file"), w.opened(event.Openat, "/proc/self/root"+in("file"), true).File.RealPath)

	e = w.only("memfd", func(e *event.Event) bool { return e.Type == event.Openat && e.File.Kind == event.KindMemfd })
	require.Equal(t, "/memfd:seen", e.File.RealPath)
	require.Equal(t, event.KindPipe, w.opened(event.Openat, in("fifo"), true).File.Kind)

	e = w.only("bad pointer", func(e *event.Event) bool { return e.Ret == -int64(unix.EFAULT) && e.Type == event.Openat })
	require.Empty(t, e.File.NameRaw)
	e = w.opened(event.Openat, in(strings.Repeat("d/", 150)+"file"), true)
	if raw { // as deep as the loop of those programs goes
		require.Equal(t, strings.Repeat("/d", 95)+"/file", e.File.RealPath)
	} else {
		require.Equal(t, e.File.NameRaw, e.File.RealPath)
	}

	e = w.only("int 0x80 open", func(e *event.Event) bool { return e.Compat && e.Type == event.Open })
	require.Equal(t, in("file"), e.File.RealPath)
	require.Equal(t, in("file"), e.File.NameRaw)
	e = w.only("int 0x80 openat", func(e *event.Event) bool { return e.Compat && e.Type == event.Openat })
	require.Equal(t, -int64(unix.ENOENT), e.Ret)
	require.Equal(t, in("filex"), e.File.NameRaw)
	require.Equal(t, "AT_FDCWD", args(e)["dirfd"])
}

func checkConnects(t *testing.T, w *watched, s scene) {
	find := func(fits func(*event.Event) bool) *event.Event {
		t.Helper()
		return w.only("connect", func(e *event.Event) bool { return e.Type == event.Connect && fits(e) })
	}
	inet := func(kind byte, l4 uint8, remote string, ret int64) *event.Event {
		t.Helper()
		e := find(func(e *event.Event) bool {
			return e.File.Kind == kind && e.File.Socket.L4 == l4 && e.Ret == ret && strings.HasSuffix(e.File.Name, "->"+remote) &&
				!strings.HasPrefix(e.File.Name, "0.0.0.0:0->") == (ret != -int64(unix.ECONNREFUSED))
		})
		require.Equal(t, event.RoleClient, e.File.Socket.Role)
		require.Equal(t, e.File.Name, args(e)["tuple"])
		require.Equal(t, remote, args(e)["addr"])
		fd, ok := e.Arg("fd")
		require.True(t, ok)
		require.Equal(t, e.File.Num, fd.Int)
		return e
	}
	here4 := fmt.Sprintf("127.0.0.1:%d", s.v4)
	inet('6', 6, fmt.Sprintf("::1:%d", s.v6), 0)
	e := inet('4', 17, "127.0.0.1:53", 0)
	require.NotZero(t, e.File.Socket.Local.Port())
	require.Equal(t, "127.0.0.1:53", e.File.Socket.Remote.String())
	e = inet('4', 6, here4, -int64(unix.EINPROGRESS))
	require.Equal(t, "EINPROGRESS", args(e)["res"])

	n := 0 // over IPv4 and over an IPv6 socket
	for i := range w.events {
		if e := &w.events[i]; e.Type == event.Connect && e.Ret == 0 && strings.HasSuffix(e.File.Name, "->"+here4) {
			n++
			require.Equal(t, event.KindIPv4, e.File.Kind)
			require.Equal(t, "127.0.0.1", e.File.Socket.Local.Addr().String())
			require.NotZero(t, e.File.Socket.Local.Port())
			require.Equal(t, here4, e.File.Socket.Remote.String())
		}
	}
	require.Equal(t, 2, n)

	e = find(func(e *event.Event) bool { return e.Ret == -int64(unix.ECONNREFUSED) && e.File.Kind == event.KindIPv4 })
	require.Equal(t, "127.0.0.1:1", e.File.Socket.Remote.String())
	require.Equal(t, "ECONNREFUSED", args(e)["res"])

	named := func(name string) *event.Event {
		t.Helper()
		return find(func(e *event.Event) bool { return e.File.Kind == event.KindUnix && e.File.Name == name })
	}
	require.Empty(t, named(filepath.Join(s.dir, "sock")).File.RealPath)
	require.Equal(t, filepath.Join(s.dir, "sock"), named(filepath.Join(s.dir, "socklink")).File.RealPath)
	require.Equal(t, "ENOENT", args(named(filepath.Join(s.dir, "nosock")))["res"])
	require.Equal(t, "ECONNREFUSED", args(named("@riposte-none"))["res"])
	e = find(func(e *event.Event) bool { return e.Ret == -int64(unix.EBADF) })
	require.Equal(t, int64(999), e.File.Num)
	require.Equal(t, "127.0.0.1:80", e.File.Socket.Remote.String())
}

func checkExecs(t *testing.T, w *watched, s scene) {
	e := w.only("failed exec", func(e *event.Event) bool { return e.Type == event.Execve && e.Ret == -int64(unix.ENOENT) })
	require.Nil(t, e.Exec)
	a := args(e)
	require.Equal(t, []string{"ENOENT", "none", "-a b c", filepath.Join(s.dir, "none"), "capture.test"},
		[]string{a["res"], a["exe"], a["args"], a["filename"], a["comm"]})
	e = w.only("failed execveat", func(e *event.Event) bool { return e.Type == event.Execveat })
	require.Equal(t, []string{"EBADF", "at"}, []string{args(e)["res"], args(e)["exe"]})

	exec := func(comm string, fits func(*event.Exec) bool) *event.Event {
		t.Helper()
		var found []*event.Event
		for i := range w.events {
			if e := &w.events[i]; e.Exec != nil && e.Task.PPID == w.pid && e.Task.Comm == comm && fits(e.Exec) {
				found = append(found, e)
			}
		}
		require.Len(t, found, 1)
		return found[0]
	}
	link := filepath.Join(s.dir, "truelink")
	e = exec("truelink", func(*event.Exec) bool { return true })
	x := e.Exec
	path, err := filepath.EvalSymlinks("/bin/true")
	require.NoError(t, err)
	var st unix.Stat_t
	require.NoError(t, unix.Stat(path, &st))
	sid, err := unix.Getsid(0)
	require.NoError(t, err)
	require.Equal(t, &event.Exec{
		Path: path, Args: []string{link, "one", "two  words", ""},
		Env: []string{"SEEN=1", "EMPTY=", "LONG="},
		State: event.State{
			Credentials: event.Credentials{Caps: capabilities(t)}, Namespaces: namespaces(t), Root: "/",
			CWD: filepath.Join(s.dir, "sub"), SID: int32(sid), PGID: int32(unix.Getpgrp()), VPID: e.Task.PID, VTID: e.Task.PID,
			VPGID: int32(unix.Getpgrp()), VSID: int32(sid), LoginUID: x.LoginUID, TTY: x.TTY,
		},
		Ino: st.Ino, CtimeNS: st.Ctim.Nano(), MtimeNS: st.Mtim.Nano(), Writable: true,
	}, x)
	require.Equal(t, int64(0), e.Ret)
	require.Equal(t, event.Execve, e.Type)
	require.Equal(t, map[string]string{
		"res": "0", "exe": link, "args": "one two  words ", "tid": strconv.Itoa(int(e.Task.PID)), "pid": strconv.Itoa(int(e.Task.PID)),
		"ptid": strconv.Itoa(int(w.pid)), "comm": "truelink", "filename": link, "cwd": x.CWD, "tty": strconv.FormatUint(uint64(x.TTY), 10),
		"vpgid": strconv.Itoa(int(x.VPGID)), "loginuid": strconv.Itoa(int(int32(x.LoginUID))), "flags": "EXE_WRITABLE",
		"cap_inheritable": strconv.FormatUint(x.Caps.Inheritable, 10), "cap_permitted": strconv.FormatUint(x.Caps.Permitted, 10),
		"cap_effective": strconv.FormatUint(x.Caps.Effective, 10), "exe_ino": strconv.FormatUint(st.Ino, 10), "uid": "0", "trusted_exepath": path,
		"exe_ino_ctime": strconv.FormatInt(x.CtimeNS, 10), "exe_ino_mtime": strconv.FormatInt(x.MtimeNS, 10),
		"pgid": strconv.Itoa(int(x.PGID)), "gid": "0", "env": "SEEN=1 EMPTY= LONG=", "fdlimit": strconv.FormatUint(fdLimit(t), 10),
		"pgft_maj": args(e)["pgft_maj"], "pgft_min": args(e)["pgft_min"], "vm_size": args(e)["vm_size"], "vm_rss": args(e)["vm_rss"], "vm_swap": "0",
	}, args(e))
	for _, name := range []string{"pgft_min", "vm_size"} {
		n, err := strconv.Atoi(args(e)[name])
		require.NoError(t, err)
		require.Positive(t, n, name)
	}

	e = exec("true", func(x *event.Exec) bool { return x.Truncated })
	require.Equal(t, "/bin/true", e.Exec.Args[0])
	require.Len(t, e.Exec.Args[1], 4096-len("/bin/true")-1)
	require.True(t, e.Exec.EnvTruncated)
	require.Len(t, strings.Join(e.Exec.Env, " "), 4096)

	e = exec(memfdComm(w), func(x *event.Exec) bool { return x.Memfd })
	require.Equal(t, "/memfd:prog", e.Exec.Path)
	require.Contains(t, args(e)["flags"], "EXE_FROM_MEMFD")
}

// capabilities are this process's, which its children have too.
func capabilities(t *testing.T) event.Capabilities {
	status, err := os.ReadFile("/proc/self/status")
	require.NoError(t, err)
	sets := map[string]uint64{}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		if strings.HasPrefix(name, "Cap") {
			sets[name], err = strconv.ParseUint(strings.TrimSpace(value), 16, 64)
			require.NoError(t, err)
		}
	}
	return event.Capabilities{Known: true, Inheritable: sets["CapInh"], Permitted: sets["CapPrm"], Effective: sets["CapEff"]}
}

// namespaces are this process's.
func namespaces(t *testing.T) event.Namespaces {
	of := func(name string) uint32 {
		var st unix.Stat_t
		require.NoError(t, unix.Stat("/proc/self/ns/"+name, &st))
		return uint32(st.Ino)
	}
	return event.Namespaces{
		Mount: of("mnt"), PID: of("pid"), PIDForChildren: of("pid_for_children"), Net: of("net"),
		User: of("user"), IPC: of("ipc"), UTS: of("uts"), Cgroup: of("cgroup"),
	}
}

// fdLimit is what this process's children start with.
func fdLimit(t *testing.T) uint64 {
	out, err := exec.Command("/bin/sh", "-c", "ulimit -n").Output()
	require.NoError(t, err)
	n, err := strconv.ParseUint(strings.TrimSpace(string(out)), 10, 64)
	require.NoError(t, err)
	return n
}

// memfdComm is the name that the kernel gives a program that runs from a descriptor,
// which is not the same in every version.
func memfdComm(w *watched) string {
	for i := range w.events {
		if e := &w.events[i]; e.Exec != nil && e.Exec.Memfd {
			return e.Task.Comm
		}
	}
	return ""
}

func checkOverlay(t *testing.T, w *watched, s scene) {
	if s.overlay != nil {
		t.Skip("no overlay can be mounted here: ", s.overlay)
	}
	for name, upper := range map[string]bool{"image": false, "dropped": true} {
		path := filepath.Join(s.dir, "overlay", name)
		flag := map[bool]string{false: "EXE_LOWER_LAYER", true: "EXE_UPPER_LAYER"}[upper]
		found := 0
		for i := range w.events {
			e := &w.events[i]
			switch {
			case e.Exec != nil && e.Exec.Path == path:
				found++
				require.Equal(t, upper, e.Exec.UpperLayer)
				require.Equal(t, "EXE_WRITABLE|"+flag, args(e)["flags"])
			case e.Type == event.Openat && e.File.NameRaw == path:
				found++
				require.Equal(t, upper, e.File.UpperLayer)
				require.Equal(t, "O_RDONLY|"+strings.Replace(flag, "EXE", "FD", 1), args(e)["flags"])
				require.Equal(t, path, e.File.RealPath)
			}
		}
		require.Equal(t, 2, found, name)
	}
}

func checkLife(t *testing.T, w *watched) {
	starts := map[int32]uint64{}
	order := map[int32][]string{}
	for i := range w.events {
		e := &w.events[i]
		if e.Fork != nil {
			starts[e.Fork.PID] = e.Fork.StartNS
			require.Equal(t, e.Task.PID, e.Fork.PPID)
			require.Equal(t, e.Fork.PID, e.Fork.VPID)
			require.Equal(t, e.Task.CgroupID, e.Fork.CgroupID)
			require.Less(t, e.Fork.StartNS, e.KernelNS)
			continue
		}
		require.NotZero(t, e.Num)
		if start, ok := starts[e.Task.PID]; ok {
			require.Equal(t, start, e.Task.StartNS)
		}
		if e.Task.PPID == w.pid && (e.Exec != nil || e.Type == event.ProcExit) {
			order[e.Task.PID] = append(order[e.Task.PID], e.Type.String())
		}
	}
	want := 3
	if _, err := os.Stat(filepath.Join(w.dir, "overlay/image")); err == nil {
		want += 2
	}
	ran := 0
	for _, life := range order {
		if slices.Equal(life, []string{"execve", "procexit"}) {
			ran++
		}
	}
	require.Equal(t, want, ran)
	e := w.only("exit", func(e *event.Event) bool { return e.Type == event.ProcExit })
	require.Equal(t, map[string]string{"status": "768", "ret": "3", "sig": "0", "core": "0"}, args(e))
}
