package figures

import (
	"context"

	"riposte/responder/store"
)

func (f *Figures) databaseSources(s *Sources) {
	db := &kept[store.Figures]{now: s.Now, ask: func(ctx context.Context) (store.Figures, error) {
		now := s.Now()
		return s.Database.Figures(ctx, now, now.Add(-s.SilentAfter))
	}}
	stored := func(kind Kind, name, help string, labels []string, read func(*store.Figures, set)) {
		f.pull(kind, name, help+" Of all responders together.", labels, func(set set) {
			if s.Database == nil {
				return
			}
			if d, ok := db.get(); ok {
				read(&d, set)
			}
		})
	}
	byState := func(of func(*store.Figures) map[string]uint64) func(*store.Figures, set) {
		return func(d *store.Figures, set set) {
			for state, n := range of(d) {
				set(float64(n), state)
			}
		}
	}
	stored(Gauge, "riposte_actions_pending", "Actions that are not over; waiting are those that wait for a person.", []string{"state"},
		byState(func(d *store.Figures) map[string]uint64 { return d.Actions }))
	stored(Gauge, "riposte_actions_oldest_planned_seconds", "How long the action has waited that waits longest for its execution, 0 if none does.", nil, func(d *store.Figures, set set) {
		age := 0.0
		if !d.OldestPlanned.IsZero() {
			age = max(0, s.Now().Sub(d.OldestPlanned).Seconds())
		}
		set(age)
	})
	stored(Gauge, "riposte_jobs", "Jobs of the queue that are not over.", []string{"queue", "state"}, func(d *store.Figures, set set) {
		for queue, states := range d.Jobs {
			for state, n := range states {
				set(float64(n), queue, state)
			}
		}
	})
	stored(Gauge, "riposte_effects_to_lift", "Effects that hold until their time is over.", nil, func(d *store.Figures, set set) { set(float64(d.ToLift)) })
	stored(Gauge, "riposte_effects_late", "Effects whose time was over more than a minute ago and that are not lifted.", nil, func(d *store.Figures, set set) { set(float64(d.LiftsLate)) })
	stored(Gauge, "riposte_incidents", "Incidents that are not over.", []string{"state"}, byState(func(d *store.Figures) map[string]uint64 { return d.Incidents }))
	stored(Gauge, "riposte_dead_letters", "Dead letters that nobody drove again.", nil, func(d *store.Figures, set set) { set(float64(d.DeadLetters)) })
	stored(Gauge, "riposte_agents", "Agents, by whether they said something in the time after which they count as silent.", []string{"state"}, func(d *store.Figures, set set) {
		set(float64(d.AgentsHeard), "heard")
		set(float64(d.AgentsSilent), "silent")
	})
	stored(Counter, "riposte_audit_entries_total", "Entries of the record.", nil, func(d *store.Figures, set set) { set(float64(d.AuditEntries)) })
	f.pull(Counter, "riposte_database_figures_failed_total", "Times that the figures of all responders together could not be read, so that they are left out.", nil, func(set set) { set(float64(db.failures())) })

	pool := func(kind Kind, name, help string, labels []string, read func(store.PoolStats, set)) {
		f.pull(kind, name, help, labels, func(set set) {
			if s.Database != nil {
				read(s.Database.PoolStats(), set)
			}
		})
	}
	pool(Gauge, "riposte_database_connections", "Connections to the database of this responder; max is how many there may be.", []string{"state"}, func(p store.PoolStats, set set) {
		set(float64(p.InUse), "in_use")
		set(float64(p.Idle), "idle")
		set(float64(p.Max), "max")
	})
	pool(Counter, "riposte_database_acquired_total", "How often a connection was taken.", nil, func(p store.PoolStats, set set) { set(float64(p.Acquired)) })
	pool(Counter, "riposte_database_waits_total", "How often no connection was free.", nil, func(p store.PoolStats, set set) { set(float64(p.Waited)) })
	pool(Counter, "riposte_database_given_up_total", "How often somebody did not wait any longer for a connection.", nil, func(p store.PoolStats, set set) { set(float64(p.GivenUp)) })
	pool(Counter, "riposte_database_wait_seconds_total", "How long everybody together waited for a connection.", nil, func(p store.PoolStats, set set) { set(p.WaitTime.Seconds()) })
}
