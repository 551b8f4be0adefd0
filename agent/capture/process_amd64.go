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

func (d *decoder) exec(raw []byte, e *event.Event) error {
	if e.Type != event.Execve && e.Type != event.Execveat {
		return errKind
	}
	r, tail, ok := fixed[bpf.SyscallWireExec](raw)
	if !ok {
		return errShort
	}
	t := textsOf(tail)
	name := t.text(r.NameLen)
	base := t.text(r.BaseLen)
	path := t.text(r.PathLen)
	cwd := t.text(r.State.CwdLen)
	root := t.text(r.State.RootLen)
	argv := arguments(t.text(r.ArgsLen))
	env := arguments(t.text(r.EnvLen))
	if t.short {
		return errShort
	}
	exe, args := "", []string(nil)
	if len(argv) > 0 {
		exe, args = argv[0], argv[1:]
	}
	result(e, "res", e.Ret)
	text(e, "exe", exe)
	text(e, "args", strings.Join(args, " "))
	number(e, "tid", int64(e.Task.TID))
	number(e, "pid", int64(e.Task.PID))
	number(e, "ptid", int64(e.Task.PPID))
	s := state(&r.State, cwd, root)
	if e.Ret >= 0 {
		e.Exec = &event.Exec{
			State: s, Path: path,
			Args: argv, Truncated: has(r.Marks, bpf.SyscallWireMarkMARK_ARGS_CUT),
			Env: env, EnvTruncated: has(r.Marks, bpf.SyscallWireMarkMARK_ENV_CUT),
			UpperLayer: has(r.Marks, bpf.SyscallWireMarkMARK_UPPER),
			LowerLayer: has(r.Marks, bpf.SyscallWireMarkMARK_LOWER),
			Memfd:      has(r.Marks, bpf.SyscallWireMarkMARK_MEMFD),
			Unlinked:   has(r.Marks, bpf.SyscallWireMarkMARK_UNLINKED),
			Writable:   writable(&r),
			Setuid:     r.Imode&unix.S_ISUID != 0, Setgid: r.Imode&unix.S_ISGID != 0,
			Ino: r.Ino, CtimeNS: r.Ctime, MtimeNS: r.Mtime,
		}
	}
	d.caller(&r, e, &s, env)
	if e.Type == event.Execve {
		if e.Ret >= 0 {
			base = cwd
		}
		a := event.Arg{Name: "filename", Raw: name}
		if name != "" {
			a.Text = event.Absolute(name, base)
		}
		e.Args = append(e.Args, a)
	}
	return nil
}

// caller adds the parameters that say what the process is after the call; which binary
// it runs only where that is a new one.
func (d *decoder) caller(r *bpf.SyscallWireExec, e *event.Event, s *event.State, env []string) {
	text(e, "cwd", s.CWD)
	usage(e, r.Fdlimit, r.MajorFaults, r.MinorFaults, r.Pages, r.Resident, r.Swapped)
	text(e, "comm", e.Task.Comm)
	text(e, "env", strings.Join(env, " "))
	number(e, "tty", int64(s.TTY))
	number(e, "vpgid", int64(s.VPGID))
	number(e, "loginuid", int64(int32(s.LoginUID)))
	if e.Exec != nil {
		flags := exeFlags(e.Exec)
		both(e, "flags", int64(flags), d.flagText(execFlags, flags, false))
	}
	number(e, "cap_inheritable", int64(s.Caps.Inheritable))
	number(e, "cap_permitted", int64(s.Caps.Permitted))
	number(e, "cap_effective", int64(s.Caps.Effective))
	if x := e.Exec; x != nil {
		number(e, "exe_ino", int64(x.Ino))
		number(e, "exe_ino_ctime", x.CtimeNS)
		number(e, "exe_ino_mtime", x.MtimeNS)
	}
	number(e, "uid", int64(s.EUID))
	if e.Exec != nil {
		text(e, "trusted_exepath", e.Exec.Path)
	}
	number(e, "pgid", int64(s.PGID))
	number(e, "gid", int64(s.EGID))
}

// usage is what the process has used so far; memory in kilobytes.
func usage(e *event.Event, fdLimit, major, minor, pages, resident, swapped uint64) {
	const pageKB = 4
	number(e, "fdlimit", int64(fdLimit))
	number(e, "pgft_maj", int64(major))
	number(e, "pgft_min", int64(minor))
	number(e, "vm_size", int64(pages*pageKB))
	number(e, "vm_rss", int64(resident*pageKB))
	number(e, "vm_swap", int64(swapped*pageKB))
}

func exeFlags(x *event.Exec) uint32 {
	var f uint32
	for _, p := range []struct {
		set bool
		bit uint32
	}{{x.Writable, exeWritable}, {x.UpperLayer, exeUpper}, {x.Memfd, exeMemfd}, {x.LowerLayer, exeLower}} {
		if p.set {
			f |= p.bit
		}
	}
	return f
}

// writable says whether the caller may write to the binary it runs, by the classic
// permission bits; supplementary groups, access lists and read-only mounts are not
// looked at.
func writable(r *bpf.SyscallWireExec) bool {
	const capDACOverride = 1 << unix.CAP_DAC_OVERRIDE
	switch {
	case r.State.Effective&capDACOverride != 0:
		return true
	case r.State.Euid == r.Iuid:
		return r.Imode&unix.S_IWUSR != 0
	case r.State.Egid == r.Igid:
		return r.Imode&unix.S_IWGRP != 0
	}
	return r.Imode&unix.S_IWOTH != 0
}

// fork is a new process, or a thread if rules ask for them.
func (d *decoder) fork(raw []byte, e *event.Event) error {
	r, _, ok := fixed[bpf.SyscallWireFork](raw)
	if !ok {
		return errShort
	}
	if r.Pid != 0 {
		e.Fork = &event.Fork{
			PID: int32(r.Pid), PPID: int32(r.Ppid), VPID: int32(r.Vpid),
			StartNS: r.Start, CgroupID: r.Cgroup,
		}
	}
	number(e, "res", e.Ret)
	number(e, "tid", int64(e.Task.TID))
	number(e, "pid", int64(e.Task.PID))
	number(e, "ptid", int64(e.Task.PPID))
	usage(e, r.Fdlimit, r.MajorFaults, r.MinorFaults, r.Pages, r.Resident, r.Swapped)
	text(e, "comm", e.Task.Comm)
	putCloneFlags(d, e, "flags", r.Flags)
	number(e, "uid", int64(e.Task.UID))
	number(e, "gid", int64(e.Task.GID))
	number(e, "vtid", int64(r.Vtid))
	number(e, "vpid", int64(r.Vpid))
	number(e, "pidns_init_start_ts", int64(r.NsStart))
	return nil
}

func (d *decoder) cgroup(raw []byte, e *event.Event) error {
	r, tail, ok := fixed[bpf.SyscallWireCgroup](raw)
	if !ok {
		return errShort
	}
	t := textsOf(tail)
	e.Type = event.Unknown
	e.Cgroup = &event.Cgroup{ID: r.Id, Path: t.text(r.PathLen)}
	if r.Pid != 0 {
		e.Move = &event.Move{PID: int32(r.Pid), StartNS: r.Start}
	}
	return t.err()
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
