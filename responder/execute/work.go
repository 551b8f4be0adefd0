package execute

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/riverqueue/river"

	"riposte/responder/action"
	"riposte/responder/audit"
)

// States of an action that this package writes.
const (
	planned   = "planned"
	executing = "executing"
	succeeded = "succeeded"
	failed    = "failed"
	refused   = "refused"
	expired   = "expired"
	unknown   = "unknown"
)

type worker struct {
	river.WorkerDefaults[job]
	e *Executor
}

// Timeout is only a net below the narrower ones of each step.
func (w *worker) Timeout(*river.Job[job]) time.Duration { return w.e.o.longest() }

// NextRetry is for a database that did not answer; the actions' own retries are snoozes.
func (w *worker) NextRetry(j *river.Job[job]) time.Time {
	return time.Now().Add(min(time.Duration(j.Attempt)*time.Second, maxDelay))
}

// Work brings one action as far as it goes now.
func (w *worker) Work(ctx context.Context, j *river.Job[job]) error {
	e := w.e
	leave, err := e.enter(ctx, j.Args.Action)
	if err != nil {
		return err
	}
	defer leave()
	c, err := e.claim(ctx, j.Args.Action)
	if err != nil || c == nil {
		return err
	}
	a, ok := e.o.Registry[c.Type]
	switch {
	case c.was == unreadable:
		return e.finish(ctx, c, ending{state: failed, note: "the action's target cannot be read", kind: audit.ActionResult})
	case !ok:
		return e.finish(ctx, c, ending{state: failed, note: fmt.Sprintf("no action is called %q here", c.Type), kind: audit.ActionResult})
	case c.was == succeeded:
		return e.verify(ctx, c, a)
	case !time.Now().Before(c.Expires):
		return e.expire(ctx, c, a)
	}
	if a.Spec().Stage == action.Destroy && c.was == planned && c.gathering {
		if waits, err := e.await(ctx, c); waits {
			return err
		}
	}
	if stop := e.o.Gate.Pass(ctx, c.Request); stop != nil {
		return e.stopped(ctx, c, a, stop)
	}
	return e.attempt(ctx, c, a)
}

// attempt causes the effect.
func (e *Executor) attempt(ctx context.Context, c *claim, a action.Action) error {
	limit := e.o.ExecuteTimeout
	if a.Spec().Slow {
		limit = e.o.SlowTimeout
	}
	deadline := time.Now().Add(limit)
	if c.Expires.Before(deadline) {
		deadline = c.Expires
	}
	actx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	e.m.started(c)
	r, err := safely(func() (action.Result, error) { return a.Execute(actx, c.Request) })
	if err == nil {
		return e.finish(ctx, c, result(r, time.Now()))
	}
	e.m.failed(c.Type, action.KindOf(err))
	kind := action.KindOf(err)
	if kind != action.Retryable {
		if c.unsure() {
			return e.reconcile(ctx, c, a, err.Error())
		}
		end := ending{state: failed, note: err.Error(), kind: audit.ActionResult}
		if kind == action.Refused {
			end.state, end.refusedBy = refused, "target"
		}
		return e.finish(ctx, c, end)
	}
	// What certainly had no effect may go back to planned.
	state := planned
	if c.unsure() || !certain(err) {
		state = executing
	}
	if c.Attempt < e.o.MaxAttempts || a.Spec().Patient || ctx.Err() != nil {
		delay := backoff(c.Attempt)
		if err := e.release(ctx, c, state, err.Error(), true, delay); err != nil {
			return err
		}
		return river.JobSnooze(delay)
	}
	note := fmt.Sprintf("given up after %d attempts: %v", c.Attempt, err)
	if state == executing {
		return e.reconcile(ctx, c, a, note)
	}
	return e.finish(ctx, c, ending{state: failed, note: note, kind: audit.ActionResult})
}

