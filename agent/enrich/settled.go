package enrich

import "riposte/agent/event"

// Settled says whether all that is awaited about a process has come: no event of
// another process, and no answer of a lookup that is under way, will tell more of it
// than the kernel does. So long as it is false, the process's next event may be seen with
// other eyes though the process has not changed.
func (t *Table) Settled(p *event.Process) bool {
	own := t.byPID[p.PID]
	if own == nil || &own.Process != p || own.coarse || len(t.orphans) > 0 {
		return false
	}
	for a := p; a.PPID != 0; a = a.Parent {
		if a.Parent == nil {
			return false // it is linked to its parent when that is known
		}
	}
	c := p.Container
	if c.Metadata == event.MetadataAwaited || c.Metadata == event.MetadataLate {
		return false
	}
	return t.o.Pods == nil || c.Pod == nil || c.Pod.Name != ""
}
