package responder

import (
	"context"
	"sync"

	"riposte/responder/bus"
	"riposte/responder/execute"
	"riposte/responder/ingest"
	"riposte/responder/ingest/watch"
)

// startIngest takes alerts and heartbeats from the bus, and looks for what does not come.
func (r *Responder) startIngest() {
	log := r.o.Log.With("component", "ingest")
	lift := newLifter(log)
	r.counts.immediate = lift.counts
	r.cleanups.add("the lifting", background(func(ctx context.Context) { lift.run(ctx, r.bus) }))
	r.ingest = ingest.Options{
		Store: r.store, Playbooks: r.playbooks, Guard: r.guard, Actions: r.actions, Enqueue: execute.Enqueuer(r.actions), Lift: lift.put,
		Cluster: r.o.Cluster, Log: log, Window: r.o.IncidentWindow,
		Observer: r.observers,
	}
	if r.binder != nil { // a nil Binder in the interface would not be nil
		r.ingest.Binder, r.ingest.Places = r.binder, r.places
	}
	in := ingest.New(r.ingest)
	r.redrive, r.counts.ingest["bus"] = in.Redrive, in.Counts
	r.cleanups.add("the intake", background(func(ctx context.Context) {
		var both sync.WaitGroup
		both.Go(func() { r.report(ctx, "take alerts", r.bus.Alerts(ctx, ingest.Batch[*bus.Message](in))) })
		both.Go(func() { r.report(ctx, "hear heartbeats", r.bus.Heartbeats(ctx, in.Heartbeats)) })
		both.Wait()
	}))
	watching := watch.New(watch.Options{
		Store: r.store, Position: r.bus.Position, Hearing: r.bus.Hearing, SilentAfter: r.o.SilentAfter, Log: r.o.Log.With("component", "watch"),
	})
	r.cleanups.add("the watch of what does not come", background(watching.Run))
}
