//go:build linux

package capture_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"riposte/agent/capture/int80"
	"riposte/agent/event"
)

// descriptors are calls that make one that is no file.
func (c *caller) descriptors() {
	c.made(event.MemfdCreate, unix.SYS_MEMFD_CREATE, 356, nil, "fd", []uintptr{c.str("hidden"), unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING}, told{
		File: want{"kind": "m", "name": "hidden"}, Args: want{"fd": "<m>hidden", "name": "hidden", "flags": "MFD_CLOEXEC|MFD_ALLOW_SEALING"},
	})
	c.made(event.MemfdCreate, unix.SYS_MEMFD_CREATE, 356, unix.EINVAL, "fd", []uintptr{c.str("x"), 1 << 20}, told{
		File: want{"kind": ""}, Args: want{"name": "x", "flags": num(1 << 20)},
	})
	c.made(event.Userfaultfd, unix.SYS_USERFAULTFD, 374, nil, "res", []uintptr{unix.O_CLOEXEC | unix.O_NONBLOCK}, told{
		File: want{"kind": "u"}, Args: want{"res": "<u>", "flags": "O_NONBLOCK|O_CLOEXEC"},
	})
	c.made(event.Userfaultfd, unix.SYS_USERFAULTFD, 374, unix.EINVAL, "res", []uintptr{1 << 30}, told{
		File: want{"kind": ""}, Args: want{"flags": "O_NONE"},
	})
	attr := binary.LittleEndian.AppendUint32(nil, 2) // an array of one number
	for _, n := range []uint32{4, 4, 1} {
		attr = binary.LittleEndian.AppendUint32(attr, n)
	}
	c.made(event.Bpf, unix.SYS_BPF, 357, nil, "fd", []uintptr{unix.BPF_MAP_CREATE, c.put(attr), 16}, told{
		File: want{"kind": "b"}, Args: want{"fd": "<b>", "cmd": "BPF_MAP_CREATE"},
	})
	c.made(event.Bpf, unix.SYS_BPF, 357, nil, "fd", []uintptr{unix.BPF_PROG_GET_NEXT_ID, c.put(make([]byte, 64)), 16}, told{
		File: want{"kind": ""}, Args: want{"cmd": "BPF_PROG_GET_NEXT_ID"},
	})
	c.made(event.Bpf, unix.SYS_BPF, 357, unix.E2BIG, "fd", []uintptr{unix.BPF_PROG_LOAD, c.put(make([]byte, 64)), 16}, told{
		File: want{"kind": ""}, Args: want{"cmd": "BPF_PROG_LOAD"},
	})
	params := make([]byte, 120)
	binary.LittleEndian.PutUint32(params[8:], 1<<4) // CLAMP
	at := c.put(params)
	w := want{"res": "<r>", "entries": "3", "sq_entries": "4", "cq_entries": "8", "flags": "IORING_SETUP_CLAMP", "sq_thread_cpu": "0", "sq_thread_idle": "0", "features": "*"}
	c.made(event.IoUringSetup, unix.SYS_IO_URING_SETUP, 425, nil, "res", []uintptr{3, at}, told{File: want{"kind": "r"}, Args: w})
	c.made(event.IoUringSetup, unix.SYS_IO_URING_SETUP, 425, unix.EINVAL, "res", []uintptr{0, c.put(make([]byte, 120))}, told{
		File: want{"kind": ""},
		Args: want{"entries": "0", "sq_entries": "0", "cq_entries": "0", "flags": "0", "sq_thread_cpu": "0", "sq_thread_idle": "0", "features": "0"},
	})
	fd := c.open(c.in("a3"), unix.O_RDONLY)
	// A kernel without modules still has the calls.
	or := func(end error) error {
		if errors.Is(unix.InitModule(nil, ""), unix.ENOSYS) {
			return unix.ENOSYS
		}
		return end
	}
	c.made(event.InitModule, unix.SYS_INIT_MODULE, 128, or(unix.ENOEXEC), "res", []uintptr{c.put(make([]byte, 64)), 64, c.str("debug=1")}, told{
		Args: want{"img": "................................................................", "length": "64", "uargs": "debug=1"},
	})
	c.made(event.FinitModule, unix.SYS_FINIT_MODULE, 350, or(unix.EINVAL), "res", []uintptr{fd, c.str("x=y"), 8}, told{
		File: want{"kind": "f", "name": c.in("a3")}, Args: want{"fd": "<f>" + c.in("a3"), "uargs": "x=y", "flags": "8"},
	})
	c.made(event.FinitModule, unix.SYS_FINIT_MODULE, 350, or(unix.EBADF), "res", []uintptr{999, c.str(""), 1}, told{
		File: want{"kind": ""}, Args: want{"fd": "999", "uargs": "", "flags": "MODULE_INIT_IGNORE_MODVERSIONS"},
	})
}

