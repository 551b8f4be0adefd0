//go:build linux

package capture

import (
	"strings"

	"golang.org/x/sys/unix"

	"riposte/agent/event"
	"riposte/bpf"
)

// Falco's execve_flags.
const (
	exeWritable = 1 << iota
	exeUpper
	exeMemfd
	exeLower
)

var execFlags = table{
	{"EXE_WRITABLE", exeWritable},
	{"EXE_UPPER_LAYER", exeUpper},
	{"EXE_FROM_MEMFD", exeMemfd},
	{"EXE_LOWER_LAYER", exeLower},
}

func (d *decoder) exec(raw []byte, e *event.Event) error {
	r, tail, ok := fixed[bpf.ProcessWireExec](raw)
	if !ok {
		return errShort
	}
	rest := string(tail)
	name, ok1 := take(&rest, r.NameLen)
	path, ok2 := take(&rest, r.PathLen)
	cwd, ok3 := take(&rest, r.CwdLen)
	block, ok4 := take(&rest, r.ArgsLen)
	if !ok1 || !ok2 || !ok3 || !ok4 {
		return errShort
	}
	argv := arguments(block)
	result(e, "res", e.Ret)
	exe, args := "", []string(nil)
	if len(argv) > 0 {
		exe, args = argv[0], argv[1:]
	}
	text(e, "exe", exe)
	text(e, "args", strings.Join(args, " "))
	number(e, "tid", int64(e.Task.TID))
	number(e, "pid", int64(e.Task.PID))
	number(e, "ptid", int64(e.Task.PPID))
	text(e, "comm", e.Task.Comm)
	if e.Type == event.Execve {
		text(e, "filename", name)
	}
	if e.Ret < 0 {
		return nil
	}
	x := &event.Exec{
		Path: path, Args: argv, Truncated: has(r.Marks, bpf.SyscallWireMarkMARK_ARGS_CUT),
		State: event.State{
			CWD: cwd, TTY: r.Tty, SID: int32(r.Sid), PGID: int32(r.Pgid), VPID: int32(r.Vpid),
			VPGID: int32(r.Vpgid), LoginUID: r.Loginuid, Credentials: event.Credentials{EUID: r.Euid},
		},
		Ino:        r.Ino,
		UpperLayer: has(r.Marks, bpf.SyscallWireMarkMARK_UPPER),
		Memfd:      has(r.Marks, bpf.SyscallWireMarkMARK_MEMFD),
		Writable:   writable(&r),
	}
	e.Exec = x
	text(e, "cwd", cwd)
	number(e, "tty", int64(x.TTY))
	number(e, "vpgid", int64(x.VPGID))
	number(e, "loginuid", int64(int32(x.LoginUID)))
	flags := exeFlags(x, has(r.Marks, bpf.SyscallWireMarkMARK_LOWER))
	both(e, "flags", int64(flags), execFlags.text(flags))
	number(e, "cap_effective", int64(r.Caps))
	number(e, "exe_ino", int64(x.Ino))
	number(e, "uid", int64(x.EUID))
	text(e, "trusted_exepath", path)
	number(e, "pgid", int64(x.PGID))
	number(e, "gid", int64(r.Egid))
	return nil
}

func exeFlags(x *event.Exec, lower bool) uint32 {
	var f uint32
	for _, p := range []struct {
		set bool
		bit uint32
	}{{x.Writable, exeWritable}, {x.UpperLayer, exeUpper}, {x.Memfd, exeMemfd}, {lower, exeLower}} {
		if p.set {
			f |= p.bit
		}
	}
	return f
}

// writable says whether the caller may write to the binary it runs, by the classic
// permission bits; supplementary groups, access lists and read-only mounts are not
// looked at.
func writable(r *bpf.ProcessWireExec) bool {
	const capDACOverride = 1 << unix.CAP_DAC_OVERRIDE
	switch {
	case r.Caps&capDACOverride != 0:
		return true
	case r.Euid == r.Iuid:
		return r.Imode&unix.S_IWUSR != 0
	case r.Egid == r.Igid:
		return r.Imode&unix.S_IWGRP != 0
	}
	return r.Imode&unix.S_IWOTH != 0
}

func (d *decoder) fork(raw []byte, e *event.Event) error {
	r, _, ok := fixed[bpf.ProcessWireFork](raw)
	if !ok {
		return errShort
	}
	e.Type = event.Clone
	e.Fork = &event.Fork{
		PID: int32(r.Pid), PPID: int32(r.Ppid), VPID: int32(r.Vpid),
		StartNS: r.Start, CgroupID: r.Cgroup,
	}
	number(e, "res", e.Ret)
	number(e, "tid", int64(e.Task.TID))
	number(e, "pid", int64(e.Task.PID))
	number(e, "ptid", int64(e.Task.PPID))
	text(e, "comm", e.Task.Comm)
	number(e, "uid", int64(e.Task.UID))
	number(e, "gid", int64(e.Task.GID))
	return nil
}

func (d *decoder) cgroup(raw []byte, e *event.Event) error {
	r, tail, ok := fixed[bpf.ProcessWireCgroup](raw)
	if !ok {
		return errShort
	}
	rest := string(tail)
	path, ok := take(&rest, r.PathLen)
	if !ok {
		return errShort
	}
	e.Type = event.Unknown
	e.Cgroup = &event.Cgroup{ID: r.Id, Path: path}
	return nil
}

// exit has the status that wait(2) gives: the low seven bits are the signal.
func (d *decoder) exit(e *event.Event) {
	e.Type = event.ProcExit
	status := unix.WaitStatus(uint32(e.Ret))
	number(e, "status", e.Ret)
	number(e, "ret", e.Ret>>8&0xff)
	sig := e.Ret & 0x7f
	if sig == 0 {
		number(e, "sig", 0)
	} else {
		both(e, "sig", sig, unix.SignalName(unix.Signal(sig)))
	}
	core := int64(0)
	if status.CoreDump() {
		core = 1
	}
	number(e, "core", core)
}
