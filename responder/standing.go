package responder

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"riposte/agent/order"
	"riposte/responder/bus"
	"riposte/responder/guard"
	"riposte/responder/playbook"
)

// watchStanding is how often it is looked whether the agents must be told something
// new. Looking costs reading a file.
const watchStanding = 100 * time.Millisecond

// startStanding keeps the agents told of what they may contain at once, what is
// protected, and the kill switches. It needs no database.
func (r *Responder) startStanding() {
	a := bus.NewAnnouncer(r.bus, r.o.Cluster)
	r.cleanups.add("the standing orders", background(func(ctx context.Context) {
		var both sync.WaitGroup
		both.Go(func() { r.report(ctx, "tell the agents what stands", a.Run(ctx)) })
		both.Go(func() { r.watchStanding(ctx, a) })
		both.Wait()
	}))
}

func (r *Responder) watchStanding(ctx context.Context, a *bus.Announcer) {
	tick := time.NewTicker(watchStanding)
	defer tick.Stop()
	standing, stopped := "", ""
	for {
		stops := r.stops()
		if key := text(stops); key != stopped {
			a.SetStops(stops)
			stopped = key
		}
		s := r.standing()
		if key := text(s); key != standing {
			// An agent keeps what it has; told once, for the cause stays until a change.
			if err := a.SetStanding(s); err != nil {
				r.o.Log.Error("the agents are not told what they may contain at once", "error", err)
			}
			standing = key
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// text is equal for equal values.
func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // texts, numbers and times
	}
	return string(b)
}

// stops are the kill switches that are on.
func (r *Responder) stops() []bus.Stop {
	var all []bus.Stop
	for _, s := range r.guard.Switches() {
		stop := bus.Stop{Reason: s.Reason, Actor: s.Actor, At: s.At}
		switch s.Scope {
		case guard.ScopeCluster:
			stop.Cluster = s.Name
		case guard.ScopePlaybook:
			stop.Playbook = s.Name
		}
		all = append(all, stop)
	}
	return all
}

// standing is what the playbooks that enforce let the agents do, and what the guard
// protects.
func (r *Responder) standing() bus.Standing {
	var s bus.Standing
	s.Protect.Namespaces, s.Protect.Names, s.Protect.Labels = r.guard.Protected()
	for _, p := range r.playbooks.Playbooks() {
		mode, row := r.guard.ModeOf(p.Name, p.Mode)
		if p.Contain == "" || mode != playbook.Enforce {
			continue
		}
		s.Triggers = append(s.Triggers, order.Trigger{
			Playbook: p.Name, Contain: order.Kind(p.Contain),
			Rules: p.Trigger.Rules, Tags: p.Trigger.Tags, Sources: p.Trigger.Sources, Priority: p.Trigger.Priority,
			Namespaces: row.Namespaces, Labels: row.LabelMap(),
		})
	}
	return s
}
