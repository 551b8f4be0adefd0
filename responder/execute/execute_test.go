package execute_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"riposte/responder/action"
	"riposte/responder/execute"
	"riposte/responder/store"
	"riposte/responder/store/storetest"
)

func TestEffectAndItsRecord(t *testing.T) {
	s := storetest.New(t)
	before := time.Now()
	requests := make(chan action.Request, 10)
	e := run(t, options(s, touch(func(ctx context.Context, r action.Request) (action.Result, error) {
		requests <- r
		return done(ctx, r)
	})))
	id := planned(t, s, nil)
	r := ended(t, s, id)
	require.Equal(t, "succeeded", r.State)
	require.Equal(t, "done", r.Note)
	require.Equal(t, 1, r.Attempts)
	require.Empty(t, r.Holder)
	for _, ns := range []*int64{r.Executed, r.Verified, r.Audited} {
		require.NotNil(t, ns)
		require.WithinRange(t, time.Unix(0, *ns), before, time.Now())
	}
	require.GreaterOrEqual(t, *r.Audited, *r.Verified)
	require.Equal(t, []string{"action.intent planned", "action.result succeeded", "action.verified verified"}, record(t, s, id))

	got := receive(t, requests)
	require.Equal(t, id, got.ID)
	require.Equal(t, 1, got.Attempt)
	require.Equal(t, "a shell", got.Reason)
	require.Equal(t, action.Target{Kind: "container", Cluster: "local", Node: "n1", ContainerID: id, CgroupID: 7, StartNS: 8}, got.Target)
	require.Empty(t, requests)
	require.EqualValues(t, 1, e.Stats().Ended[execute.Count{Type: "touch", What: "succeeded"}])
	require.EqualValues(t, 1, e.Stats().Ended[execute.Count{Type: "touch", What: "verified"}])
}

func TestRolledBackPlanIsNotExecuted(t *testing.T) {
	s := storetest.New(t)
	var calls atomic.Int64
	run(t, options(s, touch(func(ctx context.Context, r action.Request) (action.Result, error) {
		calls.Add(1)
		return done(ctx, r)
	})))
	stop := errors.New("no")
	require.ErrorIs(t, s.InTx(t.Context(), func(tx store.Tx) error {
		require.NoError(t, insert(t.Context(), tx, plan{id: "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b", kind: "touch", state: "planned", queue: execute.Contain}))
		return stop
	}), stop)
	// One that comes after it is through.
	ended(t, s, planned(t, s, nil))
	require.EqualValues(t, 1, calls.Load())
}

func TestEveryTransactionWakesTheExecutors(t *testing.T) {
	s := storetest.New(t)
	listener, err := pgx.ConnectConfig(t.Context(), s.Pool().Config().ConnConfig)
	require.NoError(t, err)
	defer listener.Close(context.Background())
	_, err = listener.Exec(t.Context(), `LISTEN "river.river_insert"`)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()

	// All inserts are within one cooldown of River's, the commits are not.
	var txs []pgx.Tx
	for range 3 {
		tx, err := s.Pool().Begin(t.Context())
		require.NoError(t, err)
		require.NoError(t, execute.Enqueue(t.Context(), store.Tx{Tx: tx}, "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"))
		txs = append(txs, tx)
	}
	for _, tx := range txs {
		require.NoError(t, tx.Commit(t.Context()))
		n, err := listener.WaitForNotification(ctx)
		require.NoError(t, err)
		require.JSONEq(t, `{"queue":"contain"}`, n.Payload)
	}
}

