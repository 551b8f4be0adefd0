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

// ErrNotCancellable says that an action is not, or no longer, one that waits for its turn.
var ErrNotCancellable = errors.New("there is nothing to cancel")

// Cancel ends a planned action before it is begun, in the name of actor, and records
// why. It returns store.ErrNotFound, or an ErrNotCancellable that says what has become
// of the action: one statement decides between this and the executor's claim, so that
// what is cancelled is never carried out. The id is a whole one.
func Cancel(ctx context.Context, s *store.Store, id, actor, reason string) error {
	return s.InTx(ctx, func(tx store.Tx) error {
		var state, cluster, namespace, kind, object, alertID string
		err := tx.QueryRow(ctx, `SELECT state, cluster, namespace, type, object, alert_id::text FROM actions WHERE id = $1::text::uuid FOR UPDATE`, id).
			Scan(&state, &cluster, &namespace, &kind, &object, &alertID)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return store.ErrNotFound
		case err != nil:
			return fmt.Errorf("read action %s: %w", id, err)
		case state == "waiting":
			return fmt.Errorf("%w: the action waits for people; reject it", ErrNotCancellable)
		case state != planned:
			return fmt.Errorf("%w: the action is %s", ErrNotCancellable, state)
		}
		note := sentence("cancelled by " + actor + ": " + reason)
		if _, err := tx.Exec(ctx, "UPDATE actions SET state = 'cancelled', note = $2, audited_ns = $3 WHERE id = $1::text::uuid", id, note, time.Now().UnixNano()); err != nil {
			return fmt.Errorf("cancel action %s: %w", id, err)
		}
		return audit.Append(ctx, tx, audit.Entry{
			Cluster: cluster, Namespace: namespace, Kind: audit.ActionResult, Actor: actor, Result: "cancelled", Note: note,
			Why: audit.Why{AlertID: alertID, Reason: reason}, What: audit.What{ActionID: id, Type: kind, Object: object},
		})
	})
}
