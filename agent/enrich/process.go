package enrich

import (
	"unsafe"

	"riposte/agent/event"
)

// same says whether the start time of a task is the entry's.
func (p *entry) same(start uint64) bool {
	if p.coarse {
		return p.StartNS == start/clockTick*clockTick
	}
	return p.StartNS == start
}

// process finds the entry of a task, or makes one, and takes over what the kernel
// says about it now.
func (t *Table) process(task *event.Task) *entry {
	p := t.find(task.PID, task.StartNS)
	if p == nil {
		p = t.discover(task)
	}
	if p.coarse {
		p.StartNS, p.coarse = task.StartNS, false
		t.clock.Changed(&p.Process)
	}
	t.took(p, task)
	if !p.Exited {
		if task.PPID != p.PPID || p.parent == nil {
			t.adopt(p, task.PPID)
		}
		t.move(p, task.CgroupID)
		t.replace(p, task.CgroupID)
	}
	return p
}

// find looks among the living and the remembered. A living entry of another start
// has ended unnoticed, or the event is about its predecessor.
func (t *Table) find(pid int32, start uint64) *entry {
	p := t.byPID[pid]
	if p != nil && p.same(start) {
		return p
	}
	for _, k := range []key{{pid, start}, {pid, start / clockTick * clockTick}} {
		if old := t.exited[k]; old != nil && old.same(start) {
			return old
		}
	}
	if p != nil && p.StartNS < start {
		t.exit(p, start)
	}
	return nil
}

// discover makes an entry for a process that no fork event announced.
func (t *Table) discover(task *event.Task) *entry {
	p := &entry{}
	if t.files != nil {
		if seen, ok := t.files.process(task.PID); ok && seen.Process.StartNS == task.StartNS/clockTick*clockTick {
			p.Process = seen.Process
		}
	}
	p.PID, p.StartNS = task.PID, task.StartNS
	if p.Comm == "" {
		p.Comm = task.Comm
		p.LoginUID = noLogin
	}
	p.UID, p.GID = task.UID, task.GID
	p.Container = event.Host
	t.clock.Changed(&p.Process)
	if now := t.byPID[task.PID]; now != nil && now.StartNS > task.StartNS {
		// A later process has the pid already: this one is remembered at once.
		p.Exited = true
		p.exitNS = now.StartNS
		t.remember(p)
		t.move(p, task.CgroupID)
		return p
	}
	t.add(p)
	t.lookLegacy(p)
	return p
}

// noLogin is the audit login of who never logged in.
const noLogin = ^uint32(0)

// add puts an entry among the living. A full table gives up its oldest dead; with
// none left it does not grow, and the entry serves its one event.
func (t *Table) add(p *entry) bool {
	if len(t.byPID)+len(t.ended) >= t.o.MaxProcesses {
		if len(t.ended) == 0 {
			t.count("process_not_kept")
			return false
		}
		t.forgetOldest()
	}
	t.byPID[p.PID] = p
	return true
}

// adopt links a process to the parent of that pid, if that is known.
func (t *Table) adopt(p *entry, ppid int32) {
	parent := t.byPID[ppid]
	if parent == p || parent != nil && parent.under(p) {
		parent = nil
	}
	if p.PPID == ppid && p.parent == parent {
		return
	}
	t.leave(p)
	p.PPID = ppid
	if parent == nil {
		t.clock.Adopt(&p.Process, nil)
		return
	}
	p.parent = parent
	t.clock.Adopt(&p.Process, &parent.Process)
	if parent.children == nil {
		parent.children = map[*entry]struct{}{}
	}
	parent.children[p] = struct{}{}
}

// under says whether q is among p's ancestors; a parent below its own child would
// make a ring.
func (p *entry) under(q *entry) bool {
	for a := p.parent; a != nil; a = a.parent {
		if a == q {
			return true
		}
	}
	return false
}

func (t *Table) leave(p *entry) {
	if p.parent != nil {
		delete(p.parent.children, p)
		p.parent = nil
	}
}

// fork adds the child as a copy of its parent.
func (t *Table) fork(p *entry, e *event.Event) {
	f := e.Fork
	if c := t.find(f.PID, f.StartNS); c != nil {
		// The snapshot was faster than this event; what it saw is newer.
		c.StartNS, c.coarse, c.StartKnown = f.StartNS, false, true
		t.clock.Changed(&c.Process)
		return
	}
	c := &entry{Process: p.Process} // not where it sits: that is counted
	c.PID, c.PPID, c.StartNS, c.StartKnown = f.PID, f.PPID, f.StartNS, true
	c.VPID, c.placed = f.VPID, t.placing
	c.Exited = false
	c.Verdicts, c.Interest = event.Verdicts{}, event.Interest{}
	c.Container = event.Host
	if !t.add(c) {
		return
	}
	ppid := f.PPID
	if ppid == 0 {
		ppid = p.PID
	}
	t.adopt(c, ppid)
	t.move(c, f.CgroupID)
	if c.in == nil && p.in != nil && p.in.legacy {
		t.join(c, p.in)
	}
	c.Own = t.ownChild(c, p)
}

// exit moves an entry from the living to the remembered and its children to whom
// the kernel gave them.
func (t *Table) exit(p *entry, at uint64) {
	if p.Exited {
		return
	}
	p.Exited = true
	p.exitNS = at
	t.clock.Changed(&p.Process)
	if t.byPID[p.PID] == p {
		delete(t.byPID, p.PID)
	}
	if p.parent != nil {
		delete(p.parent.children, p)
	}
	heir := t.reaper(p)
	for c := range p.children {
		c.parent, c.heir = nil, heir
		t.clock.Adopt(&c.Process, nil)
		t.orphans = append(t.orphans, c)
	}
	p.children = nil
	t.remember(p)
	t.rehome()
}

func (t *Table) remember(p *entry) {
	t.exited[key{p.PID, p.StartNS}] = p
	t.ended = append(t.ended, p)
	p.bytes = p.size()
	t.endedBytes += p.bytes
	for t.endedBytes > maxEndedBytes {
		t.forgetOldest()
	}
}

// forgetOldest gives up the process that has ended first; there is one.
func (t *Table) forgetOldest() {
	t.count("process_forgotten_early")
	t.drop(t.ended[0])
	t.ended[0] = nil
	t.ended = t.ended[1:]
}

// size is about how many bytes an entry takes. Texts that it has from its parent are
// counted for both.
func (p *entry) size() int {
	n := int(unsafe.Sizeof(*p)) + len(p.Exe) + len(p.ExePath) + len(p.CWD)
	for _, list := range [][]string{p.Args, p.Env} {
		for _, s := range list {
			n += int(unsafe.Sizeof(s)) + len(s)
		}
	}
	return n
}

// forget drops entries that ended long before now.
func (t *Table) forget(now uint64) {
	if len(t.orphans) > 0 {
		t.rehome()
	}
	n := 0
	for n < len(t.ended) && t.ended[n].exitNS+uint64(keepExited) < now {
		t.drop(t.ended[n])
		n++
	}
	if n > 0 {
		t.ended = append(t.ended[:0], t.ended[n:]...)
		t.forgetContainers(now)
	}
}

func (t *Table) drop(p *entry) {
	t.endedBytes -= p.bytes
	k := key{p.PID, p.StartNS}
	if t.exited[k] == p {
		delete(t.exited, k)
	}
	t.leave(p)
	t.unhold(p)
}
