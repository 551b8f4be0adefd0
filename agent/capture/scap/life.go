package scap

import "riposte/agent/event"

// Flags of a program in the capture format.
const (
	exeWritable = 1
	exeUpper    = 2
	exeMemfd    = 4
	exeLower    = 8
)

// Flags of a clone in the capture format.
const cloneFiles, cloneParent, cloneThread = 1, 1 << 8, 1 << 13

// childInNamespace marks a clone whose result is a number in another pid namespace.
const childInNamespace, newNamespace = 1 << 29, 1 << 6

// cloned is seen twice: by the parent, with the child's number, and by the child,
// with 0. Either may come first.
func (d *decoder) cloned(e *event.Event) {
	flags := uint32(d.or(pFlags, 0))
	switch {
	case e.Ret < 0:
	case e.Ret == 0:
		d.child(e, flags)
	case flags&(childInNamespace|newNamespace) != 0 || d.thread.vtid != d.thread.tid:
		// The result is no number that others know the child by: its own event has that.
	case d.threads.get(e.Ret) == nil:
		pid := e.Ret
		if flags&cloneThread != 0 {
			pid = int64(d.thread.proc.PID)
		}
		d.born(e, e.Ret, pid, d.thread, flags).fresh = true
	}
}

// child is the first event of a new thread.
func (d *decoder) child(e *event.Event, flags uint32) {
	pid, ptid := d.or(pPID, d.tid), d.or(pPTID, 0)
	t := d.thread
	if !t.fresh {
		var from *thread
		if flags&cloneThread != 0 {
			from = d.threads.get(pid)
		} else {
			from = d.threads.get(ptid)
		}
		if from == t {
			from = nil
		}
		t = d.born(e, d.tid, pid, from, flags)
	}
	d.thread, t.fresh = t, false
	t.vtid = d.or(pVTID, d.tid)
	if flags&cloneThread != 0 {
		return
	}
	p := t.proc
	p.VPID = int32(d.or(pVPID, pid))
	if p.Args == nil && d.has(pArgs) {
		d.setWords(p, d.val(pArgs), nil) // else it has its parent's
	}
	d.says(p)
	d.adopt(p, ptid)
	d.belongs(p)
	d.clock.Changed(&p.Process)
	d.identify(p)
}

// born makes a thread, or a process that begins as a copy of its parent. from is nil
// for a parent that nobody knows.
func (d *decoder) born(e *event.Event, tid, pid int64, from *thread, flags uint32) *thread {
	if flags&cloneThread != 0 {
		var p *proc
		if from != nil {
			p = from.proc
		}
		t := d.add(tid, p)
		if from != nil {
			d.share(t, from, true)
		}
		return t
	}
	p := &proc{}
	p.Container, p.LoginUID = event.Host, noLogin
	if from != nil {
		p.Process = from.proc.Process
		p.Parent = nil
		d.clock.Born(&p.Process)
	}
	p.PID, p.VPID, p.PPID = int32(pid), int32(pid), -1
	p.StartNS, p.StartKnown, p.Exited = e.KernelNS, true, false
	t := d.add(tid, p)
	if from != nil {
		d.share(t, from, flags&cloneFiles != 0)
		if above := from.proc; flags&cloneParent != 0 {
			if above.parent != nil {
				d.join(p, above.parent)
			}
		} else {
			d.join(p, above)
		}
	}
	if from == d.thread {
		d.says(p)
	}
	return t
}

// says takes over what a clone tells about the process; parent and child tell the
// same.
func (d *decoder) says(p *proc) {
	if b := d.val(pExe); b != nil {
		d.seen.keep(&p.Exe, b)
	}
	if d.has(pComm) || p.Comm == "" {
		if d.seen.keep(&p.Comm, d.val(pComm)); p.Comm == "" {
			p.Comm = comm(p.Exe)
		}
	}
	if b := untilNUL(d.val(pCWD)); len(b) > 0 && string(b) != missing {
		d.seen.keep(&p.CWD, dir(b))
	}
	if n, ok := d.num(pUID); ok {
		p.UID, p.EUID = uint32(n), uint32(n)
	}
	if n, ok := d.num(pGID); ok {
		p.GID = uint32(n)
	}
}