func TestEffectIsLookedForLater(t *testing.T) {
	s := storetest.New(t)
	seen := time.Now().Add(-time.Second)
	a := touch(func(context.Context, action.Request) (action.Result, error) { return action.Result{Note: "asked"}, nil })
	a.verify = func(context.Context, action.Request) (time.Time, error) { return seen, nil }
	run(t, options(s, a))
	id := planned(t, s, nil)
	r := ended(t, s, id)
	require.Equal(t, "succeeded", r.State)
	require.Equal(t, seen.UnixNano(), *r.Verified)
	require.Equal(t, 1, r.Attempts, "to look is no attempt")
	require.Equal(t, []string{"action.intent planned", "action.result succeeded", "action.verified verified"}, record(t, s, id))
}

func TestEffectThatIsNotSeenIsRecordedAsSuch(t *testing.T) {
	s := storetest.New(t)
	a := touch(func(context.Context, action.Request) (action.Result, error) { return action.Result{Note: "asked"}, nil })
	a.verify = func(ctx context.Context, _ action.Request) (time.Time, error) {
		<-ctx.Done()
		return time.Time{}, fmt.Errorf("still there: %w", ctx.Err())
	}
	o := options(s, a)
	o.VerifyTimeout = 50 * time.Millisecond
	run(t, o)
	id := planned(t, s, nil)
	r := ended(t, s, id)
	require.Equal(t, "succeeded", r.State)
	require.Nil(t, r.Verified)
	require.Equal(t, "asked (the effect was not seen: still there: context deadline exceeded)", r.Note)
	require.Equal(t, []string{"action.intent planned", "action.result succeeded", "action.verified unverified"}, record(t, s, id))
}

func TestErrorsEndOrRetry(t *testing.T) {
	mine := func(kind action.ErrorKind, text string) error {
		return &action.Error{Kind: kind, Err: errors.New(text)}
	}
	for name, c := range map[string]struct {
		errs     []error // one for each attempt, nil for success
		verify   error
		state    string
		note     string
		refused  string
		attempts int
		record   []string
	}{
		"permanent": {
			errs: []error{mine(action.Permanent, "no such kind")}, state: "failed", note: "no such kind", attempts: 1,
			record: []string{"action.result failed"},
		},
		"refused": {
			errs: []error{mine(action.Refused, "protected")}, state: "refused", note: "protected", refused: "target", attempts: 1,
			record: []string{"action.result refused"},
		},
		"retryable, then well": {
			errs: []error{mine(action.Retryable, "busy"), mine(action.Retryable, "busy"), nil}, state: "succeeded", note: "done", attempts: 3,
			record: []string{"action.result succeeded", "action.verified verified"},
		},
		"retryable to the end": {
			errs: []error{mine(action.Retryable, "busy")}, state: "failed", note: "given up after 3 attempts: busy", attempts: 3,
			record: []string{"action.result failed"},
		},
		"unsure to the end, effect found": {
			errs: []error{context.DeadlineExceeded}, state: "succeeded", attempts: 3,
			note:   "given up after 3 attempts: context deadline exceeded; its effect was found",
			record: []string{"action.result succeeded", "action.verified verified"},
		},
		"unsure to the end, effect not found": {
			errs: []error{errors.New("connection reset")}, verify: errors.New("still there"), state: "unknown", attempts: 3,
			note:   "given up after 3 attempts: connection reset; its effect was not seen: still there",
			record: []string{"action.result unknown"},
		},
		"unsure once, then refused": {
			errs: []error{errors.New("connection reset"), mine(action.Refused, "protected")}, verify: errors.New("still there"), state: "unknown", attempts: 2,
			note:   "protected; its effect was not seen: still there",
			record: []string{"action.result unknown"},
		},
		"unsure once, then surely not": {
			errs: []error{errors.New("connection reset"), mine(action.Retryable, "busy")}, verify: errors.New("still there"), state: "unknown", attempts: 3,
			note:   "given up after 3 attempts: busy; its effect was not seen: still there",
			record: []string{"action.result unknown"},
		},
		"hostile text": {
			errs: []error{mine(action.Permanent, "a\x00b\xffc")}, state: "failed", note: "a\uFFFDb\uFFFDc", attempts: 1,
			record: []string{"action.result failed"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := storetest.New(t)
			a := touch(func(ctx context.Context, r action.Request) (action.Result, error) {
				if err := c.errs[min(r.Attempt, len(c.errs))-1]; err != nil {
					return action.Result{}, err
				}
				return done(ctx, r)
			})
			a.verify = func(context.Context, action.Request) (time.Time, error) { return time.Now(), c.verify }
			o := options(s, a)
			o.MaxAttempts = 3
			run(t, o)
			id := planned(t, s, nil)
			r := ended(t, s, id)
			require.Equal(t, c.state, r.State)
			require.Equal(t, c.note, r.Note)
			require.Equal(t, c.refused, r.RefusedBy)
			require.Equal(t, c.attempts, r.Attempts)
			require.Equal(t, append([]string{"action.intent planned"}, c.record...), record(t, s, id))
		})
	}
}

