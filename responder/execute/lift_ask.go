package execute

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"riposte/responder/action"
	"riposte/responder/audit"
	"riposte/responder/store"
)

// ErrNotLiftable says that an action has no effect that could be lifted now.
var ErrNotLiftable = errors.New("there is nothing to lift")

// AskLift has an action's effect lifted as soon as possible, in the name of actor, and
// records who wants it and why. Of an action that may have had its effect, too: what is
// not there is not lifted. It returns store.ErrNotFound, or an ErrNotLiftable that says
// why. The id is a whole one.
func AskLift(ctx context.Context, s *store.Store, registry action.Registry, id, actor, reason string) error {
	return s.InTx(ctx, func(tx store.Tx) error {
		a, err := tx.LockLift(ctx, id)
		if err != nil {
			return err
		}
		switch {
		case a.Lifted:
			return fmt.Errorf("%w: it was lifted already", ErrNotLiftable)
		case !registry.Undoable(a.Type):
			return fmt.Errorf("%w: %s cannot be undone", ErrNotLiftable, a.Type)
		case !slices.Contains([]string{succeeded, failed, unknown}, a.State):
			return fmt.Errorf("%w: the action is %s", ErrNotLiftable, a.State)
		case a.LiftBy != "" && a.LiftNS != 0:
			return fmt.Errorf("%w: %s has asked for it already", ErrNotLiftable, a.LiftBy)
		}
		if err := tx.AskLift(ctx, id, actor, reason, time.Now()); err != nil {
			return err
		}
		if err := EnqueueTo(ctx, tx, lift, id); err != nil {
			return err
		}
		return audit.Append(ctx, tx, audit.Entry{
			Cluster: a.Cluster, Namespace: a.Namespace, Kind: audit.ActionLift, Actor: actor, Why: audit.Why{AlertID: a.AlertID, Reason: reason},
			What: audit.What{ActionID: id, Type: a.Type, Object: a.Object},
		})
	})
}
