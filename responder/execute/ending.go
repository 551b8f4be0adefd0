package execute

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"riposte/responder/action"
	"riposte/responder/audit"
	"riposte/responder/store"
)

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

// ended is an action with its ending, to be recorded.
type ended struct {
	c       *claim
	end     ending
	entries []audit.Entry
	// look: the effect was not yet seen, so the verification gets the lease.
	look bool
}

// finish records an ending and its entries in one transaction, together with what
// else ends at this moment.
func (e *Executor) finish(ctx context.Context, c *claim, end ending) error {
	end.note = sentence(end.note + end.kept.lost + c.remark)
	x := &ended{c: c, look: end.state == succeeded && end.kind == audit.ActionResult && end.verified.IsZero()}
	if !end.executed.IsZero() {
		c.when.ExecutedNS = end.executed.UnixNano()
	}
	if end.kind == audit.ActionResult {
		x.entries = append(x.entries, c.entry(audit.ActionResult, end.state, end.note))
	}
	if !end.verified.IsZero() {
		c.when.VerifiedNS = end.verified.UnixNano()
		x.entries = append(x.entries, c.entry(audit.ActionVerified, "verified", end.note))
	} else if end.kind == audit.ActionVerified {
		x.entries = append(x.entries, c.entry(audit.ActionVerified, "unverified", end.note))
	}
	x.end = end
	if err := e.endings.do(ctx, x); err != nil {
		return e.lost(c, fmt.Errorf("record the end of action %s: %w", c.ID, err))
	}
	e.m.ended(c.Type, end)
	if !x.look {
		e.o.Observer.Ended(c.ended(end))
	}
	e.o.Log.Info("action ended", "action", c.ID, "type", c.Type, "target", c.Target.String(), "state", end.state, "attempt", c.Attempt,
		"verified", !end.verified.IsZero(), "note", end.note)
	return nil
}

// record writes endings in one transaction. If that does not work each gets its own,
// so that one that cannot be written keeps no other from it; after two that got no
// answer from the database the rest waits for another time.
func (e *Executor) record(ctx context.Context, batch []*ended) (errs []error) {
	err := e.inTx(ctx, func(ctx context.Context, tx store.Tx) (err error) {
		errs, err = e.recordAll(ctx, tx, batch)
		return err
	})
	if err == nil {
		return errs
	}
	errs = make([]error, len(batch))
	silent := 0
	for i := range batch {
		errs[i] = err
		if len(batch) == 1 || silent == 2 {
			continue
		}
		errs[i] = e.record(ctx, batch[i:i+1])[0]
		if _, answered := errors.AsType[*pgconn.PgError](errs[i]); errs[i] == nil || answered || errors.Is(errs[i], errLost) {
			silent = 0
		} else {
			silent++
		}
	}
	return errs
}

const endSQL = `UPDATE actions SET state = $3, note = $4, refused_by = $5, executed_ns = $6, verified_ns = $7, audited_ns = $8,
	lease_holder = CASE WHEN $9::boolean THEN lease_holder ELSE '' END,
	lease_until = CASE WHEN $9 THEN clock_timestamp() + make_interval(secs => $10::float8) END
	WHERE id = $1 AND lease_until = $2 AND lease_holder = $11 RETURNING ttl_ns`

// recordAll returns errLost for those whose lease was lost: nothing is written of them.
func (e *Executor) recordAll(ctx context.Context, tx store.Tx, batch []*ended) ([]error, error) {
	errs := make([]error, len(batch))
	var looks []string
	var entries []audit.Entry
	updates := &pgx.Batch{}
	for i, x := range batch {
		c, end := x.c, x.end
		updates.Queue(endSQL, c.ID, c.lease, end.state, end.note, end.refusedBy, orNull(c.when.ExecutedNS), orNull(c.when.VerifiedNS),
			time.Now().UnixNano(), x.look, (e.o.VerifyTimeout + 2*recordTimeout).Seconds(), e.o.Instance).QueryRow(func(row pgx.Row) error {
			// Another decision may have made its ttl longer since the claim.
			if err := row.Scan(&c.ttl); errors.Is(err, pgx.ErrNoRows) {
				errs[i] = errLost
				return nil
			} else if err != nil {
				return err
			}
			entries = append(entries, x.entries...)
			if x.look {
				looks = append(looks, c.ID)
			}
			return nil
		})
	}
	if err := tx.SendBatch(ctx, updates).Close(); err != nil {
		return nil, err
	}
	for i, x := range batch {
		if errs[i] == nil && x.end.kind == audit.ActionResult {
			if err := e.keep(ctx, tx, x.c, x.end); err != nil {
				return nil, err
			}
		}
	}
	if err := EnqueueTo(ctx, tx, verify, looks...); err != nil {
		return nil, err
	}
	return errs, audit.Append(ctx, tx, entries...)
}

// result turns an Action's success into an ending.
func result(r action.Result, now time.Time) ending {
	if r.ExecutedAt.IsZero() {
		r.ExecutedAt = now
	}
	return ending{state: succeeded, note: r.Note, executed: r.ExecutedAt, verified: r.VerifiedAt, kept: imagesOf(r), kind: audit.ActionResult}
}
