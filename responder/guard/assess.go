package guard

import (
	"context"
	"time"

	"riposte/responder/action"
)

// Assessor judges single actions outside of a running responder, as Judge does and at
// a clock of its own. It stands in for the cluster: each workload has so many ready
// replicas, and no node is cordoned. It is not safe for concurrent use.
type Assessor struct {
	g     *Guard
	now   time.Time
	ready int
}

// NewAssessor compiles the guard's rules. The kill switch's file is not looked at.
func NewAssessor(o Options, actions action.Registry, ready int) (*Assessor, error) {
	a := &Assessor{ready: ready}
	o.KillSwitchFile = ""
	o.Now = func() time.Time { return a.now }
	var err error
	if a.g, err = New(o); err != nil {
		return nil, err
	}
	a.g.parts.Actions, a.g.parts.Cluster = actions, a
	return a, nil
}

// Assess judges one action as it would have been at that time. What a Simulation is
// to count has an Effect.
func (a *Assessor) Assess(ctx context.Context, at time.Time, q Question) Verdict {
	a.now = at
	a.g.parts.Home = q.Target.Cluster // whichever cluster it is, it is answered for
	return a.g.judge(ctx, &q)
}

// Ready is the assumed number of ready replicas.
func (a *Assessor) Ready(context.Context, string, string) (int, error) { return a.ready, nil }

// Cordoned is empty: a Simulation counts the nodes that it cordoned itself.
func (a *Assessor) Cordoned(context.Context) ([]string, error) { return nil, nil }
