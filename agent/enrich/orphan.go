package enrich

import "riposte/agent/event"

// rehome asks /proc for the new parents of processes whose parent has ended. The
// exit event comes before the kernel has passed the children on, so some have to be
// asked again with the next event. A recording has no /proc: there the kernel's rule
// is followed as far as it is known.
func (t *Table) rehome() {
	waiting := t.orphans[:0]
	for _, c := range t.orphans {
		if c.Exited || c.parent != nil {
			continue
		}
		if t.files == nil {
			t.adopt(c, c.heir)
			continue
		}
		ppid, ok := t.files.parent(c.PID)
		switch {
		case !ok:
			t.adopt(c, c.heir) // it has ended too
		case ppid == c.PPID && t.byPID[ppid] == nil:
			waiting = append(waiting, c)
		default:
			t.adopt(c, ppid)
		}
	}
	clear(t.orphans[len(waiting):])
	t.orphans = waiting
}

// reaper is who takes the children of an ending process: its nearest ancestor that
// asked for them with PR_SET_CHILD_SUBREAPER or is the first of a pid namespace, in
// the end process 1.
func (t *Table) reaper(p *entry) int32 {
	for n := 0; p.parent != nil && n < maxAncestors; n++ {
		p = p.parent
		if p.subreaper || p.VPID == 1 {
			return p.PID
		}
	}
	return 1
}

// maxAncestors bounds a walk up the tree.
const maxAncestors = 128

// prctl notes who wants to be given orphans.
func (t *Table) prctl(p *entry, e *event.Event) {
	const setChildSubreaper = 36
	if option, ok := e.Arg("option"); !ok || option.Int != setChildSubreaper || e.Ret < 0 {
		return
	}
	if on, ok := e.Arg("arg2_int"); ok {
		p.subreaper = on.Int != 0
	}
}
