package execute

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"riposte/responder/action"
)

// Gate has the last word before an effect.
type Gate interface {
	// Pass returns nil if the effect may be caused now. It is asked before each
	// attempt, right before the effect.
	Pass(ctx context.Context, r action.Request) *Stop
}

// Stop is why the gate lets an action not pass.
type Stop struct {
	// Hold keeps the action planned, to be asked again until it expires: for the
	// kill switch. Without it the action is refused.
	Hold bool
	// Rule is a stable name such as "kill-switch", Reason a sentence for a person.
	Rule   string
	Reason string
}

// Options say what an Executor works with.
type Options struct {
	Pool     *pgxpool.Pool
	Registry action.Registry
	Gate     Gate
	// Instance names this process in leases, at most 100 bytes. A process that is
	// started again should have the same name, so that it takes up at once what it
	// left; no two running processes may share one.
	Instance string
	Log      *slog.Logger
	// Observer is told how actions end, nobody if nil.
	Observer Observer

	// Workers bounds how many actions run at once: in Contain (default 32), in
	// Default (4), looking for effects (32) and lifting them (8).
	ContainWorkers int
	DefaultWorkers int
	VerifyWorkers  int
	LiftWorkers    int
	// ExecuteTimeout bounds one attempt (default 10 s), SlowTimeout one attempt of
	// what is Slow (2 min), VerifyTimeout one look for the effect (30 s).
	ExecuteTimeout time.Duration
	SlowTimeout    time.Duration
	VerifyTimeout  time.Duration
	// MaxAttempts is how often an action is tried (default 10).
	MaxAttempts int
	// HoldDelay is how long a held action waits before the gate is asked again
	// (default 2 s, at most 5 s).
	HoldDelay time.Duration
	// RescueEvery is how often orphaned actions, and effects whose time is over, are
	// looked for (default 1 s).
	RescueEvery time.Duration
	// StageWait is how long what destroys evidence waits for what gathers it in the same
	// decision (default 30 s).
	StageWait time.Duration
	// LiftFor is how long it is tried to lift an effect (default a week).
	LiftFor time.Duration
}

// recordTimeout bounds the transaction that records an attempt's end.
const recordTimeout = 5 * time.Second

// maxDelay is the longest wait that does not need River's elected scheduler.
const maxDelay = 5 * time.Second

func (o Options) withDefaults() (Options, error) {
	switch {
	case o.Pool == nil:
		return o, errors.New("executor: no pool")
	case o.Gate == nil:
		return o, errors.New("executor: no gate")
	case o.Log == nil:
		return o, errors.New("executor: no log")
	case o.Instance == "" || len(o.Instance) > 100:
		return o, errors.New("executor: the instance's name must have 1 to 100 bytes")
	}
	if o.Observer == nil {
		o.Observer = unobserved{}
	}
	o.ContainWorkers = cmp.Or(o.ContainWorkers, 32)
	o.DefaultWorkers = cmp.Or(o.DefaultWorkers, 4)
	o.VerifyWorkers = cmp.Or(o.VerifyWorkers, 32)
	o.LiftWorkers = cmp.Or(o.LiftWorkers, 8)
	o.ExecuteTimeout = cmp.Or(o.ExecuteTimeout, 10*time.Second)
	o.SlowTimeout = cmp.Or(o.SlowTimeout, 2*time.Minute)
	o.VerifyTimeout = cmp.Or(o.VerifyTimeout, 30*time.Second)
	o.MaxAttempts = cmp.Or(o.MaxAttempts, 10)
	o.HoldDelay = min(cmp.Or(o.HoldDelay, 2*time.Second), maxDelay)
	o.RescueEvery = cmp.Or(o.RescueEvery, time.Second)
	o.StageWait = cmp.Or(o.StageWait, 30*time.Second)
	o.LiftFor = cmp.Or(o.LiftFor, 7*24*time.Hour)
	return o, nil
}

// longest is what one job may take at most.
func (o Options) longest() time.Duration {
	return max(o.ExecuteTimeout, o.SlowTimeout, o.VerifyTimeout) + 2*recordTimeout
}