// stopped is what follows from the gate's no.
func (e *Executor) stopped(ctx context.Context, c *claim, a action.Action, stop *Stop) error {
	if !stop.Hold {
		if c.unsure() {
			return e.reconcile(ctx, c, a, "refused after an attempt whose outcome is not known: "+stop.Reason)
		}
		return e.finish(ctx, c, ending{state: refused, refusedBy: stop.Rule, note: stop.Reason, kind: audit.ActionResult})
	}
	// The note remembers that it was recorded: once, however often the gate is asked.
	note := sentence("held: " + stop.Reason)
	var entries []audit.Entry
	if c.note != note {
		entries = append(entries, c.entry(audit.ActionHeld, stop.Rule, stop.Reason))
		e.m.add(func(s *Stats) { s.Held++ })
		e.o.Log.Warn("action held", "action", c.ID, "type", c.Type, "target", c.Target.String(), "rule", stop.Rule, "reason", stop.Reason)
	}
	if err := e.release(ctx, c, c.was, note, false, e.o.HoldDelay, entries...); err != nil {
		return err
	}
	return river.JobSnooze(e.o.HoldDelay)
}

// expire ends an action whose time has passed.
func (e *Executor) expire(ctx context.Context, c *claim, a action.Action) error {
	if c.unsure() {
		return e.reconcile(ctx, c, a, "expired after an attempt whose outcome is not known")
	}
	if c.Attempt > 1 {
		note := fmt.Sprintf("given up after %d attempts, because its time was over: %s", c.Attempt-1, c.note)
		return e.finish(ctx, c, ending{state: failed, note: note, kind: audit.ActionResult})
	}
	note := "expired before it could be executed"
	if c.note != "" {
		note += "; last: " + c.note
	}
	return e.finish(ctx, c, ending{state: expired, note: note, kind: audit.ActionResult})
}

// reconcile ends an action that may or may not have had its effect by looking for it.
func (e *Executor) reconcile(ctx context.Context, c *claim, a action.Action, why string) error {
	seen, err := e.look(ctx, c, a, min(e.o.VerifyTimeout, e.o.ExecuteTimeout))
	if ctx.Err() != nil {
		return e.again(ctx, c, executing)
	}
	if err != nil {
		return e.finish(ctx, c, ending{state: unknown, note: fmt.Sprintf("%s; its effect was not seen: %v", why, err), kind: audit.ActionResult})
	}
	return e.finish(ctx, c, ending{state: succeeded, note: why + "; its effect was found", executed: seen, verified: seen, kind: audit.ActionResult})
}

// verify looks for the effect of an action that succeeded.
func (e *Executor) verify(ctx context.Context, c *claim, a action.Action) error {
	seen, err := e.look(ctx, c, a, e.o.VerifyTimeout)
	if ctx.Err() != nil {
		return e.again(ctx, c, succeeded)
	}
	end := ending{state: succeeded, note: c.note, verified: seen, kind: audit.ActionVerified}
	if err != nil {
		end.verified = time.Time{}
		end.note = fmt.Sprintf("%s (the effect was not seen: %v)", c.note, err)
	}
	return e.finish(ctx, c, end)
}

// again hands a claim to the process that comes after this one.
func (e *Executor) again(ctx context.Context, c *claim, state string) error {
	if err := e.release(ctx, c, state, c.note, true, 0); err != nil {
		return err
	}
	return river.JobSnooze(0)
}

func (e *Executor) look(ctx context.Context, c *claim, a action.Action, limit time.Duration) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	seen, err := safely(func() (time.Time, error) { return a.Verify(ctx, c.Request) })
	if err == nil && seen.IsZero() {
		seen = time.Now()
	}
	return seen, err
}

// safely turns a panic of an action into an error: one bad action must not
// leave its claim behind.
func safely[T any](do func() (T, error)) (v T, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the action panicked: %v", p)
		}
	}()
	return do()
}

// certain says that an attempt had no effect: the action itself says why it
// failed, and it was not for lack of time.
func certain(err error) bool {
	var own *action.Error
	return errors.As(err, &own) && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled)
}

// backoff is 250 ms, doubled for each attempt.
func backoff(attempt int) time.Duration {
	return min(250*time.Millisecond<<min(attempt-1, 10), maxDelay)
}
