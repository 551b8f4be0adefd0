package field

import (
	"strings"

	"riposte/agent/event"
)

var procFields = []Field{
	{Name: "proc.name", Type: Text, Scope: Process, Desc: "the kernel's name of the process, 15 characters", get: ofProc(comm)},
	{Name: "proc.exe", Type: Text, Scope: Process, Desc: "first argument, argv[0]", get: ofProc(exe)},
	{Name: "proc.exepath", Type: Text, Scope: Process, Desc: "path of the binary", get: ofProc(exePath)},
	{Name: "proc.args", Type: Text, Arg: OptionalIndex, Scope: Process, Desc: "arguments without argv[0], or the [n]th of them", get: args},
	{Name: "proc.cmdline", Type: Text, Scope: Process, Desc: "name and arguments", get: ofProc(cmdLine)},
	{Name: "proc.exeline", Type: Text, Scope: Process, Desc: "argv[0] and arguments", get: ofProc(func(p *event.Process) Value {
		return text(strings.TrimSuffix(p.Exe+" "+p.ArgsText(), " "))
	})},
	{Name: "proc.cmdnargs", Type: Uint64, Scope: Process, Desc: "number of arguments without argv[0]", get: ofProc(func(p *event.Process) Value { return number(len(p.Args)) })},
	{Name: "proc.env", Type: Text, Arg: OptionalText, Scope: Process, Desc: "environment, or one variable of it", get: environment},
	{Name: "proc.cwd", Type: Text, Scope: Process, Desc: "working directory", get: ofProc(func(p *event.Process) Value { return text(p.CWD) })},
	{Name: "proc.tty", Type: Uint32, Scope: Process, Desc: "device number of the terminal, 0 for none", get: ofProc(func(p *event.Process) Value { return number(p.TTY) })},
	{Name: "proc.pid", Type: Int, Scope: Process, Desc: "process id", get: ofProc(func(p *event.Process) Value { return number(p.PID) })},
	{Name: "proc.vpid", Type: Int, Scope: Process, Desc: "process id in its own namespace", get: ofProc(func(p *event.Process) Value { return number(p.VPID) })},
	{Name: "proc.ppid", Type: Int, Scope: Process, Desc: "process id of the parent", get: ofProc(func(p *event.Process) Value { return number(p.PPID) })},
	{Name: "proc.pvpid", Type: Int, Scope: Process, Desc: "process id of the parent in its own namespace", get: ofParent(func(p *event.Process) Value { return number(p.VPID) })},
	{Name: "proc.pid.ts", Type: Int, Scope: Event, Desc: "start of the process, nanoseconds since 1970", get: startTime(0)},
	{Name: "proc.duration", Type: Int, Scope: Event, Desc: "age of the process in nanoseconds, NULL if it is older than the agent", get: age(0)},
	{Name: "proc.ppid.duration", Type: Int, Scope: Event, Desc: "age of the parent in nanoseconds", get: age(1)},
	{Name: "proc.pname", Type: Text, Scope: Process, Desc: "name of the parent", get: ofParent(comm)},
	{Name: "proc.pexe", Type: Text, Scope: Process, Desc: "argv[0] of the parent", get: ofParent(exe)},
	{Name: "proc.pexepath", Type: Text, Scope: Process, Desc: "path of the parent's binary", get: ofParent(exePath)},
	{Name: "proc.pcmdline", Type: Text, Scope: Process, Desc: "name and arguments of the parent", get: ofParent(cmdLine)},
	{Name: "proc.aname", Type: Text, Arg: OptionalIndex, Many: Any, Scope: Process, NoRight: true, NoTransform: true, Desc: "name of the [n]th ancestor, or of any", get: ofAncestor(comm)},
	{Name: "proc.aexe", Type: Text, Arg: OptionalIndex, Many: Any, Scope: Process, NoRight: true, NoTransform: true, Desc: "argv[0] of the [n]th ancestor, or of any", get: ofAncestor(exe)},
	{Name: "proc.aexepath", Type: Text, Arg: OptionalIndex, Many: Any, Scope: Process, NoRight: true, NoTransform: true, Desc: "path of the [n]th ancestor's binary, or of any", get: ofAncestor(exePath)},
	{Name: "proc.acmdline", Type: Text, Arg: OptionalIndex, Many: Any, Scope: Process, NoRight: true, NoTransform: true, Desc: "name and arguments of the [n]th ancestor, or of any", get: ofAncestor(cmdLine)},
	{Name: "proc.apid", Type: Int, Arg: OptionalIndex, Many: Any, Scope: Process, NoRight: true, NoTransform: true, Desc: "process id of the [n]th ancestor, or of any", get: ofAncestor(func(p *event.Process) Value { return number(p.PID) })},
	{Name: "proc.aenv", Type: Text, Arg: OptionalText, Scope: Process, NoRight: true, NoTransform: true, Desc: "environment of an ancestor", get: ancestorEnvironment},
	{Name: "proc.loginshellid", Type: Int, Scope: Process, Desc: "process id of the oldest shell among the process and its ancestors", get: ofProc(loginShell)},
	{Name: "proc.sid", Type: Int, Scope: Process, Desc: "session id", get: ofProc(func(p *event.Process) Value { return number(p.SID) })},
	{Name: "proc.sname", Type: Text, Scope: Process, Desc: "name of the session's leader", get: ofLeader(session, sameSession, comm)},
	{Name: "proc.sid.exe", Type: Text, Scope: Process, Desc: "argv[0] of the session's leader", get: ofLeader(session, sameSession, exe)},
	{Name: "proc.sid.exepath", Type: Text, Scope: Process, Desc: "path of the session leader's binary", get: ofLeader(session, sameSession, exePath)},
	{Name: "proc.is_sid_leader", Type: Bool, Scope: Process, Desc: "the process leads its session", get: ofProc(func(p *event.Process) Value { return truth(p.SID == p.VPID || p.SID == p.PID) })},
	{Name: "proc.pgid", Type: Int, Scope: Process, Desc: "process group id", get: ofProc(func(p *event.Process) Value { return number(p.PGID) })},
	{Name: "proc.pgid.name", Type: Text, Scope: Process, Desc: "name of the group's leader", get: ofLeader(group, sameGroup, comm)},
	{Name: "proc.pgid.exe", Type: Text, Scope: Process, Desc: "argv[0] of the group's leader", get: ofLeader(group, sameGroup, exe)},
	{Name: "proc.pgid.exepath", Type: Text, Scope: Process, Desc: "path of the group leader's binary", get: ofLeader(group, sameGroup, exePath)},
	{Name: "proc.is_pgid_leader", Type: Bool, Scope: Process, Desc: "the process leads its group", get: ofProc(func(p *event.Process) Value { return truth(p.PGID == p.PID) })},
	{Name: "proc.vpgid", Type: Int, Scope: Process, Desc: "process group id in its own namespace", get: ofProc(func(p *event.Process) Value { return number(p.VPGID) })},
	{Name: "proc.vpgid.name", Type: Text, Scope: Process, Desc: "name of the group's leader, by the namespace's ids", get: ofLeader(ownGroup, sameOwnGroup, comm)},
	{Name: "proc.vpgid.exe", Type: Text, Scope: Process, Desc: "argv[0] of the group's leader, by the namespace's ids", get: ofLeader(ownGroup, sameOwnGroup, exe)},
	{Name: "proc.vpgid.exepath", Type: Text, Scope: Process, Desc: "path of the group leader's binary, by the namespace's ids", get: ofLeader(ownGroup, sameOwnGroup, exePath)},
	{Name: "proc.is_vpgid_leader", Type: Bool, Scope: Process, Desc: "the process leads its group, by the namespace's ids", get: ofProc(func(p *event.Process) Value { return truth(p.VPGID == p.VPID) })},
	{Name: "proc.is_exe_writable", Type: Bool, Scope: Process, Desc: "the caller could write to the binary it started", get: ofProc(func(p *event.Process) Value { return truth(p.ExeWritable) })},
	{Name: "proc.is_exe_upper_layer", Type: Bool, Scope: Process, Desc: "the binary came into the container after its start", get: ofProc(func(p *event.Process) Value { return truth(p.ExeUpperLayer) })},
	{Name: "proc.is_exe_lower_layer", Type: Bool, Scope: Process, Desc: "the binary is the image's", get: ofProc(func(p *event.Process) Value { return truth(p.ExeLowerLayer) })},
	{Name: "proc.is_exe_from_memfd", Type: Bool, Scope: Process, Desc: "the binary has no file, only memory", get: ofProc(func(p *event.Process) Value { return truth(p.ExeMemfd) })},
	{Name: "proc.exe_ino", Type: Int, Scope: Process, Desc: "inode of the binary", get: ofProc(func(p *event.Process) Value {
		return Value{OK: p.ExeIno != 0, Int: int64(p.ExeIno)}
	})},
	{Name: "proc.exe_ino.ctime", Type: Int, Scope: Process, Desc: "last change of the binary's inode", get: ofProc(func(p *event.Process) Value { return Value{OK: p.ExeCtimeNS != 0, Int: p.ExeCtimeNS} })},
	{Name: "proc.exe_ino.mtime", Type: Int, Scope: Process, Desc: "last change of the binary", get: ofProc(func(p *event.Process) Value { return Value{OK: p.ExeMtimeNS != 0, Int: p.ExeMtimeNS} })},
	{Name: "proc.exe_ino.ctime_duration_proc_start", Type: Int, Scope: Event, Desc: "time from the inode's change to the start", get: changeToStart},
	{Name: "proc.exe_ino.ctime_duration_pidns_start", Type: Int, Flags: Replayed, Scope: Process, Desc: "time from the container's start to the inode's change", get: namespaceToChange},
	{Name: "proc.stdin.type", Type: Text, Flags: Replayed, Scope: Event, Desc: "kind of standard input", get: standard(0, fileKind)},
	{Name: "proc.stdout.type", Type: Text, Flags: Replayed, Scope: Event, Desc: "kind of standard output", get: standard(1, fileKind)},
	{Name: "proc.stderr.type", Type: Text, Flags: Replayed, Scope: Event, Desc: "kind of standard error", get: standard(2, fileKind)},
	{Name: "proc.stdin.name", Type: Text, Flags: Replayed, Scope: Event, Desc: "name of standard input", get: standard(0, filePath)},
	{Name: "proc.stdout.name", Type: Text, Flags: Replayed, Scope: Event, Desc: "name of standard output", get: standard(1, filePath)},
	{Name: "proc.stderr.name", Type: Text, Flags: Replayed, Scope: Event, Desc: "name of standard error", get: standard(2, filePath)},
	{Name: "proc.cmdlenargs", Type: Uint64, Scope: Process, Desc: "length of all arguments together, without the blanks between them", get: ofProc(func(p *event.Process) Value {
		n := 0
		for _, a := range p.Args {
			n += len(a)
		}
		return number(n)
	})},
	{Name: "proc.aargs", Type: Text, Arg: OptionalIndex, Many: Any, Scope: Process, NoRight: true, NoTransform: true, Desc: "arguments of the [n]th ancestor, or of any", get: ofAncestor(func(p *event.Process) Value { return textOrEmpty(p.ArgsText()) })},
	{Name: "proc.ppid.ts", Type: Int, Scope: Event, Desc: "start of the parent, nanoseconds since 1970", get: startTime(1)},
	{Name: "proc.pidns_init_start_ts", Type: Uint64, Flags: Replayed, Scope: Process, Desc: "start of the process's namespace of process ids, nanoseconds since 1970", get: ofResources(func(r *event.Resources) Value {
		return Value{OK: r.NamespaceStartNS != 0, Int: int64(r.NamespaceStartNS)}
	})},
	{Name: "proc.fdopencount", Type: Uint64, Flags: Replayed, Scope: Event, Desc: "number of open descriptors", get: ofEvent(fdCount)},
	{Name: "proc.fdlimit", Type: Int, Flags: Replayed, Scope: Process, Desc: "how many descriptors may be open", get: ofResources(func(r *event.Resources) Value { return number(r.FDLimit) })},
	{Name: "proc.fdusage", Type: Double, Flags: Replayed, Scope: Event, Desc: "open descriptors in percent of the limit", get: ofEvent(fdUsage)},
	{Name: "proc.vmsize", Type: Uint64, Flags: Replayed, Scope: Event, Desc: "virtual memory in kB", get: ofResources(vmSize)},
	{Name: "proc.vmrss", Type: Uint64, Flags: Replayed, Scope: Event, Desc: "resident memory in kB", get: ofResources(vmRSS)},
	{Name: "proc.vmswap", Type: Uint64, Flags: Replayed, Scope: Event, Desc: "swapped memory in kB", get: ofResources(func(r *event.Resources) Value { return number(r.VMSwap) })},
	{Name: "proc.nthreads", Type: Uint64, Flags: Replayed, Scope: Event, Desc: "number of threads", get: ofProc(func(p *event.Process) Value { return Value{OK: p.Threads > 0, Int: int64(p.Threads)} })},
	{Name: "proc.nchilds", Type: Uint64, Flags: Replayed, Scope: Event, Desc: "number of threads but the first", get: ofProc(func(p *event.Process) Value { return Value{OK: p.Threads > 0, Int: int64(p.Threads) - 1} })},
	{Name: "thread.pfmajor", Type: Uint64, Flags: Replayed, Scope: Event, Desc: "major page faults of the thread", get: ofFirst(func(r *event.Resources) Value { return number(r.MajorFaults) })},
	{Name: "thread.pfminor", Type: Uint64, Flags: Replayed, Scope: Event, Desc: "minor page faults of the thread", get: ofFirst(func(r *event.Resources) Value { return number(r.MinorFaults) })},
	{Name: "thread.exectime", Type: Uint64, Scope: Event, Desc: "processor time of the thread that was switched away, nanoseconds"},
	{Name: "thread.totexectime", Type: Uint64, Scope: Event, Desc: "processor time of the thread since the capture began, nanoseconds"},
	{Name: "thread.cpu", Type: Double, Scope: Event, Desc: "processor use of the thread in the last second"},
	{Name: "thread.cpu.user", Type: Double, Scope: Event, Desc: "that part of it in user mode"},
	{Name: "thread.cpu.system", Type: Double, Scope: Event, Desc: "that part of it in the kernel"},
	{Name: "thread.vmsize", Type: Uint64, Flags: Replayed, Scope: Event, Desc: "virtual memory in kB, 0 but for the first thread", get: memoryOf(vmSize)},
	{Name: "thread.vmrss", Type: Uint64, Flags: Replayed, Scope: Event, Desc: "resident memory in kB, 0 but for the first thread", get: memoryOf(vmRSS)},
	{Name: "thread.vmsize.b", Type: Uint64, Scope: Event, Flags: Table, Desc: "for Falco's tables"},
	{Name: "thread.vmrss.b", Type: Uint64, Scope: Event, Flags: Table, Desc: "for Falco's tables"},
	{Name: "thread.nametid", Type: Text, Scope: Thread, Flags: Table, Desc: "for Falco's tables"},
	{Name: "thread.cgroup", Type: Text, Flags: Replayed, Arg: RequiredText, Scope: Thread, Desc: "cgroup of one subsystem, as in thread.cgroup.cpuacct", get: cgroup},
	{Name: "thread.tid", Type: Int, Scope: Thread, Desc: "thread id", get: ofEvent(func(e *event.Event) Value { return number(e.Task.TID) })},
	{Name: "thread.ismain", Type: Bool, Scope: Thread, Desc: "the thread is the process's first", get: ofEvent(func(e *event.Event) Value { return truth(e.Task.TID == e.Task.PID) })},
	{Name: "thread.vtid", Type: Int, Flags: Replayed, Scope: Thread, Desc: "thread id in its own namespace", get: ofEvent(func(e *event.Event) Value { return Value{OK: e.Task.VTID != 0, Int: int64(e.Task.VTID)} })},
	{Name: "thread.cap_permitted", Type: Text, Scope: Thread, Desc: "permitted capabilities", get: ofProc(func(p *event.Process) Value { return capabilities(p.Caps.Permitted, p.Caps.Known) })},
	{Name: "thread.cap_effective", Type: Text, Scope: Thread, Desc: "effective capabilities", get: ofProc(func(p *event.Process) Value { return capabilities(p.Caps.Effective, p.Caps.Known) })},
	{Name: "thread.cap_inheritable", Type: Text, Scope: Thread, Desc: "inheritable capabilities", get: ofProc(func(p *event.Process) Value { return capabilities(p.Caps.Inheritable, p.Caps.Known) })},
	{Name: "thread.cgroups", Type: Text, Flags: Replayed, Scope: Thread, Desc: "all cgroups", get: ofResources(func(r *event.Resources) Value { return text(strings.Join(r.Cgroups, " ")) })},
}