func (c *caller) processes() {
	self := uintptr(os.Getpid())
	c.made(event.Kill, unix.SYS_KILL, 37, nil, "res", []uintptr{self, uintptr(unix.SIGCONT)}, told{Args: want{"pid": num(self), "sig": "SIGCONT"}})
	c.made(event.Kill, unix.SYS_KILL, 37, unix.ESRCH, "res", []uintptr{1 << 29, uintptr(unix.SIGKILL)}, told{Args: want{"pid": num(1 << 29), "sig": "SIGKILL"}})
	c.made(event.Tgkill, unix.SYS_TGKILL, 270, nil, "res", []uintptr{self, self, 0}, told{Args: want{"pid": num(self), "tid": num(self), "sig": "0"}})
	c.made(event.Tgkill, unix.SYS_TGKILL, 270, unix.ESRCH, "res", []uintptr{self, 1 << 29, 9}, told{Args: want{"pid": num(self), "tid": num(1 << 29), "sig": "SIGKILL"}})
	c.made(event.Ptrace, unix.SYS_PTRACE, 26, unix.ESRCH, "res", []uintptr{unix.PTRACE_ATTACH, 1 << 29, 7, 8}, told{
		Args: want{"addr": "7", "data": "8", "request": "PTRACE_ATTACH", "pid": num(1 << 29)},
	})
	child, err := os.StartProcess("/bin/sleep", []string{"sleep", "60"}, &os.ProcAttr{})
	must("sleep", err, nil)
	c.made(event.Ptrace, unix.SYS_PTRACE, 26, nil, "res", []uintptr{unix.PTRACE_SEIZE, uintptr(child.Pid), 0, 0}, told{
		Args: want{"addr": "0", "data": "0", "request": "PTRACE_SEIZE", "pid": num(child.Pid)},
	})
	must("kill", child.Kill(), nil)
	_, err = child.Wait()
	must("wait", err, nil)
	local := c.pointers(c.str("into "), 5, c.str("it"), 2)
	remote := c.pointers(c.put(make([]byte, 16)), 16)
	c.made(event.ProcessVmWritev, unix.SYS_PROCESS_VM_WRITEV, 348, nil, "res", []uintptr{self, local, 2, remote, 1, 0}, told{
		File: want{"data": "into it"}, Args: want{"pid": num(self), "data": "into it"},
	})
	c.made(event.ProcessVmWritev, unix.SYS_PROCESS_VM_WRITEV, 348, unix.ESRCH, "res", []uintptr{1 << 29, local, 2, remote, 1, 0}, told{
		Args: want{"pid": num(1 << 29), "data": "into it"},
	})
	c.forks()
}