func TestPanicIsAnAttemptOfUnknownOutcome(t *testing.T) {
	s := storetest.New(t)
	a := touch(func(context.Context, action.Request) (action.Result, error) { panic("nil map") })
	a.verify = func(context.Context, action.Request) (time.Time, error) { panic("again") }
	o := options(s, a)
	o.MaxAttempts = 1
	run(t, o)
	r := ended(t, s, planned(t, s, nil))
	require.Equal(t, "unknown", r.State)
	require.Equal(t, "given up after 1 attempts: the action panicked: nil map; its effect was not seen: the action panicked: again", r.Note)
}

func TestExecuteIsBoundedInTime(t *testing.T) {
	s := storetest.New(t)
	a := touch(func(ctx context.Context, r action.Request) (action.Result, error) {
		if r.Attempt == 1 {
			<-ctx.Done()
			return action.Result{}, ctx.Err()
		}
		return done(ctx, r)
	})
	o := options(s, a)
	o.ExecuteTimeout = 50 * time.Millisecond
	run(t, o)
	r := ended(t, s, planned(t, s, nil))
	require.Equal(t, "succeeded", r.State)
	require.Equal(t, 2, r.Attempts)
}

func TestUnknownTypeAndUnreadableTargetEnd(t *testing.T) {
	s := storetest.New(t)
	run(t, options(s, touch(done)))
	id := planned(t, s, func(p *plan) { p.kind = "explode" })
	r := ended(t, s, id)
	require.Equal(t, "failed", r.State)
	require.Equal(t, `no action is called "explode" here`, r.Note)

	id = planned(t, s, func(p *plan) { p.silent, p.state = true, "waiting" })
	_, err := s.Pool().Exec(t.Context(), `UPDATE actions SET target = '"x"', state = 'planned' WHERE id = $1`, id)
	require.NoError(t, err)
	require.Equal(t, "failed", ended(t, s, id).State)
}

func TestManyJobsAndExecutorsCauseOneEffect(t *testing.T) {
	s := storetest.New(t)
	calls := make(chan string, 1000)
	a := touch(func(ctx context.Context, r action.Request) (action.Result, error) {
		calls <- r.ID
		time.Sleep(time.Millisecond) // leave room for another executor to come in
		return done(ctx, r)
	})
	for _, name := range []string{"one", "two", "three"} {
		o := options(s, a)
		o.Instance = name
		run(t, o)
	}
	ids := make([]string, 20)
	for i := range ids {
		ids[i] = planned(t, s, nil)
		require.NoError(t, s.InTx(t.Context(), func(tx store.Tx) error {
			return execute.Enqueue(t.Context(), tx, ids[i], ids[i], ids[i], ids[i])
		}))
	}
	for _, id := range ids {
		require.Equal(t, 1, ended(t, s, id).Attempts)
		require.Equal(t, []string{"action.intent planned", "action.result succeeded", "action.verified verified"}, record(t, s, id))
	}
	// Every job is worked off, none of them with a second effect.
	require.Eventually(t, func() bool {
		var open int
		require.NoError(t, s.Pool().QueryRow(t.Context(), `SELECT count(*) FROM river.river_job WHERE state <> 'completed'`).Scan(&open))
		return open == 0
	}, patience, 10*time.Millisecond)
	require.Len(t, calls, len(ids))
}