func comm(p *event.Process) Value    { return text(p.Comm) }
func exe(p *event.Process) Value     { return text(p.Exe) }
func exePath(p *event.Process) Value { return text(p.ExePath) }
func cmdLine(p *event.Process) Value { return text(p.CmdLine()) }

func session(p, of *event.Process) bool { return p.PID == of.SID }
func group(p, of *event.Process) bool   { return p.PID == of.PGID }

// ownGroup compares ids of the process's own namespace, which other containers use too.
func ownGroup(p, of *event.Process) bool {
	return p.VPID == of.VPGID && p.Container == of.Container
}

func sameSession(p, of *event.Process) bool { return p.SID == of.SID }
func sameGroup(p, of *event.Process) bool   { return p.PGID == of.PGID }
func sameOwnGroup(p, of *event.Process) bool {
	return p.VPGID == of.VPGID && p.Container == of.Container
}

// ofLeader finds the leader among the process and its ancestors. Where it has
// gone, the eldest ancestor that belongs to the same group counts.
func ofLeader(leads, belongs func(p, of *event.Process) bool, get func(*event.Process) Value) reader {
	return ofProc(func(of *event.Process) Value {
		eldest := of
		for p, n := of, 0; p != nil && n < maxAncestors; n++ {
			if leads(p, of) {
				return get(p)
			}
			if !belongs(p, of) {
				break
			}
			eldest, p = p, p.Parent
		}
		return get(eldest)
	})
}

