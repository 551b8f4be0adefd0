package agent

import (
	"log/slog"
	"sync/atomic"

	"riposte/agent/event"
	"riposte/agent/rules"
)

// pipeline is what happens to one event, on one goroutine.
type pipeline struct {
	log     *slog.Logger
	table   table
	rules   *rules.Ruleset
	outputs []output
	stamp   stamp
	// self is the agent's own process: what it does is not reported.
	self int32

	// event is the one in work, fired how many rules have fired on it.
	event *event.Event
	fired int
	// seq is the last alert's number, for the heartbeat.
	seq atomic.Uint64
	// unmade counts alerts that could not be made or encoded.
	unmade atomic.Uint64
}

// handle takes one event all the way. Where the name that was given and the file
// that was reached differ, the rules see the event twice, so that a symbolic link
// gets past neither kind of rule; the second look is needed only if the first one
// found nothing.
func (p *pipeline) handle(e *event.Event) {
	p.table.Apply(e)
	if e.Task.PID == p.self && !e.Recorded {
		return
	}
	p.event, p.fired = e, 0
	p.rules.Match(e, p.fire)
	if p.fired == 0 && e.NameDiffers() {
		e.RealView = true
		p.rules.Match(e, p.fire)
		e.RealView = false
	}
}

// fire makes the alert of one rule and hands it to every output.
func (p *pipeline) fire(r *rules.Rule) {
	p.fired++
	message, fields := r.Format(p.event)
	a, err := p.stamp.alert(p.event, firing{
		rule: r.Name, priority: r.Priority, source: r.Source, tags: r.Tags, message: message, fields: fields,
	})
	if err != nil {
		p.unmade.Add(1)
		p.log.Error("an alert is lost", "rule", r.Name, "error", err)
		return
	}
	p.seq.Store(p.stamp.seq)
	for _, o := range p.outputs {
		if err := o.Put(a); err != nil {
			p.log.Error("an alert is lost", "rule", r.Name, "error", err)
		}
	}
}
