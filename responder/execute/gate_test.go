package execute_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/responder/action"
	"riposte/responder/execute"
	"riposte/responder/store/storetest"
)

func TestExpiredActionHasNoEffect(t *testing.T) {
	s := storetest.New(t)
	run(t, options(s, touch(func(context.Context, action.Request) (action.Result, error) {
		t.Error("it was executed")
		return action.Result{}, nil
	})))
	id := planned(t, s, func(p *plan) { p.expires = time.Now().Add(-time.Second) })
	r := ended(t, s, id)
	require.Equal(t, "expired", r.State)
	require.Nil(t, r.Executed)
	require.Equal(t, []string{"action.intent planned", "action.result expired"}, record(t, s, id))
}

func TestHeldActionStaysPlannedAndIsRecordedOnce(t *testing.T) {
	s := storetest.New(t)
	var calls atomic.Int64
	o := options(s, touch(func(ctx context.Context, r action.Request) (action.Result, error) {
		calls.Add(1)
		return done(ctx, r)
	}))
	g := &gate{stop: &execute.Stop{Hold: true, Rule: "kill-switch", Reason: "the kill switch is on"}}
	o.Gate = g
	run(t, o)
	id := planned(t, s, nil)
	await(t, s, id, func(row) bool { return g.times() >= 3 })
	r := await(t, s, id, func(r row) bool { return r.State == "planned" })
	require.Equal(t, "held: the kill switch is on", r.Note)
	require.Zero(t, r.Attempts)
	require.Equal(t, []string{"action.intent planned", "action.held kill-switch"}, record(t, s, id))
	require.Zero(t, calls.Load())

	g.set(nil)
	r = ended(t, s, id)
	require.Equal(t, "succeeded", r.State)
	require.Equal(t, 1, r.Attempts)
	require.EqualValues(t, 1, calls.Load())
	require.Equal(t, []string{"action.intent planned", "action.held kill-switch", "action.result succeeded", "action.verified verified"}, record(t, s, id))
}

func TestGateRefuses(t *testing.T) {
	s := storetest.New(t)
	o := options(s, touch(func(context.Context, action.Request) (action.Result, error) {
		t.Error("it was executed")
		return action.Result{}, nil
	}))
	o.Gate = &gate{stop: &execute.Stop{Rule: "protected-namespace", Reason: "kube-system is protected"}}
	run(t, o)
	id := planned(t, s, nil)
	r := ended(t, s, id)
	require.Equal(t, "refused", r.State)
	require.Equal(t, "protected-namespace", r.RefusedBy)
	require.Equal(t, "kube-system is protected", r.Note)
	require.Equal(t, []string{"action.intent planned", "action.result refused"}, record(t, s, id))
}
