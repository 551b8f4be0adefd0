package event

// Clock orders the changes of one process table. What was found out about a process
// holds for as long as nothing changed that it was found out from; the clock says
// whether something did, without a walk over the table at either end.
//
// Whoever keeps a table tells its clock of every change to what a field of process
// or container scope reads:
//
//   - of the process itself: Born at a fork that copies its parent; exec, exit, the setuid and setgid families and
//     capset, its name (prctl), chdir and chroot, setsid and setpgid, setns and unshare,
//     a move to another cgroup, names of users and groups that arrive: Changed;
//   - of its ancestors: all of these, and reparenting: Adopt;
//   - of its container: metadata that arrives: ContainerChanged.
//
// What depends on the time or the thread is no part of it. The zero value is ready.
// It belongs to the goroutine that keeps the table.
type Clock struct {
	now uint64
	// inner is the last change of a process that has, or had, children.
	inner uint64
	// wide is the last change that may concern several processes: one of an ancestor or
	// of a container.
	wide uint64
}

// Now is the time of the last change.
func (c *Clock) Now() uint64 { return c.now }

// Changed notes that something of the process is not what it was.
func (c *Clock) Changed(p *Process) {
	c.now++
	p.changed = c.now
	if p.hasChild {
		c.inner, c.wide = c.now, c.now
	}
}

// ContainerChanged notes that more is known of a container.
func (c *Clock) ContainerChanged(k *Container) {
	c.now++
	k.changed, c.wide = c.now, c.now
}

// Wide is the time of the last change that may concern other processes than the one
// that it is of.
func (c *Clock) Wide() uint64 { return c.wide }

// Born notes a process that began as a copy of another one.
func (c *Clock) Born(p *Process) {
	p.hasChild = false
	p.Verdicts, p.Interest = Verdicts{}, Interest{}
	c.Changed(p)
}

// Adopt makes parent, which may be nil, the parent of a process.
func (c *Clock) Adopt(p, parent *Process) {
	p.Parent = parent
	if parent != nil {
		parent.hasChild = true
	}
	c.Changed(p)
	if parent == nil {
		c.wide = c.now // who takes it from its parent may not be its own event
	}
}

// Since says whether something that a field of p of process or container scope
// reads changed after then.
func (c *Clock) Since(p *Process, then uint64) bool {
	if p.changed > then || p.Container != nil && p.Container.changed > then {
		return true
	}
	if c.inner <= then {
		return false
	}
	for range maxAncestors {
		if p = p.Parent; p == nil {
			return false
		}
		if p.changed > then {
			return true
		}
	}
	return true
}

// maxAncestors bounds the walk up a tree, also should it ever be a ring. Fields look
// at no more ancestors than that.
const maxAncestors = 128

// Interest is what is known of how much the rules still want of a process's events. It
// belongs to whoever tells the kernel.
type Interest struct {
	// Gen, Epoch and Round are what it holds for, At the clock when it was last seen to.
	Gen   uint32
	Epoch uint64
	Round uint64
	At    uint64
	// InVain counts events that no rule could have matched; Told says that the kernel
	// leaves such out by now.
	InVain uint32
	Told   bool
}

// Verdicts is what a set of rules has found out about a process: two bits for each
// condition of its own, whether it is known and what it is.
type Verdicts struct {
	// Of is the process that the bits are about: a copy of a process has none.
	Of *Process
	// Owner tells the sets of rules apart, At is the clock when the bits were last
	// seen to hold.
	Owner, At uint64
	Bits      []uint64
}