// forks makes processes that end at once, by each call.
func (c *caller) forks() {
	task := want{"tid": num(unix.Gettid()), "pid": num(os.Getpid()), "ptid": num(os.Getppid()), "comm": "capture.test", "uid": "0", "gid": "0"}
	with := func(flags string, more want) told {
		w := want{"flags": flags}
		maps.Copy(w, task)
		maps.Copy(w, more)
		return told{Args: w}
	}
	used := func(flags string, pid int, before, after usage) told {
		w := usedBetween(before, after)
		maps.Copy(w, want{"vtid": num(pid), "vpid": num(pid), "pidns_init_start_ts": firstStart()})
		return with(flags, w)
	}
	args := binary.LittleEndian.AppendUint64(nil, unix.CLONE_FILES)
	args = append(args, make([]byte, 24)...)
	args = binary.LittleEndian.AppendUint64(args, uint64(unix.SIGCHLD))
	args = append(args, make([]byte, 24)...)
	for _, f := range []struct {
		typ        event.Type
		nr64, nr32 uintptr
		a, b       uintptr
		flags      string
	}{
		{event.ForkCall, unix.SYS_FORK, 2, 0, 0, "0"},
		{event.Vfork, unix.SYS_VFORK, 190, 0, 0, "0"},
		{event.Clone, unix.SYS_CLONE, 120, unix.CLONE_FS | uintptr(unix.SIGCHLD), 0, "CLONE_FS"},
		{event.Clone3, unix.SYS_CLONE3, 435, c.put(args), 64, "CLONE_FILES"},
	} {
		var pid int
		before := usageNow()
		if c.compat {
			pid = int(int80.Fork32(uint32(f.nr32), uint32(f.a), uint32(f.b)))
		} else {
			pid = int80.Fork(f.nr64, f.a, f.b)
		}
		if pid <= 0 {
			must(fmt.Sprint(f.typ), unix.Errno(-pid), nil)
		}
		after := usageNow()
		_, err := unix.Wait4(pid, nil, 0, nil)
		must("wait", err, nil)
		c.tell(f.typ, int64(pid), "res", used(f.flags, pid, before, after))
	}
	c.made(event.Clone, unix.SYS_CLONE, 120, unix.EINVAL, "res", []uintptr{unix.CLONE_THREAD | unix.CLONE_NEWUSER}, with("CLONE_THREAD|CLONE_NEWUSER", nil))
	bad := binary.LittleEndian.AppendUint64(nil, unix.CLONE_SIGHAND)
	c.made(event.Clone3, unix.SYS_CLONE3, 435, unix.EINVAL, "res", []uintptr{c.put(append(bad, make([]byte, 56)...)), 64}, with("CLONE_SIGHAND", nil))
}

// memory is what only a bad pointer shows.
func (c *caller) memory() {
	c.made(event.Unlink, unix.SYS_UNLINK, 10, unix.EFAULT, "res", []uintptr{8}, told{Args: want{"path": ""}})
	c.made(event.Connect, unix.SYS_CONNECT, 362, unix.EFAULT, "res", []uintptr{c.socket(unix.AF_INET, unix.SOCK_STREAM), 8, 16}, told{
		Args: want{"tuple": "", "fd": "*", "addr": ""},
	})
	c.failedExecs()
}

func (c *caller) failedExecs() {
	before := usageNow()
	tell := func(typ event.Type, nr64, nr32 int, end unix.Errno, args []uintptr, w want) {
		if ret := c.call(nr64, nr32, args...); ret != -int64(end) {
			must(typ.String(), unix.Errno(-ret), end)
		}
		maps.Copy(w, usedBetween(before, usageNow()))
		maps.Copy(w, want{
			"tid": num(unix.Gettid()), "pid": num(os.Getpid()), "ptid": num(os.Getppid()), "comm": "capture.test", "env": "IN=1", "cwd": c.dir,
			"tty": "*", "vpgid": num(unix.Getpgrp()), "pgid": num(unix.Getpgrp()), "loginuid": loginUID(), "uid": "0", "gid": "0",
			"cap_inheritable": capText("CapInh"), "cap_permitted": capText("CapPrm"), "cap_effective": capText("CapEff"),
		})
		c.tell(typ, -int64(end), "res", told{Args: w})
	}
	env := c.pointers(c.str("IN=1"), 0)
	tell(event.Execve, unix.SYS_EXECVE, 11, unix.ENOENT, []uintptr{c.str("none"), c.pointers(c.str("n"), c.str("-a"), 0), env},
		want{"exe": "n", "args": "-a", "filename": c.in("none")})
	tell(event.Execveat, unix.SYS_EXECVEAT, 358, unix.EBADF, []uintptr{999, c.str("x"), c.pointers(c.str("y"), 0), env, 0}, want{"exe": "y", "args": ""})
}

// loginUID is as Falco shows it: nobody is -1.
func loginUID() string {
	b, err := os.ReadFile("/proc/self/loginuid")
	if err != nil {
		return "-1" // a kernel without audit
	}
	n, err := strconv.ParseUint(string(b), 10, 32)
	must("loginuid", err, nil)
	return num(int64(int32(n)))
}
