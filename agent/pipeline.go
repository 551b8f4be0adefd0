package agent

import (
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	"riposte/agent/alert"
	"riposte/agent/contain"
	"riposte/agent/event"
	"riposte/agent/rules"
)

// pipeline is what happens to one event, one event at a time.
type pipeline struct {
	log *slog.Logger
	// turn is held by whoever works on an event or tells the table something.
	turn  sync.Mutex
	table table
	// parked keeps events whose container's metadata is awaited; nil if none waits.
	parked *hold
	// interest tells the source what no rule can match; nil if it would not listen.
	interest *interest
	// current are the settings in force.
	current atomic.Pointer[settings]
	// self is the agent's own process, own how much of it the rules see.
	self int32
	own  ownEvents

	// immediate contains the event's container before the alert is made, if a standing
	// order says so; nil where there are no orders.
	immediate func(event.Container, contain.Firing) *alert.Contained

	// event is the one in work, settings those it is looked at with, fired the rules
	// that have fired. holding says that mu is held, which is from its first alert to
	// its last; stale that other settings came into force before the first.
	event          *event.Event
	settings       *settings
	fired          []*rules.Rule
	holding, stale bool
	// seen counts events; events is the same for other goroutines, a little late.
	seen   uint64
	events atomic.Uint64

	// mu makes numbering an alert and handing it to the outputs one step: alerts
	// about the agent itself come from other goroutines. It also keeps the settings.
	mu      sync.Mutex
	stamp   stamp
	matches map[string]*matched
	// seq is the last alert's number, for the heartbeat.
	seq atomic.Uint64
	// unmade counts alerts that could not be made or encoded.
	unmade atomic.Uint64
}

// matched counts one rule's firings, over all rulesets.
type matched struct {
	priority alert.Priority
	source   string
	tags     []string
	n        uint64
}

// lateBy is how many events may not be in pipeline.events yet: telling others of
// each one would cost more than counting it.
const lateBy = 32

// handle takes one event all the way, or to where it waits.
func (p *pipeline) handle(e *event.Event) {
	p.turn.Lock()
	defer p.turn.Unlock()
	p.table.Apply(e)
	p.interest.follow(e)
	if p.seen++; p.seen%lateBy == 0 {
		p.events.Store(p.seen)
	}
	if p.hides(e) {
		return
	}
	if p.parked != nil {
		taken, over := p.parked.take(e)
		if over != nil {
			p.release([]*waiting{over})
		}
		if taken {
			return
		}
	}
	p.evaluate(e)
	p.weigh(e)
}

// evaluate shows an event to the rules. Where the name that was given and the file
// that was reached differ, they see it twice, so that a symbolic link gets past neither
// kind of rule. The second look comes whatever the first one found: a harmless rule
// about the name must not hide a grave one about the file.
func (p *pipeline) evaluate(e *event.Event) {
	p.event = e
	for !p.look() {
	}
}

// look matches the event with the settings in force. It is false if others took
// their place before the first alert: nothing was told then, and the new ones count.
func (p *pipeline) look() bool {
	e := p.event
	p.settings, p.fired, p.stale = p.current.Load(), p.fired[:0], false
	if p.settings.muted[e.Type] {
		return true
	}
	p.settings.rules.Match(e, p.fire)
	if e.NameDiffers() {
		e.RealView = true
		p.settings.rules.Match(e, p.fire)
		e.RealView = false
	}
	if p.holding {
		p.holding = false
		p.mu.Unlock()
	}
	return !p.stale
}

// fire makes the alert of one rule and hands it to every output.
func (p *pipeline) fire(r *rules.Rule) {
	if p.stale || slices.Contains(p.fired, r) {
		return // in the other view of the same event
	}
	if p.isOwn(p.event) && !p.own.allow() {
		return
	}
	if !p.hold() {
		return
	}
	p.fired = append(p.fired, r)
	contained := p.contain(r)
	message, fields := r.Format(p.event)
	p.count(r)
	a, err := p.stamp.alert(p.event, firing{
		rule: r.Name, priority: r.Priority, source: r.Source, tags: r.Tags, message: message, fields: fields, ruleset: p.settings.rules.Hash(),
		contained: contained,
	})
	p.hand(a, err, r.Name)
}

// contain comes first of all, because each millisecond counts.
func (p *pipeline) contain(r *rules.Rule) *alert.Contained {
	e := p.event
	if p.immediate == nil || e.Recorded || e.Proc == nil || e.Proc.Container == event.Host {
		return nil
	}
	return p.immediate(*e.Proc.Container, contain.Firing{Rule: r.Name, Source: r.Source, Priority: r.Priority, Tags: r.Tags})
}

// hold takes mu until the event is done. It is false, and mu free, if the
// settings are no longer those in force.
func (p *pipeline) hold() bool {
	if p.holding {
		return true
	}
	p.mu.Lock()
	if p.current.Load() != p.settings {
		p.mu.Unlock()
		p.stale = true
		return false
	}
	p.holding = true
	return true
}

func (p *pipeline) count(r *rules.Rule) {
	m := p.matches[r.Name]
	if m == nil {
		if p.matches == nil {
			p.matches = map[string]*matched{}
		}
		m = &matched{}
		p.matches[r.Name] = m
	}
	m.priority, m.source, m.tags = r.Priority, r.Source, r.Tags
	m.n++
}

// internal makes an alert of the agent about itself.
func (p *pipeline) internal(f firing) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f.source, f.ruleset = "internal", p.current.Load().rules.Hash()
	a, err := p.stamp.internal(f)
	p.hand(a, err, f.rule)
}

// hand gives an alert to every output; mu is held.
func (p *pipeline) hand(a *alert.Alert, err error, rule string) {
	if err != nil {
		p.unmade.Add(1)
		p.log.Error("an alert is lost", "rule", rule, "error", err)
		return
	}
	p.seq.Store(p.stamp.seq)
	for _, o := range p.current.Load().outputs {
		if err := o.Put(a); err != nil {
			p.log.Error("an alert is lost", "rule", rule, "error", err)
		}
	}
}
