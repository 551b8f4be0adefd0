package execute_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"riposte/responder/action"
	"riposte/responder/store"
	"riposte/responder/store/storetest"
)

// join is another decision about the effect of an action.
func join(t *testing.T, s *store.Store, id string, ttl time.Duration, leased bool) *store.Prolonged {
	t.Helper()
	var fates []store.Planned
	require.NoError(t, s.InTx(t.Context(), func(tx store.Tx) (err error) {
		a := store.NewAction{ID: uuid.NewString(), State: "planned", TTLNS: int64(ttl), Leased: leased}
		err = tx.QueryRow(t.Context(), `SELECT decision_id::text, alert_id::text, cluster, node, type, target, object, effect_key, expires_ns FROM actions WHERE id = $1`, id).
			Scan(&a.DecisionID, &a.AlertID, &a.Cluster, &a.Node, &a.Type, &a.Target, &a.Object, &a.EffectKey, &a.ExpiresNS)
		if err == nil {
			fates, err = tx.Plan(t.Context(), []store.NewAction{a})
		}
		return err
	}))
	require.Equal(t, id, fates[0].Joined)
	return fates[0].Prolonged
}

// counted is a leased action that counts its orders.
func counted(orders, undone *atomic.Int64, execute func(context.Context, action.Request) (action.Result, error)) leased {
	return leased{undoable{touch(func(ctx context.Context, r action.Request) (action.Result, error) {
		orders.Add(1)
		return execute(ctx, r)
	}), func(context.Context, action.Request) (action.Result, error) {
		undone.Add(1)
		return action.Result{Note: "lifted"}, nil
	}}, time.Minute}
}

// The node is told at once, and the effect is lifted when the later time is over.
func TestALongerDecisionRenewsTheLeaseAndLiftsLater(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	var orders, undone atomic.Int64
	o := options(s, counted(&orders, &undone, found))
	o.RescueEvery = 20 * time.Millisecond
	run(t, o)
	id := planned(t, s, func(p *plan) { p.ttl = 30 * time.Second })
	first := ended(t, s, id)
	require.Nil(t, readLift(t, s, id).Renew, "the lease is longer than it has to hold")
	require.EqualValues(t, 1, orders.Load())

	longer := join(t, s, id, time.Hour, true)
	require.NotNil(t, longer)
	l := awaitLift(t, s, id, func(r liftRow) bool { return r.Renew != nil && *r.Renew > time.Now().UnixNano() })
	require.Equal(t, longer.Until.UnixNano(), *l.Lift)
	require.Greater(t, *l.Lift, *first.Executed+int64(59*time.Minute))
	require.EqualValues(t, 2, orders.Load(), "one order renews the lease")
	require.Nil(t, join(t, s, id, time.Minute, true), "never shorter")
	require.Zero(t, undone.Load())

	_, err := s.Pool().Exec(t.Context(), `UPDATE actions SET lift_ns = 1 WHERE id = $1`, id)
	require.NoError(t, err)
	awaitLift(t, s, id, isLifted)
	require.EqualValues(t, 1, undone.Load())
}

// A decision that comes while the effect is being caused counts too.
func TestALongerDecisionWhileItIsExecuted(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	var orders, undone atomic.Int64
	begun, goOn := make(chan struct{}), make(chan struct{})
	run(t, options(s, counted(&orders, &undone, func(ctx context.Context, r action.Request) (action.Result, error) {
		close(begun)
		<-goOn
		return found(ctx, r)
	})))
	id := planned(t, s, func(p *plan) { p.ttl = 30 * time.Second })
	<-begun
	require.Equal(t, &store.Prolonged{For: time.Hour}, join(t, s, id, time.Hour, true))
	close(goOn)
	r := ended(t, s, id)
	l := readLift(t, s, id)
	require.Equal(t, *r.Executed+int64(time.Hour), *l.Lift)
	require.Equal(t, *r.Executed+int64(30*time.Second), *l.Renew)
}
