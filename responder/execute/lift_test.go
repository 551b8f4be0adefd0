package execute_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/responder/action"
	"riposte/responder/execute"
	"riposte/responder/store"
	"riposte/responder/store/storetest"
)

// undoable is an act that can be undone, and has a lease if that is not 0.
type undoable struct {
	act
	undo func(context.Context, action.Request) (action.Result, error)
}

func (u undoable) Undo(ctx context.Context, r action.Request) (action.Result, error) {
	return u.undo(ctx, r)
}

type leased struct {
	undoable
	lease time.Duration
}

func (l leased) Lease(json.RawMessage) (time.Duration, error) { return l.lease, nil }

// found is an Execute that says how it was before.
func found(context.Context, action.Request) (action.Result, error) {
	now := time.Now()
	return action.Result{
		Note: "done", ExecutedAt: now, VerifiedAt: now, Before: json.RawMessage(`{"was":"a"}`), After: json.RawMessage(`{"is":"b"}`),
		Evidence: json.RawMessage(`{"log":"\u0000"}`),
	}, nil
}

type liftRow struct {
	Lift, Renew, Lifted *int64
	By, Reason, Note    string
	Before, After       string
	Evidence            string
	Held                bool
}

func readLift(t testing.TB, s *store.Store, id string) (r liftRow) {
	t.Helper()
	require.NoError(t, s.Pool().QueryRow(t.Context(), `SELECT lift_ns, renew_ns, lifted_ns, lift_by, lift_reason, lift_note, before_image, after_image, evidence,
		lift_until IS NOT NULL FROM actions WHERE id = $1`, id).Scan(&r.Lift, &r.Renew, &r.Lifted, &r.By, &r.Reason, &r.Note, &r.Before, &r.After, &r.Evidence, &r.Held))
	return r
}

func awaitLift(t testing.TB, s *store.Store, id string, want func(liftRow) bool) (r liftRow) {
	t.Helper()
	require.Eventually(t, func() bool {
		r = readLift(t, s, id)
		return want(r)
	}, patience, 5*time.Millisecond, "the lifting did not get there")
	return r
}

func isLifted(r liftRow) bool { return r.Lifted != nil }

// liftEntries are the record's entries about lifting, as "kind result actor reason".
func liftEntries(t testing.TB, s *store.Store, id string) (list []string) {
	t.Helper()
	rows, err := s.Pool().Query(t.Context(), `SELECT concat_ws(' ', kind, nullif(result, ''), actor, reason)
		FROM audit WHERE action_id = $1 AND kind LIKE 'action.lift%' ORDER BY seq`, id)
	require.NoError(t, err)
	defer rows.Close()
	for rows.Next() {
		var e string
		require.NoError(t, rows.Scan(&e))
		list = append(list, e)
	}
	require.NoError(t, rows.Err())
	return list
}

func TestEffectIsLiftedOnceWhenItsTimeIsOver(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	calls := make(chan action.Request, 100)
	a := undoable{touch(found), func(_ context.Context, r action.Request) (action.Result, error) {
		calls <- r
		return action.Result{Note: "brought back a; left b alone: somebody else has changed it since"}, nil
	}}
	for _, name := range []string{"one", "two"} {
		o := options(s, a)
		o.Instance = name
		run(t, o)
	}
	id := planned(t, s, func(p *plan) { p.ttl = 300 * time.Millisecond })
	r := ended(t, s, id)
	l := awaitLift(t, s, id, isLifted)
	require.Equal(t, *r.Executed+int64(300*time.Millisecond), *l.Lift)
	require.GreaterOrEqual(t, *l.Lifted, *l.Lift)
	require.Equal(t, "brought back a; left b alone: somebody else has changed it since", l.Note)
	require.False(t, l.Held)
	require.JSONEq(t, `{"was":"a"}`, l.Before)
	require.JSONEq(t, `{"is":"b"}`, l.After)
	require.JSONEq(t, `{"log":"\u0000"}`, l.Evidence)
	got := receive(t, calls)
	require.Equal(t, id, got.ID)
	require.JSONEq(t, `{"was":"a"}`, string(got.Before))
	// Jobs too many find nothing to do.
	again := planned(t, s, func(p *plan) { p.ttl = time.Nanosecond })
	awaitLift(t, s, again, isLifted)
	require.Equal(t, again, receive(t, calls).ID)
	require.Empty(t, calls)
	require.Equal(t, []string{"action.lifted lifted system:execute its time was over"}, liftEntries(t, s, id))
	record(t, s, id) // the chain verifies
}

