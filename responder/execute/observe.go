package execute

import (
	"time"

	"riposte/responder/audit"
)

// Observer is told how actions end, for figures and traces. It must not wait.
type Observer interface {
	// Ended tells of an action that has ended: for one that succeeded, when its effect was
	// seen or is looked for no more.
	Ended(e Ended)
	// Lifted tells of an effect that was lifted, or is tried to be lifted no more.
	Lifted(l Lifting)
}

// Ended is an action at its end. The times of its way stand in When.
type Ended struct {
	ID, AlertID, IncidentID, Type, Playbook, Node string
	// State is succeeded, failed, refused, expired or unknown; RefusedBy the rule that refused.
	State, RefusedBy string
	Attempts         int
	When             audit.When
	// PlannedNS and ExecutingNS are when it was planned and last taken up, EndedNS when its
	// end was recorded; Unix nanoseconds.
	PlannedNS, ExecutingNS, EndedNS int64
}

// Lifting is the end of a lifting.
type Lifting struct {
	ActionID, AlertID, Type string
	// Result is lifted or failed.
	Result string
	// Due is when it was to be lifted, At when that was recorded.
	Due, At time.Time
}

type unobserved struct{}

func (unobserved) Ended(Ended)    {}
func (unobserved) Lifted(Lifting) {}

func (c *claim) ended(end ending) Ended {
	return Ended{
		ID: c.ID, AlertID: c.AlertID, IncidentID: c.incidentID, Type: c.Type, Playbook: c.playbook, Node: c.Target.Node,
		State: end.state, RefusedBy: end.refusedBy, Attempts: c.Attempt, When: c.when,
		PlannedNS: c.planned, ExecutingNS: c.executing, EndedNS: time.Now().UnixNano(),
	}
}
