package execute

import (
	"context"
	"fmt"
	"time"

	"github.com/riverqueue/river"

	"riposte/responder/action"
)

// maxLiftDelay is the longest wait between two tries to lift an effect.
const maxLiftDelay = time.Minute

type lifter struct {
	river.WorkerDefaults[liftJob]
	e *Executor
}

// Timeout is only a net below the narrower ones of each step.
func (w *lifter) Timeout(*river.Job[liftJob]) time.Duration { return w.e.o.longest() }

// NextRetry is for a database that did not answer; the liftings' own retries come from
// the rescue loop.
func (w *lifter) NextRetry(j *river.Job[liftJob]) time.Time {
	return time.Now().Add(min(time.Duration(j.Attempt)*time.Second, maxDelay))
}

// Work lifts one effect, or renews the lease that it lasts for. No kill switch stops
// the lifting; the gate is asked before a renewal.
func (w *lifter) Work(ctx context.Context, j *river.Job[liftJob]) error {
	e := w.e
	leave, err := e.enter(ctx, lifting+j.Args.Action)
	if err != nil {
		return err
	}
	defer leave()
	h, err := e.claimLift(ctx, j.Args.Action)
	if err != nil || h == nil {
		return err
	}
	a, ok := e.o.Registry[h.Type].(action.Undoer)
	switch {
	case h.was == unreadable:
		return e.endLift(ctx, h, ending{note: "the action's target cannot be read", state: failed})
	case !ok:
		return e.endLift(ctx, h, ending{note: fmt.Sprintf("no action called %q can be undone here", h.Type), state: failed})
	case h.due:
		return e.undo(ctx, h, a)
	}
	return e.renew(ctx, h, a)
}

// undo lifts the effect. It is tried until LiftFor is over.
func (e *Executor) undo(ctx context.Context, h *held, a action.Undoer) error {
	actx, cancel := context.WithTimeout(ctx, e.o.ExecuteTimeout)
	defer cancel()
	r, err := safely(func() (action.Result, error) { return a.Undo(actx, h.Request) })
	switch {
	case err == nil:
		return e.endLift(ctx, h, ending{note: r.Note, executed: r.ExecutedAt, state: lifted})
	case action.KindOf(err) != action.Retryable:
		return e.endLift(ctx, h, ending{note: "it could not be lifted: " + err.Error(), state: failed})
	case time.Since(h.liftAt) > e.o.LiftFor && ctx.Err() == nil:
		return e.endLift(ctx, h, ending{note: fmt.Sprintf("given up after %d attempts in %s: %v", h.Attempt, e.o.LiftFor, err), state: failed})
	}
	e.m.failed(h.Type, action.Retryable)
	return e.laterLift(ctx, h, err.Error(), liftBackoff(ctx, h.Attempt, maxLiftDelay), time.Time{})
}

// renew makes the effect's lease begin anew. Where that is impossible the effect has
// ended or will, and is lifted now, so that the record says so.
func (e *Executor) renew(ctx context.Context, h *held, a action.Undoer) error {
	l, ok := a.(action.Leaser)
	if !ok {
		return e.endLease(ctx, h, "it has no lease")
	}
	lease, err := l.Lease(h.Params)
	if err != nil {
		return e.endLease(ctx, h, err.Error())
	}
	// A kill switch stops it. What else the gate has against the action is about causing
	// it anew: budgets, or a playbook that has stepped back since.
	if stop := e.o.Gate.Pass(ctx, h.Request); stop != nil && stop.Hold {
		return e.laterLift(ctx, h, "not renewed: "+stop.Reason, maxDelay, time.Time{})
	}
	actx, cancel := context.WithTimeout(ctx, e.o.ExecuteTimeout)
	defer cancel()
	r := h.Request
	// The action itself may have expired long ago. An order that is late must not come
	// after somebody else's lifting, so it expires before the claim ends.
	r.Expires = time.Now().Add(e.o.ExecuteTimeout)
	if _, err = safely(func() (action.Result, error) { return a.Execute(actx, r) }); err == nil {
		e.m.add(func(s *Stats) { s.Renewed++ })
		return e.laterLift(ctx, h, "", 0, time.Now().Add(lease/2))
	}
	e.m.failed(h.Type, action.KindOf(err))
	if action.KindOf(err) != action.Retryable {
		return e.endLease(ctx, h, err.Error())
	}
	return e.laterLift(ctx, h, err.Error(), liftBackoff(ctx, h.Attempt, maxDelay), time.Time{})
}

// liftBackoff is 250 ms, doubled for each attempt; none for a process that ends.
func liftBackoff(ctx context.Context, attempt int, limit time.Duration) time.Duration {
	if ctx.Err() != nil {
		return 0
	}
	return min(250*time.Millisecond<<min(attempt-1, 10), limit)
}
