package execute_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/responder/action"
	"riposte/responder/execute"
	"riposte/responder/store"
	"riposte/responder/store/storetest"
)

// stages are one action of each stage; that of Gather waits for go on.
func stages(goOn <-chan struct{}) (all []action.Action) {
	for name, stage := range map[string]action.Stage{"freeze": action.Contain, "collect": action.Gather, "kill": action.Destroy} {
		a := touch(func(ctx context.Context, r action.Request) (action.Result, error) {
			if stage == action.Gather {
				select {
				case <-goOn:
				case <-ctx.Done():
					return action.Result{}, ctx.Err()
				}
			}
			return done(ctx, r)
		})
		a.spec.Type, a.spec.Stage, a.spec.Slow = name, stage, stage == action.Gather
		all = append(all, a)
	}
	return all
}

func TestEvidenceBeforeDestruction(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	goOn := make(chan struct{})
	run(t, options(s, stages(goOn)...))
	evidence := planned(t, s, func(p *plan) { p.kind, p.queue = "collect", execute.Default })
	kill := planned(t, s, func(p *plan) { p.kind, p.beside = "kill", evidence })
	freeze := planned(t, s, func(p *plan) { p.kind, p.beside = "freeze", evidence })
	other := planned(t, s, func(p *plan) { p.kind = "kill" })
	require.Equal(t, "succeeded", ended(t, s, freeze).State, "what contains waits for nothing")
	require.Equal(t, "succeeded", ended(t, s, other).State, "another decision's evidence is not waited for")
	await(t, s, kill, func(r row) bool { return r.Note == "waits for the evidence of its decision" })
	close(goOn)
	r := ended(t, s, kill)
	require.Equal(t, "succeeded", r.State)
	require.Equal(t, "done", r.Note)
	require.Equal(t, 1, r.Attempts, "to wait is no attempt")
	require.Greater(t, *r.Executed, *ended(t, s, evidence).Executed)
}

func TestDestructionDoesNotWaitForEver(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	goOn := make(chan struct{})
	o := options(s, stages(goOn)...)
	o.StageWait = 50 * time.Millisecond
	run(t, o)
	evidence := planned(t, s, func(p *plan) { p.kind, p.queue = "collect", execute.Default })
	kill := planned(t, s, func(p *plan) { p.kind, p.beside = "kill", evidence })
	r := ended(t, s, kill)
	require.Equal(t, "succeeded", r.State)
	require.Equal(t, "done; it did not wait longer than 50ms for the evidence", r.Note)
	require.Nil(t, read(t, s, evidence).Executed)
	close(goOn)
	ended(t, s, evidence)
}

func TestEnqueuerKnowsTheQueues(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	registry := action.NewRegistry(stages(nil)...)
	slow := planned(t, s, func(p *plan) { p.silent, p.kind = true, "collect" })
	quick := planned(t, s, func(p *plan) { p.silent, p.kind = true, "kill" })
	require.NoError(t, s.InTx(t.Context(), func(tx store.Tx) error {
		return execute.Enqueuer(registry)(t.Context(), tx, slow, quick)
	}))
	queues := map[string]string{}
	rows, err := s.Pool().Query(t.Context(), `SELECT queue, args FROM river.river_job`)
	require.NoError(t, err)
	defer rows.Close()
	for rows.Next() {
		var queue string
		var args []byte
		require.NoError(t, rows.Scan(&queue, &args))
		var of struct{ Action string }
		require.NoError(t, json.Unmarshal(args, &of))
		queues[of.Action] = queue
	}
	require.NoError(t, rows.Err())
	require.Equal(t, map[string]string{slow: "default", quick: "contain"}, queues)
}

// What a budget of others holds up is tried until it expires.
func TestPatientActionIsTriedUntilItExpires(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	a := touch(func(ctx context.Context, r action.Request) (action.Result, error) {
		if r.Attempt < 3 {
			return action.Result{}, &action.Error{Kind: action.Retryable, Err: errors.New("a budget holds it")}
		}
		return done(ctx, r)
	})
	a.spec.Patient = true
	o := options(s, a)
	o.MaxAttempts = 1
	run(t, o)
	id := planned(t, s, nil)
	r := ended(t, s, id)
	require.Equal(t, "succeeded", r.State)
	require.Equal(t, 3, r.Attempts)
}

func TestPatientActionEndsWhenItsTimeIsOver(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	a := touch(func(context.Context, action.Request) (action.Result, error) {
		return action.Result{}, &action.Error{Kind: action.Retryable, Err: errors.New("a budget holds it")}
	})
	a.spec.Patient = true
	o := options(s, a)
	o.MaxAttempts = 1
	run(t, o)
	id := planned(t, s, func(p *plan) { p.expires = time.Now().Add(3 * time.Second) })
	r := ended(t, s, id)
	require.Equal(t, "failed", r.State)
	require.Regexp(t, `^given up after \d+ attempts, because its time was over: a budget holds it$`, r.Note)
}
