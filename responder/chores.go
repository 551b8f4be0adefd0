package responder

import (
	"context"
	"errors"
	"time"

	"riposte/responder/bus"
)

// startChores does what nobody waits for.
func (r *Responder) startChores() {
	log := r.o.Log.With("component", "chores")
	r.cleanups.add("the housekeeping", background(func(ctx context.Context) {
		tick := time.NewTicker(housekeeping)
		defer tick.Stop()
		for {
			if err := r.housekeep(ctx, time.Now()); err != nil && ctx.Err() == nil {
				log.Warn("housekeeping", "error", err, "again_in", housekeeping)
			}
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}))
}

// housekeep ends the windows of incidents that nothing joined for long, and forgets
// what the stream cannot deliver again, a day after it could, old dead letters,
// what no budget looks back to, and the months that are kept no longer.
func (r *Responder) housekeep(ctx context.Context, now time.Time) error {
	_, ending := r.store.EndIdleIncidents(ctx, now.Add(-r.o.IncidentWindow))
	_, pruning := r.store.PruneInbox(ctx, now.Add(-bus.DefaultStreamAge-24*time.Hour))
	_, counting := r.store.PruneGuard(ctx, now.Add(-r.guard.Limits().LookBack()-24*time.Hour))
	forgetting := r.store.ForgetNodes(ctx, now.Add(-24*time.Hour))
	return errors.Join(ending, pruning, counting, forgetting, r.store.PruneDeadLetters(ctx, now.Add(-keepDeadLetters)),
		r.store.PruneAnswers(ctx, now.Add(-24*time.Hour)), r.store.PruneTokens(ctx, now.Add(-keepTokens)), r.store.MakeMonths(ctx), r.retire(ctx, now))
}