// age is how old a process was at the event. A process older than the agent has
// none: rules rely on NULL there.
func age(generation int) reader {
	return func(e *event.Event, _ Argument, _ int) Value {
		p := e.Proc
		if generation == 1 && p != nil {
			p = p.Parent
		}
		if p == nil || !p.StartKnown || e.KernelNS < p.StartNS {
			return Value{}
		}
		return number(e.KernelNS - p.StartNS)
	}
}

// startTime counts from the event's own two clocks, so it is of event scope: they may
// be set anew while a process lives.
func startTime(generation int) reader {
	return func(e *event.Event, _ Argument, _ int) Value {
		p := e.Proc
		if generation == 1 && p != nil {
			p = p.Parent
		}
		if p == nil || p.StartNS == 0 || e.KernelNS == 0 {
			return Value{}
		}
		return number(e.TimeNS - int64(e.KernelNS) + int64(p.StartNS))
	}
}

// changeToStart is the time from the last change of the binary's inode to the process's
// start.
func changeToStart(e *event.Event, _ Argument, _ int) Value {
	p := e.Proc
	if p == nil || p.StartNS == 0 || p.ExeCtimeNS == 0 || e.KernelNS == 0 {
		return Value{}
	}
	return number(int(e.TimeNS - int64(e.KernelNS) + int64(p.StartNS) - p.ExeCtimeNS))
}

// namespaceToChange is the time from the start of the process's pid namespace to the
// last change of the binary's inode, NULL where the change came before.
func namespaceToChange(e *event.Event, _ Argument, _ int) Value {
	p := e.Proc
	if p == nil || p.Resources == nil || p.Resources.NamespaceStartNS == 0 || p.ExeCtimeNS <= int64(p.Resources.NamespaceStartNS) {
		return Value{}
	}
	return number(int(p.ExeCtimeNS - int64(p.Resources.NamespaceStartNS)))
}

func args(e *event.Event, a Argument, _ int) Value {
	switch {
	case e.Proc == nil || a.Set && a.Index >= len(e.Proc.Args):
		return Value{}
	case a.Set:
		return textOrEmpty(e.Proc.Args[a.Index])
	}
	return textOrEmpty(e.Proc.ArgsText())
}

func loginShell(p *event.Process) Value {
	var v Value
	for n := 0; p != nil && n < maxAncestors; n++ {
		switch p.Comm {
		case "sh", "bash", "dash", "ash", "zsh", "ksh", "csh", "tcsh", "fish":
			v = number(p.PID)
		}
		p = p.Parent
	}
	return v
}