func TestLiftedEffectCanBeCausedAgain(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	run(t, options(s, undoable{touch(found), func(context.Context, action.Request) (action.Result, error) { return action.Result{}, nil }}))
	id := planned(t, s, func(p *plan) { p.ttl = time.Nanosecond })
	awaitLift(t, s, id, isLifted)
	var key string
	require.NoError(t, s.Pool().QueryRow(t.Context(), `SELECT effect_key FROM actions WHERE id = $1`, id).Scan(&key))
	other := planned(t, s, func(p *plan) { p.silent, p.state = true, "observed" })
	_, err := s.Pool().Exec(t.Context(), `UPDATE actions SET effect_key = $2, state = 'planned' WHERE id = $1`, other, key)
	require.NoError(t, err)
	require.Equal(t, "succeeded", ended(t, s, other).State)
}

func TestPersonLifts(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	g := &gate{}
	a := undoable{touch(found), func(context.Context, action.Request) (action.Result, error) {
		return action.Result{Note: "brought back"}, nil
	}}
	kill := touch(done)
	kill.spec.Type = "kill"
	o := options(s, a, kill)
	o.Gate = g
	run(t, o)
	ask := func(id string) error {
		return execute.AskLift(t.Context(), s, o.Registry, id, "user:jane", "false alarm")
	}
	id := planned(t, s, nil)
	ended(t, s, id)
	require.Nil(t, readLift(t, s, id).Lift, "without a ttl it stays")
	g.set(&execute.Stop{Hold: true, Rule: "kill-switch", Reason: "the kill switch is on"})
	require.NoError(t, ask(id))
	l := awaitLift(t, s, id, isLifted)
	require.Equal(t, "user:jane", l.By)
	require.Equal(t, "brought back", l.Note)
	require.Equal(t, []string{"action.lift user:jane false alarm", "action.lifted lifted user:jane false alarm"}, liftEntries(t, s, id))
	require.ErrorIs(t, ask(id), execute.ErrNotLiftable, "it is lifted")
	g.set(nil)

	killed := planned(t, s, func(p *plan) { p.kind = "kill" })
	ended(t, s, killed)
	require.ErrorContains(t, ask(killed), "kill cannot be undone")
	seen := planned(t, s, func(p *plan) { p.silent, p.state = true, "observed" })
	require.ErrorContains(t, ask(seen), "the action is observed")
	require.ErrorIs(t, ask("0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"), store.ErrNotFound)
}

func TestLiftingIsTriedAgainOrGivenUp(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	var calls atomic.Int64
	var answer atomic.Pointer[error]
	a := undoable{touch(found), func(context.Context, action.Request) (action.Result, error) {
		if calls.Add(1) == 1 {
			return action.Result{}, errors.New("connection reset")
		}
		return action.Result{}, *answer.Load()
	}}
	no := error(&action.Error{Kind: action.Refused, Err: errors.New("forbidden")})
	answer.Store(&no)
	o := options(s, a)
	run(t, o)
	id := planned(t, s, func(p *plan) { p.ttl = time.Nanosecond })
	l := awaitLift(t, s, id, func(r liftRow) bool { return r.Lift == nil && strings.Contains(r.Note, "forbidden") })
	require.Nil(t, l.Lifted)
	require.False(t, l.Held)
	require.EqualValues(t, 2, calls.Load())
	require.Equal(t, []string{"action.lifted failed system:execute its time was over"}, liftEntries(t, s, id))

	var yes error
	answer.Store(&yes)
	require.NoError(t, execute.AskLift(t.Context(), s, o.Registry, id, "user:jane", "mended"))
	awaitLift(t, s, id, isLifted)
	require.Equal(t, []string{
		"action.lifted failed system:execute its time was over", "action.lift user:jane mended", "action.lifted lifted user:jane mended",
	}, liftEntries(t, s, id))
}

func TestLeaseIsRenewedUntilTheTimeIsOver(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	var executed, undone atomic.Int64
	a := leased{undoable{touch(func(ctx context.Context, r action.Request) (action.Result, error) {
		executed.Add(1)
		if !time.Now().Before(r.Expires) {
			return action.Result{}, &action.Error{Kind: action.Permanent, Err: errors.New("expired")}
		}
		return done(ctx, r)
	}), func(context.Context, action.Request) (action.Result, error) {
		undone.Add(1)
		return action.Result{Note: "lifted"}, nil
	}}, 400 * time.Millisecond}
	o := options(s, a)
	g := &gate{}
	o.Gate, o.RescueEvery = g, 20*time.Millisecond
	e := run(t, o)
	id := planned(t, s, func(p *plan) { p.ttl, p.expires = time.Hour, time.Now().Add(5*time.Second) })
	ended(t, s, id)
	// What was only to be executed within some minutes is renewed long after; what the
	// guard has against doing it anew does not matter.
	_, err := s.Pool().Exec(t.Context(), `UPDATE actions SET expires_ns = 1 WHERE id = $1`, id)
	require.NoError(t, err)
	g.set(&execute.Stop{Rule: "not-judged", Reason: "the action has no place in the budgets"})
	awaitLift(t, s, id, func(liftRow) bool { return e.Stats().Renewed >= 3 })
	require.EqualValues(t, 0, undone.Load())
	require.NoError(t, execute.AskLift(t.Context(), s, o.Registry, id, "user:jane", "over"))
	l := awaitLift(t, s, id, isLifted)
	require.Nil(t, l.Renew)
	require.EqualValues(t, 1, undone.Load())
	require.GreaterOrEqual(t, executed.Load(), int64(4))
}

