package execute_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/responder/action"
	"riposte/responder/execute"
	"riposte/responder/store"
	"riposte/responder/store/storetest"
)

func TestOrphansAreRescued(t *testing.T) {
	for name, c := range map[string]struct {
		set      string
		attempts int
		record   []string
	}{
		"planned without a job":           {set: `state = 'planned', planned_ns = 1`, attempts: 1},
		"executing under our own name":    {set: `state = 'executing', attempts = 1, lease_holder = 'one', lease_until = now() + interval '1 hour'`, attempts: 2},
		"executing under an ended lease":  {set: `state = 'executing', attempts = 1, lease_holder = 'two', lease_until = now() - interval '3 seconds'`, attempts: 2},
		"given back while executing":      {set: `state = 'executing', attempts = 1`, attempts: 2},
		"succeeded, verification missing": {set: `state = 'succeeded', attempts = 1, executed_ns = 5, lease_holder = 'one', lease_until = now() + interval '1 hour'`, attempts: 1, record: []string{"action.verified verified"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := storetest.New(t)
			id := planned(t, s, func(p *plan) { p.silent, p.state = true, "waiting" })
			_, err := s.Pool().Exec(t.Context(), `UPDATE actions SET `+c.set+` WHERE id = $1`, id)
			require.NoError(t, err)
			run(t, options(s, touch(done)))
			r := ended(t, s, id)
			require.Equal(t, "succeeded", r.State)
			require.NotNil(t, r.Verified)
			require.Equal(t, c.attempts, r.Attempts)
			if c.record == nil {
				c.record = []string{"action.result succeeded", "action.verified verified"}
			}
			require.Equal(t, append([]string{"action.intent waiting"}, c.record...), record(t, s, id))
		})
	}
}

func TestAnotherInstancesLeaseIsRespected(t *testing.T) {
	s := storetest.New(t)
	id := planned(t, s, func(p *plan) { p.silent, p.state = true, "waiting" })
	_, err := s.Pool().Exec(t.Context(), `UPDATE actions SET state = 'executing', attempts = 1, lease_holder = 'two', lease_until = now() + interval '1 hour' WHERE id = $1`, id)
	require.NoError(t, err)
	run(t, options(s, touch(done)))
	require.NoError(t, s.InTx(t.Context(), func(tx store.Tx) error { return execute.Enqueue(t.Context(), tx, id) }))
	// The job for it is worked off, and so is a later action.
	require.Equal(t, "succeeded", ended(t, s, planned(t, s, nil)).State)
	require.Eventually(t, func() bool {
		var open int
		require.NoError(t, s.Pool().QueryRow(t.Context(), `SELECT count(*) FROM river.river_job WHERE state <> 'completed'`).Scan(&open))
		return open == 0
	}, patience, 10*time.Millisecond)
	r := read(t, s, id)
	require.Equal(t, "executing", r.State)
	require.Equal(t, "two", r.Holder)
}

func TestWhoLostTheLeaseRecordsNothing(t *testing.T) {
	s := storetest.New(t)
	e := run(t, options(s, touch(func(ctx context.Context, r action.Request) (action.Result, error) {
		// Another executor takes the action over, as if this one had hung for long.
		_, err := s.Pool().Exec(ctx, `UPDATE actions SET lease_holder = 'two', lease_until = now() + interval '1 hour' WHERE id = $1`, r.ID)
		if err != nil {
			return action.Result{}, err
		}
		return done(ctx, r)
	})))
	id := planned(t, s, nil)
	require.Eventually(t, func() bool { return e.Stats().LeaseLost == 1 }, patience, 5*time.Millisecond)
	r := read(t, s, id)
	require.Equal(t, "executing", r.State)
	require.Equal(t, "two", r.Holder)
	require.Equal(t, []string{"action.intent planned"}, record(t, s, id))
}

func TestStopHandsOver(t *testing.T) {
	s := storetest.New(t)
	started := make(chan struct{}, 10)
	first := run(t, options(s, touch(func(ctx context.Context, _ action.Request) (action.Result, error) {
		started <- struct{}{}
		<-ctx.Done() // only the stop ends it
		return action.Result{}, ctx.Err()
	})))
	id := planned(t, s, nil)
	receive(t, started)
	begin := time.Now()
	stop(t, first)
	require.Less(t, time.Since(begin), 5*time.Second)
	stop(t, first)
	require.Equal(t, "executing", read(t, s, id).State, "its outcome is not known")

	run(t, options(s, touch(done)))
	r := ended(t, s, id)
	require.Equal(t, "succeeded", r.State)
	require.Equal(t, 2, r.Attempts)
	require.Equal(t, []string{"action.intent planned", "action.result succeeded", "action.verified verified"}, record(t, s, id))
}
