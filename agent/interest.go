package agent

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"riposte/agent/capture"
	"riposte/agent/event"
	"riposte/agent/rules"
)

// masking is a source that can leave out a process's events; see capture.Live.
type masking interface {
	SetInterest(i *capture.Interest) error
	DropInterest(pid int32) error
	VoidInterest() error
	Masked() (masked, unkept uint64)
	SetPaths(p event.Paths) error
	PassedBy() uint64
}

const (
	// inVain is how many events of a process no rule could match before the kernel is
	// told: most processes end, or change, before it would pay.
	inVain = 8
	// interestLives bounds what a mask could hide that neither the kernel nor the table
	// notes, such as another name of the directory that a process is in.
	interestLives = 10 * time.Second
)

// interest tells the kernel what of each process no rule can match any more, as long
// as nothing changes that a rule asks about it. The rules then miss nothing that they
// would have seen: a mask holds for the process as the table has it, and not longer.
// Who may end one:
//
//   - the kernel, at a change of the process or of what may be its ancestor, before the
//     change is told;
//   - weigh, when an event tells news that the kernel does not count as a change;
//   - follow, when the table learns something that concerns other processes than the event's;
//   - whoever tells the table or the rules something beside the events: void.
//
// The pipeline's turn guards it, but for what is atomic.
type interest struct {
	masks   masking
	settled func(*event.Process) bool
	log     *slog.Logger

	// round counts what ended all masks; told says that there are masks since, and
	// newest is the last epoch that one of them holds for.
	round  atomic.Uint64
	told   bool
	newest uint64
	// wide is the table's last change, of those that may concern many, that was followed.
	wide uint64
	// types are what a mask of the set is made of.
	set   *rules.Ruleset
	types []event.Type
	// failed counts masks that the kernel did not take.
	failed atomic.Uint64
}

// newInterest has the kernel count changes from now on.
func newInterest(masks masking, settled func(*event.Process) bool, log *slog.Logger) (*interest, error) {
	return &interest{masks: masks, settled: settled, log: log}, masks.VoidInterest()
}

// void ends all masks. A nil interest has none.
func (m *interest) void() {
	if m == nil {
		return
	}
	m.round.Add(1)
	if err := m.masks.VoidInterest(); err != nil {
		m.log.Error("events may be left out that a rule could match by now", "error", err)
	}
}

// paths tells the kernel what the path of a file that is opened for reading must have
// for a rule to match; none at all, and all such opens are told.
func (m *interest) paths(p event.Paths) {
	if m == nil {
		return
	}
	if err := m.masks.SetPaths(p); err != nil {
		m.log.Warn("opens are told whatever their path", "error", err)
	}
}

// follow ends all masks if the event has told the table something that may concern any
// process, unless the kernel has already ended them.
func (m *interest) follow(e *event.Event) {
	if m == nil || e.Clock == nil || e.Clock.Wide() == m.wide {
		return
	}
	m.wide = e.Clock.Wide()
	if m.told && e.Epoch <= m.newest {
		m.void()
		m.told = false
	}
}

// weigh counts events that came in vain, and tells the kernel when there were enough.
// The event must have been looked at in its turn, with its process as it is now.
func (p *pipeline) weigh(e *event.Event) {
	m := p.interest
	if m == nil || e.Gen == 0 || e.Clock == nil {
		return
	}
	i, round := &e.Proc.Interest, m.round.Load()
	if i.Gen != e.Gen || i.Epoch != e.Epoch || i.Round != round || e.Proc.Exited || e.Clock.Since(e.Proc, i.At) {
		if i.Told {
			m.drop(e.Proc.PID)
		}
		*i = event.Interest{Gen: e.Gen, Epoch: e.Epoch, Round: round}
	}
	i.At = e.Clock.Now()
	if i.Told || e.Proc.Exited || e.Type == event.Unknown || e.Type.State() || p.settings.muted[e.Type] || p.settings.rules.Possible(e.Proc, e.Clock, e.Type) {
		return
	}
	if i.InVain++; i.InVain >= inVain && m.settled(e.Proc) {
		p.mask(e)
	}
}

// mask tells the kernel which types it may leave out. Other settings do not come into
// force in between: they end all masks first.
func (p *pipeline) mask(e *event.Event) {
	m, proc := p.interest, e.Proc
	told := capture.Interest{
		PID: proc.PID, StartNS: proc.StartNS, Gen: e.Gen, Epoch: e.Epoch, CgroupID: e.Task.CgroupID, PPID: proc.PPID,
		UID: proc.UID, GID: proc.GID, Comm: proc.Comm, Wanted: m.wanted(p.settings.rules, proc, e.Clock),
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current.Load() != p.settings {
		return
	}
	if err := m.masks.SetInterest(&told); err != nil {
		if m.failed.Add(1) == 1 {
			m.log.Warn("the kernel takes no more masks: events come that no rule can match", "error", err)
		}
		proc.Interest.InVain = 0 // not with each event again
		return
	}
	proc.Interest.Told, m.told = true, true
	m.newest = max(m.newest, e.Epoch)
}

// wanted has a bit for every type but those that no rule can match.
func (m *interest) wanted(set *rules.Ruleset, p *event.Process, c *event.Clock) [4]uint64 {
	if m.set != set {
		m.set, m.types = set, set.Types()
	}
	bits := [4]uint64{^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0)}
	for _, t := range m.types {
		if !set.Possible(p, c, t) {
			bits[t>>6] &^= 1 << (t & 63)
		}
	}
	return bits
}

func (m *interest) drop(pid int32) {
	if err := m.masks.DropInterest(pid); err != nil {
		m.log.Error("events of a process may be left out that a rule could match by now", "pid", pid, "error", err)
	}
}

// renewInterest ends all masks now and then, until ctx ends.
func (p *pipeline) renewInterest(ctx context.Context) {
	t := time.NewTicker(interestLives)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		p.turn.Lock()
		if p.interest.told {
			p.interest.void()
			p.interest.told = false
		}
		p.turn.Unlock()
	}
}