func TestSlowActionsDoNotDelayAKill(t *testing.T) {
	s := storetest.New(t)
	started, release := make(chan struct{}, 10), make(chan struct{})
	slow := touch(func(ctx context.Context, r action.Request) (action.Result, error) {
		started <- struct{}{}
		<-release
		return done(ctx, r)
	})
	slow.spec.Type, slow.spec.Slow = "capture", true
	o := options(s, slow, touch(done))
	o.DefaultWorkers, o.ContainWorkers = 1, 1
	run(t, o)
	var slowOnes []string
	for range 3 {
		slowOnes = append(slowOnes, planned(t, s, func(p *plan) { p.kind, p.queue = "capture", execute.QueueOf(slow.Spec()) }))
	}
	receive(t, started)
	require.Equal(t, "succeeded", ended(t, s, planned(t, s, nil)).State)
	close(release)
	for _, id := range slowOnes {
		require.Equal(t, "succeeded", ended(t, s, id).State)
	}
}

func TestNoGoroutineIsLeft(t *testing.T) {
	s := storetest.New(t)
	ended(t, s, func() string {
		id := planned(t, s, nil)
		already := goleak.IgnoreCurrent()
		e := run(t, options(s, touch(done)))
		ended(t, s, id)
		stop(t, e)
		s.Pool().Reset() // the pool's own, for idle connections
		goleak.VerifyNone(t, already, goleak.IgnoreAnyFunction("github.com/jackc/pgx/v5/pgxpool.(*Pool).backgroundHealthCheck"))
		return id
	}())
}

func TestEnqueueRefusesWhatIsNoID(t *testing.T) {
	s := storetest.New(t)
	err := s.InTx(t.Context(), func(tx store.Tx) error { return execute.Enqueue(t.Context(), tx, "kill everything") })
	require.ErrorContains(t, err, `"kill everything" is no action's id`)
	require.NoError(t, s.InTx(t.Context(), func(tx store.Tx) error { return execute.Enqueue(t.Context(), tx) }))
}

func TestOptionsAreChecked(t *testing.T) {
	s := storetest.New(t)
	for want, change := range map[string]func(*execute.Options){
		"no pool":       func(o *execute.Options) { o.Pool = nil },
		"no gate":       func(o *execute.Options) { o.Gate = nil },
		"no log":        func(o *execute.Options) { o.Log = nil },
		"instance's na": func(o *execute.Options) { o.Instance = "" },
	} {
		o := options(s)
		change(&o)
		_, err := execute.New(o)
		require.ErrorContains(t, err, want)
	}
	e, err := execute.New(options(s))
	require.NoError(t, err)
	require.NoError(t, e.Stop(t.Context()), "what was not started can be stopped")
}

// BenchmarkLatency is the time from the commit of a plan to the call of Execute.
func BenchmarkLatency(b *testing.B) {
	s := storetest.New(b)
	called := make(chan time.Time, 1)
	run(b, options(s, touch(func(ctx context.Context, r action.Request) (action.Result, error) {
		called <- time.Now()
		return done(ctx, r)
	})))
	var total, worst time.Duration
	n := 0
	for b.Loop() {
		p := planned(b, s, nil)
		committed := time.Now()
		d := receive(b, called).Sub(committed)
		total += d
		worst = max(worst, d)
		n++
		b.StopTimer()
		ended(b, s, p)
		b.StartTimer()
	}
	b.ReportMetric(float64(total.Microseconds())/float64(n), "µs/latency")
	b.ReportMetric(float64(worst.Microseconds()), "µs/worst")
}