// belongs takes over what a child's clone or an exec tells about limits, use and
// cgroups.
func (d *decoder) belongs(p *proc) {
	r := &event.Resources{
		FDLimit: d.or(pFDLimit, 0), VMSize: uint64(d.or(pVMSize, 0)), VMRSS: uint64(d.or(pVMRSS, 0)), VMSwap: uint64(d.or(pVMSwap, 0)),
		MajorFaults: uint64(d.or(pMajor, 0)), MinorFaults: uint64(d.or(pMinor, 0)), NamespaceStartNS: uint64(d.or(pNamespaceStart, 0)),
	}
	if before := p.Resources; before != nil {
		r.Cgroups = before.Cgroups
		if !d.has(pNamespaceStart) {
			r.NamespaceStartNS = before.NamespaceStartNS // an exec does not say
		}
	}
	p.Resources = r
	if cgroups := d.val(pCgroups); cgroups != nil {
		m := d.containers.of(cgroups, p.StartNS)
		p.Container, r.Cgroups = m.container, m.cgroups
	}
}

// exec puts the new program in the place of the old one. A failed one leaves the
// caller as it is.
func (d *decoder) exec(e *event.Event) {
	if e.Ret < 0 {
		return
	}
	pid := d.or(pPID, int64(d.thread.proc.PID))
	if d.tid != pid {
		d.lead(pid)
	}
	t := d.thread
	p := t.proc
	p.PID = int32(pid)
	d.setWords(p, d.val(pArgs), d.val(pEnv))
	d.says(p)
	p.ExePath = d.exePath()
	flags := d.or(pFlags, 0)
	p.ExeWritable, p.ExeUpperLayer, p.ExeMemfd = flags&exeWritable != 0, flags&exeUpper != 0, flags&exeMemfd != 0
	p.ExeLowerLayer = flags&exeLower != 0
	p.ExeIno = uint64(d.or(pExeIno, 0))
	p.ExeCtimeNS, p.ExeMtimeNS = d.or(pCtime, 0), d.or(pMtime, 0)
	p.TTY = uint32(d.or(pTTY, int64(p.TTY)))
	p.VPGID, p.PGID = int32(d.or(pVPGID, int64(p.VPGID))), int32(d.or(pPGID, int64(p.PGID)))
	p.LoginUID = uint32(d.or(pLoginUID, int64(p.LoginUID)))
	if d.has(pCapP) {
		p.Caps = event.Capabilities{
			Known: true, Inheritable: uint64(d.or(pCapI, 0)), Permitted: uint64(d.or(pCapP, 0)), Effective: uint64(d.or(pCapE, 0)),
		}
	}
	if ptid, ok := d.num(pPTID); ok && (p.parent == nil || int64(p.parent.PID) != ptid) {
		d.adopt(p, ptid)
	}
	d.belongs(p)
	if t.fds.refs > 1 {
		own := d.copyFDs(t.fds)
		d.release(t.fds)
		t.fds = own
	}
	d.closeOnExec(t.fds)
	d.clock.Changed(&p.Process)
	d.identify(p)
}

// lead makes the calling thread the process's first: an exec ends all others.
func (d *decoder) lead(pid int64) {
	t, leader := d.thread, d.threads.get(pid)
	if leader == nil || leader == t || leader.proc != t.proc {
		return
	}
	d.threads.remove(t.tid)
	d.forgetEntry(t)
	t.proc.threads--
	d.release(t.fds)
	d.thread = leader
}

// exePath is the binary's own path where the recorder knew it, else what was asked
// for, made absolute.
func (d *decoder) exePath() string {
	if s := d.seen.text(d.val(pTrusted)); s != "" && s != missing {
		return s
	}
	for _, s := range []slot{pFilename, pPathname} {
		i := d.typ.at[s]
		if i < 0 || d.at(int(i)) == nil {
			continue
		}
		if full := d.resolved(int(i), d.at(int(i))); full != "" && full != missing {
			d.tell(i, full)
			return full
		}
	}
	if exe := d.text(pExe); exe != "" && exe[0] == '/' {
		return absolute(exe, "")
	}
	return ""
}

// exited takes the thread away after its last event.
func (d *decoder) exited() {
	t := d.thread
	p := t.proc
	if p.threads <= 1 {
		var reaper *proc
		if r := d.threads.get(d.or(pReaper, 1)); r != nil && r != t {
			reaper = r.proc
		}
		d.end(p, reaper)
	}
	d.remove(t)
}
