package execute_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/responder/action"
	"riposte/responder/execute"
	"riposte/responder/store/storetest"
)

// witness keeps what it is told.
type witness struct {
	mu     sync.Mutex
	ended  []execute.Ended
	lifted []execute.Lifting
}

func (w *witness) Ended(e execute.Ended) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = append(w.ended, e)
}

func (w *witness) Lifted(l execute.Lifting) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lifted = append(w.lifted, l)
}

// about waits for what is told of an action.
func (w *witness) about(t *testing.T, id string, lifted bool) (ended []execute.Ended, lifts []execute.Lifting) {
	t.Helper()
	require.Eventually(t, func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		ended, lifts = nil, nil
		for _, e := range w.ended {
			if e.ID == id {
				ended = append(ended, e)
			}
		}
		for _, l := range w.lifted {
			if l.ActionID == id {
				lifts = append(lifts, l)
			}
		}
		return len(ended) > 0 && (!lifted || len(lifts) > 0)
	}, patience, 5*time.Millisecond)
	return ended, lifts
}

// An end is told once, when its effect was seen or is looked for no more, with all the
// times of its way.
func TestEndsAreTold(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	w := &witness{}
	fails := act{spec: action.Spec{Type: "fail", Kind: "container"}, execute: func(context.Context, action.Request) (action.Result, error) {
		return action.Result{}, &action.Error{Kind: action.Permanent, Err: errors.New("no")}
	}}
	unseen := touch(func(context.Context, action.Request) (action.Result, error) {
		return action.Result{ExecutedAt: time.Now()}, nil
	})
	unseen.spec.Type, unseen.verify = "unseen", func(context.Context, action.Request) (time.Time, error) { return time.Time{}, errors.New("not there") }
	later := touch(func(context.Context, action.Request) (action.Result, error) {
		return action.Result{ExecutedAt: time.Now()}, nil
	})
	later.spec.Type = "later"
	undone := undoable{touch(done), func(context.Context, action.Request) (action.Result, error) { return action.Result{}, nil }}
	o := options(s, undone, fails, unseen, later)
	o.Observer = w
	run(t, o)
	for kind, want := range map[string]struct {
		state    string
		verified bool
	}{"touch": {"succeeded", true}, "later": {"succeeded", true}, "unseen": {"succeeded", false}, "fail": {"failed", false}} {
		id := planned(t, s, func(p *plan) {
			if p.kind = kind; kind == "touch" {
				p.ttl = time.Millisecond
			}
		})
		ended, lifts := w.about(t, id, kind == "touch")
		require.Len(t, ended, 1, kind)
		e := ended[0]
		require.Equal(t, want.state, e.State, kind)
		require.Equal(t, want.verified, e.When.VerifiedNS > 0, kind)
		require.Equal(t, kind, e.Type)
		require.Equal(t, "kill", e.Playbook)
		require.Equal(t, 1, e.Attempts)
		require.NotEmpty(t, e.AlertID)
		require.Positive(t, e.When.KernelNS)
		require.LessOrEqual(t, e.PlannedNS, e.ExecutingNS, kind)
		require.LessOrEqual(t, e.ExecutingNS, e.EndedNS, kind)
		require.Equal(t, want.state == "succeeded", e.When.ExecutedNS > 0, kind)
		if kind == "touch" {
			require.Equal(t, "lifted", lifts[0].Result)
			require.Equal(t, e.AlertID, lifts[0].AlertID)
			require.False(t, lifts[0].At.Before(lifts[0].Due))
		}
	}
}
