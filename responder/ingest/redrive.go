package ingest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"riposte/agent/alert"
	"riposte/responder/audit"
	"riposte/responder/store"
)

// ErrStillDead says that a dead letter was driven again and could not be
// processed this time either.
var ErrStillDead = errors.New("it cannot be processed this time either")

// again is a dead letter as a message. Nobody waits for its answer.
type again struct{ d store.DeadLetter }

func (m again) Subject() string       { return m.d.Subject }
func (m again) ID() string            { return m.d.MessageID }
func (m again) Data() []byte          { return m.d.Body }
func (m again) ReceivedAt() time.Time { return m.d.ReceivedAt }
func (again) Ack() error              { return nil }
func (again) Nak(time.Duration) error { return nil }
func (again) Term(string) error       { return nil }

// Redrive processes a dead letter as if it had just come, and marks it. Its error
// wraps ErrStillDead, or store.ErrNotFound for an id that no dead letter has. What
// was driven again before is stored once all the same.
func (in *Ingest) Redrive(ctx context.Context, id, actor, reason string) error {
	d, err := in.Store.DeadLetter(ctx, store.Everything(), id)
	if err != nil {
		return err
	}
	entry := audit.Entry{Cluster: in.Cluster, Kind: audit.DeadLetter, Actor: actor, Note: "dead letter " + d.ID, Why: audit.Why{Reason: reason}}
	entry.At, entry.Result = in.Now(), "asked" // before anything follows from it
	if err := in.Store.InTx(ctx, func(tx store.Tx) error { return audit.Append(ctx, tx, entry) }); err != nil {
		return err
	}
	m := again{d}
	err = in.redrive(ctx, m)
	if err != nil && in.away(ctx, err) {
		return err
	}
	entry.At, entry.Result = in.Now(), "redriven"
	if err != nil {
		entry.Result = "still dead"
	}
	marking := in.Store.InTx(ctx, func(tx store.Tx) error {
		if err == nil {
			if err := tx.MarkRedriven(ctx, d.ID); err != nil {
				return err
			}
		}
		return audit.Append(ctx, tx, entry)
	})
	if err != nil {
		return errors.Join(fmt.Errorf("%w: %w", ErrStillDead, err), marking)
	}
	return marking
}

func (in *Ingest) redrive(ctx context.Context, m again) error {
	if alert.IsLossSubject(m.Subject()) {
		l, err := checkLoss(m.Subject(), m.Data())
		if err != nil {
			return err
		}
		return in.storeLoss(ctx, l)
	}
	a, err := in.admit(m)
	if err != nil {
		return err
	}
	return in.process(ctx, []*arrival{a})
}