func TestKillSwitchStopsRenewing(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	a := leased{undoable{touch(found), func(context.Context, action.Request) (action.Result, error) {
		return action.Result{Note: "lifted"}, nil
	}}, time.Minute}
	o := options(s, a)
	g := &gate{}
	o.Gate = g
	e := run(t, o)
	id := planned(t, s, func(p *plan) { p.ttl = time.Hour })
	ended(t, s, id)
	require.NotNil(t, readLift(t, s, id).Renew)
	g.set(&execute.Stop{Hold: true, Rule: "kill-switch", Reason: "the kill switch is on"})
	_, err := s.Pool().Exec(t.Context(), `UPDATE actions SET renew_ns = 1 WHERE id = $1`, id)
	require.NoError(t, err)
	awaitLift(t, s, id, func(r liftRow) bool { return r.Note == "not renewed: the kill switch is on" })
	require.Zero(t, e.Stats().Renewed)
	_, err = s.Pool().Exec(t.Context(), `UPDATE actions SET lift_ns = 1, lift_until = NULL WHERE id = $1`, id)
	require.NoError(t, err)
	awaitLift(t, s, id, isLifted)
}

func TestLeaseThatCannotBeRenewedIsLifted(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	a := leased{undoable{touch(func(ctx context.Context, r action.Request) (action.Result, error) {
		if r.Attempt > 1 || len(r.Before) > 0 {
			return action.Result{}, &action.Error{Kind: action.Permanent, Err: errors.New("its lease ended")}
		}
		return found(ctx, r)
	}), func(context.Context, action.Request) (action.Result, error) {
		return action.Result{Note: "nothing was left to lift"}, nil
	}}, 100 * time.Millisecond}
	run(t, options(s, a))
	id := planned(t, s, func(p *plan) { p.ttl = time.Hour })
	l := awaitLift(t, s, id, isLifted)
	require.Equal(t, "nothing was left to lift", l.Note)
	require.Equal(t, []string{"action.lifted lifted system:execute its lease could not be renewed: its lease ended"}, liftEntries(t, s, id))
}

func TestLeaseWithoutTTLEndsInTheRecordToo(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	a := leased{undoable{touch(found), func(context.Context, action.Request) (action.Result, error) {
		return action.Result{Note: "nothing was left to lift"}, nil
	}}, 100 * time.Millisecond}
	run(t, options(s, a))
	id := planned(t, s, nil)
	l := awaitLift(t, s, id, isLifted)
	require.Equal(t, *ended(t, s, id).Executed+int64(100*time.Millisecond), *l.Lift)
}

func TestImagesAreBounded(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	long := json.RawMessage(`"` + strings.Repeat("x", 5<<20) + `"`)
	run(t, options(s, touch(func(ctx context.Context, r action.Request) (action.Result, error) {
		result, err := done(ctx, r)
		result.Before, result.After, result.Evidence = long, long, long
		return result, err
	})))
	id := planned(t, s, nil)
	require.Equal(t, "done; how it was before has 5242882 bytes and was not kept", ended(t, s, id).Note)
	l := readLift(t, s, id)
	require.Empty(t, l.Before)
	for text, begin := range map[string]int{l.After: 1 << 19, l.Evidence: 2 << 20} {
		var cut struct {
			Cut           bool
			Bytes         int
			SHA256, Begin string
		}
		require.NoError(t, json.Unmarshal([]byte(text), &cut))
		require.True(t, cut.Cut)
		require.Equal(t, len(long), cut.Bytes)
		require.Len(t, cut.Begin, begin)
		require.Len(t, cut.SHA256, 64)
	}
}

func TestLiftingIsGivenUpInTheEnd(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	o := options(s, undoable{touch(found), func(context.Context, action.Request) (action.Result, error) {
		return action.Result{}, errors.New("no route to host")
	}})
	o.LiftFor = time.Nanosecond
	e := run(t, o)
	id := planned(t, s, func(p *plan) { p.ttl = time.Nanosecond })
	l := awaitLift(t, s, id, func(r liftRow) bool { return r.Note != "" })
	require.Equal(t, "given up after 1 attempts in 1ns: no route to host", l.Note)
	require.Nil(t, l.Lift)
	require.Nil(t, l.Lifted)
	require.EqualValues(t, 1, e.Stats().Ended[execute.Count{Type: "touch", What: "not-lifted"}])
}
