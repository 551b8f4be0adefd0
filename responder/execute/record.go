package execute

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"riposte/responder/audit"
	"riposte/responder/store"
)

// errLost says that the lease ended and somebody else has the action.
var errLost = errors.New("the lease was lost")

// release gives a claim back, to be taken again by this job after delay. passed
// says whether the attempt counts. The lease is then nobody's: anyone may claim
// the action, but the rescue loop leaves it alone until the delay is over.
func (e *Executor) release(ctx context.Context, c *claim, state, note string, passed bool, delay time.Duration, entries ...audit.Entry) error {
	err := e.inTx(ctx, func(ctx context.Context, tx store.Tx) error {
		tag, err := tx.Exec(ctx, `UPDATE actions SET state = $3, note = $4, lease_holder = '',
			lease_until = clock_timestamp() + make_interval(secs => $7::float8), staged_ns = coalesce(staged_ns, $8),
			attempts = attempts - CASE WHEN $5::boolean THEN 0 ELSE 1 END
			WHERE id = $1 AND lease_until = $2 AND lease_holder = $6`, c.ID, c.lease, state, sentence(note), passed, e.o.Instance, delay.Seconds(), nsOrNull(c.staged))
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return errLost
		}
		return audit.Append(ctx, tx, entries...)
	})
	if err != nil {
		return e.lost(c, fmt.Errorf("release action %s: %w", c.ID, err))
	}
	return nil
}

// lost swallows errLost: whoever has the action now records its end.
func (e *Executor) lost(c *claim, err error) error {
	if !errors.Is(err, errLost) {
		return err
	}
	e.m.add(func(s *Stats) { s.LeaseLost++ })
	e.o.Log.Warn("another executor has the action, its record counts", "action", c.ID, "type", c.Type)
	return nil
}

// inTx runs a transaction that a shutdown does not interrupt: what happened is
// to be recorded.
func (e *Executor) inTx(ctx context.Context, do func(context.Context, store.Tx) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	return pgx.BeginFunc(ctx, e.o.Pool, func(tx pgx.Tx) error { return do(ctx, store.Tx{Tx: tx}) })
}

func orNull(ns int64) *int64 {
	if ns == 0 {
		return nil
	}
	return &ns
}

func nsOrNull(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	return orNull(t.UnixNano())
}
