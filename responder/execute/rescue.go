package execute

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"riposte/responder/store"
)

// rescueBatch bounds one pass; what is left is for the next.
const rescueBatch = 500

// orphansSQL finds actions that nobody works on and no waiting job points at:
// planned before $2 (a younger one's job is on its way), or with a lease that
// ended, or that is this instance's own while this process ($3) does not work on
// it. The two seconds are for a job that was just given back: River writes it down
// a moment after us. The waiting jobs are read once: looked for one by one, those of a
// burst cost a second each time.
const orphansSQL = `SELECT a.id::text, a.type, a.state FROM actions a
	WHERE (a.state = 'planned' AND a.planned_ns < $2
		OR a.state = 'executing'
		OR a.state = 'succeeded' AND a.verified_ns IS NULL AND a.planned_ns > $4 AND a.lease_until IS NOT NULL)
	AND (a.lease_holder = $1 OR a.lease_until IS NULL OR a.lease_until < clock_timestamp() - interval '2 seconds')
	AND a.id <> ALL($3::uuid[])
	AND a.id::text NOT IN (SELECT coalesce(j.args->>'action', '') FROM ` + store.RiverSchema + `.river_job j
		WHERE j.kind = 'action' AND j.state IN ('available', 'pending', 'retryable', 'scheduled'))
	ORDER BY a.planned_ns LIMIT $5`

// rescue queues orphans again. A job too many does no harm: the claim decides.
func (e *Executor) rescue(ctx context.Context, age time.Duration) (int, error) {
	n := 0
	now := time.Now()
	working, lifts := e.busy()
	err := pgx.BeginFunc(ctx, e.o.Pool, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, orphansSQL, e.o.Instance, now.Add(-age).UnixNano(), working, now.Add(-time.Hour).UnixNano(), rescueBatch)
		if err != nil {
			return err
		}
		type orphan struct{ ID, Type, State string }
		orphans, err := pgx.CollectRows(rows, pgx.RowToStructByPos[orphan])
		if err != nil {
			return err
		}
		ids := map[Queue][]string{}
		for _, o := range orphans {
			q := Contain
			if a, known := e.o.Registry[o.Type]; known {
				q = QueueOf(a.Spec())
			}
			if o.State == succeeded {
				q = verify
			}
			ids[q] = append(ids[q], o.ID)
		}
		for q, list := range ids {
			if err := EnqueueTo(ctx, store.Tx{Tx: tx}, q, list...); err != nil {
				return err
			}
		}
		n = len(orphans)
		return e.enqueueDue(ctx, store.Tx{Tx: tx}, now, lifts)
	})
	return n, err
}

// dueSQL finds effects that are to be lifted, or whose lease is to be renewed, and that
// nobody is about to see to.
const dueSQL = `SELECT a.id::text FROM actions a
	WHERE least(a.lift_ns, a.renew_ns) <= $1 AND a.lift_ns IS NOT NULL AND a.lifted_ns IS NULL
	AND (a.lift_until IS NULL OR a.lift_until < clock_timestamp() OR a.lift_holder = $2)
	AND a.id <> ALL($3::uuid[])
	AND a.id::text NOT IN (SELECT coalesce(j.args->>'action', '') FROM ` + store.RiverSchema + `.river_job j
		WHERE j.kind = 'lift' AND j.state IN ('available', 'pending', 'retryable', 'scheduled'))
	ORDER BY least(a.lift_ns, a.renew_ns) LIMIT $4`

// enqueueDue has lifted, or renewed, what it is time for. lifts are those that this
// process works on.
func (e *Executor) enqueueDue(ctx context.Context, tx store.Tx, now time.Time, lifts []string) error {
	rows, err := tx.Query(ctx, dueSQL, now.UnixNano(), e.o.Instance, lifts, rescueBatch)
	if err != nil {
		return err
	}
	due, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	return EnqueueTo(ctx, tx, lift, due...)
}

// rescueLoop runs until ctx ends. The first pass takes up at once what an
// earlier process left.
func (e *Executor) rescueLoop(ctx context.Context) {
	tick := time.NewTicker(e.o.RescueEvery)
	defer tick.Stop()
	for age := time.Duration(0); ; age = 2 * e.o.RescueEvery {
		n, err := e.rescue(ctx, age)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			e.o.Log.Warn("orphaned actions could not be looked for", "error", err)
		case n > 0:
			e.m.add(func(s *Stats) { s.Rescued += uint64(n) })
			e.o.Log.Info("orphaned actions queued again", "count", n)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
