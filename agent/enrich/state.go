package enrich

import (
	"riposte/agent/event"
)

// set writes a value and says whether it was another one.
func set[T comparable](to *T, v T) bool {
	changed := *to != v
	*to = v
	return changed
}

// took takes over what every event says about its process. A thread has a name and,
// to the kernel, credentials of its own: the first thread's are the process's.
func (t *Table) took(p *entry, task *event.Task) {
	if task.TID != task.PID {
		return
	}
	changed := set(&p.UID, task.UID)
	changed = set(&p.GID, task.GID) || changed
	if task.Comm != "" {
		changed = set(&p.Comm, task.Comm) || changed
	}
	if changed {
		t.clock.Changed(&p.Process)
	}
}

// exec puts the new program in the place of the old one.
func (t *Table) exec(p *entry, e *event.Event) {
	x := e.Exec
	p.Comm = e.Task.Comm
	p.ExePath = x.Path
	p.Exe, p.Args = "", nil
	if len(x.Args) > 0 {
		p.Exe, p.Args = x.Args[0], x.Args[1:]
	}
	p.ArgsTruncated = x.Truncated
	p.Env = x.Env
	p.ExeUpperLayer, p.ExeLowerLayer, p.ExeMemfd, p.ExeWritable = x.UpperLayer, x.LowerLayer, x.Memfd, x.Writable
	p.ExeIno, p.ExeCtimeNS, p.ExeMtimeNS = x.Ino, x.CtimeNS, x.MtimeNS
	p.state(&x.State, true)
	t.clock.Changed(&p.Process)
	t.lookLegacy(p)
	t.nameUsers(p)
}

// change takes over what a call of the state set has changed.
func (t *Table) change(p *entry, e *event.Event) {
	before := p.EUID
	if !p.state(e.Change, e.Task.TID == e.Task.PID) {
		return
	}
	t.clock.Changed(&p.Process)
	if p.EUID != before || p.User == "" {
		t.nameUsers(p)
	}
}

// state takes over a task's state and says whether any of it is new. What the kernel's
// programs could not read is left as it was. whole is false for the state of a thread
// that is not the first: it shares all but the credentials.
func (p *entry) state(s *event.State, whole bool) bool {
	c := set(&p.TTY, s.TTY)
	c = set(&p.SID, s.SID) || c
	c = set(&p.PGID, s.PGID) || c
	c = set(&p.VPID, s.VPID) || c
	c = set(&p.VPGID, s.VPGID) || c
	c = set(&p.LoginUID, s.LoginUID) || c
	if s.CWD != "" {
		c = set(&p.CWD, s.CWD) || c
	}
	if s.Root != "" {
		c = set(&p.Root, s.Root) || c
	}
	if s.Namespaces != (event.Namespaces{}) {
		c = set(&p.Namespaces, s.Namespaces) || c
	}
	if !whole {
		return c
	}
	c = set(&p.EUID, s.EUID) || c
	c = set(&p.EGID, s.EGID) || c
	if s.Caps.Known {
		c = set(&p.Caps, s.Caps) || c
	}
	return c
}

// cwd takes over a working directory that an event happened to tell.
func (t *Table) cwd(p *entry, dir string) {
	if set(&p.CWD, dir) {
		t.clock.Changed(&p.Process)
	}
}
