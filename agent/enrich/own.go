package enrich

// ownChild says whether a new process is the agent's own: its parent is the agent, or
// the agent's own. A process in another container than its parent is not, and nor is one
// that leaves for one: nobody hides an attack by starting it from here.
func (t *Table) ownChild(p, parent *entry) bool {
	return t.o.Self != 0 && (parent.PID == t.o.Self || parent.Own) && p.Container == parent.Container
}
