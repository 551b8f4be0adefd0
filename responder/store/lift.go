package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// LiftState is what there is to know before an effect may be lifted.
type LiftState struct {
	Type, State, Cluster, Namespace, Object, AlertID string
	// LiftBy is who asked for it; LiftNS when it is due, 0 for never.
	LiftBy string
	LiftNS int64
	Lifted bool
}

// LockLift reads and locks one action by its whole id, or returns ErrNotFound.
func (tx Tx) LockLift(ctx context.Context, id string) (LiftState, error) {
	var l LiftState
	err := tx.QueryRow(ctx, `SELECT type, state, cluster, namespace, object, alert_id::text, lift_by, coalesce(lift_ns, 0), lifted_ns IS NOT NULL
		FROM actions WHERE id = $1::text::uuid FOR UPDATE`, id).Scan(&l.Type, &l.State, &l.Cluster, &l.Namespace, &l.Object, &l.AlertID, &l.LiftBy, &l.LiftNS, &l.Lifted)
	if errors.Is(err, pgx.ErrNoRows) {
		return l, ErrNotFound
	}
	if err != nil {
		return l, fmt.Errorf("read action %s: %w", id, err)
	}
	return l, nil
}

// AskLift makes an action's lifting due. Who lifts it already goes on.
func (tx Tx) AskLift(ctx context.Context, id, actor, reason string, now time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE actions SET lift_ns = $2, lift_by = $3, lift_reason = $4, lift_attempts = 0,
		lift_until = CASE WHEN lift_holder = '' THEN NULL ELSE lift_until END WHERE id = $1::text::uuid`, id, now.UnixNano(), Text(actor), Text(reason))
	if err != nil {
		return fmt.Errorf("ask for the lifting of action %s: %w", id, err)
	}
	return nil
}
