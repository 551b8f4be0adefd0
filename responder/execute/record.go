package execute

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"riposte/responder/action"
	"riposte/responder/audit"
	"riposte/responder/store"
)

// errLost says that the lease ended and somebody else has the action.
var errLost = errors.New("the lease was lost")

// ending is how an attempt, or the look for its effect, ended.
type ending struct {
	state     string
	note      string
	refusedBy string
	executed  time.Time
	verified  time.Time
	// kept is what the action recorded, of an Execute alone.
	kept images
	// kind is the entry to write; ActionResult with a verified time writes both.
	kind audit.Kind
}

// finish records an ending and its entries in one transaction.
func (e *Executor) finish(ctx context.Context, c *claim, end ending) error {
	end.note = sentence(end.note + end.kept.lost + c.remark)
	if !end.executed.IsZero() {
		c.when.ExecutedNS = end.executed.UnixNano()
	}
	var entries []audit.Entry
	if end.kind == audit.ActionResult {
		entries = append(entries, c.entry(audit.ActionResult, end.state, end.note))
	}
	if !end.verified.IsZero() {
		c.when.VerifiedNS = end.verified.UnixNano()
		entries = append(entries, c.entry(audit.ActionVerified, "verified", end.note))
	} else if end.kind == audit.ActionVerified {
		entries = append(entries, c.entry(audit.ActionVerified, "unverified", end.note))
	}
	// A success whose effect was not yet seen keeps a lease for the verification.
	look := end.state == succeeded && end.kind == audit.ActionResult && end.verified.IsZero()
	err := e.inTx(ctx, func(ctx context.Context, tx store.Tx) error {
		sql := `UPDATE actions SET state = $3, note = $4, refused_by = $5, executed_ns = $6, verified_ns = $7, audited_ns = $8,
			lease_holder = CASE WHEN $9::boolean THEN lease_holder ELSE '' END,
			lease_until = CASE WHEN $9 THEN clock_timestamp() + make_interval(secs => $10::float8) END
			WHERE id = $1 AND lease_until = $2 AND lease_holder = $11 RETURNING ttl_ns`
		// Another decision may have made it longer since the claim.
		err := tx.QueryRow(ctx, sql, c.ID, c.lease, end.state, end.note, end.refusedBy, orNull(c.when.ExecutedNS), orNull(c.when.VerifiedNS),
			time.Now().UnixNano(), look, (e.o.VerifyTimeout + 2*recordTimeout).Seconds(), e.o.Instance).Scan(&c.ttl)
		if errors.Is(err, pgx.ErrNoRows) {
			return errLost
		}
		if err != nil {
			return err
		}
		if end.kind == audit.ActionResult {
			if err := e.keep(ctx, tx, c, end); err != nil {
				return err
			}
		}
		if look {
			if err := EnqueueTo(ctx, tx, verify, c.ID); err != nil {
				return err
			}
		}
		return audit.Append(ctx, tx, entries...)
	})
	if err != nil {
		return e.lost(c, fmt.Errorf("record the end of action %s: %w", c.ID, err))
	}
	e.m.ended(c.Type, end)
	if !look {
		e.o.Observer.Ended(c.ended(end))
	}
	e.o.Log.Info("action ended", "action", c.ID, "type", c.Type, "target", c.Target.String(), "state", end.state, "attempt", c.Attempt,
		"verified", !end.verified.IsZero(), "note", end.note)
	return nil
}

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

// result turns an Action's success into an ending.
func result(r action.Result, now time.Time) ending {
	if r.ExecutedAt.IsZero() {
		r.ExecutedAt = now
	}
	return ending{state: succeeded, note: r.Note, executed: r.ExecutedAt, verified: r.VerifiedAt, kept: imagesOf(r), kind: audit.ActionResult}
}
