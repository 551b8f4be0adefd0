package guard

import (
	"riposte/agent/alert"
	"riposte/responder/action"
	"riposte/responder/playbook"
)

// Question is one action that a playbook proposes, before it is planned.
type Question struct {
	Playbook         string
	Mode             playbook.Mode
	RequiresApproval bool
	Type             string
	Target           action.Target
	Alert            *alert.Alert
	Binding          playbook.Binding
	// Pod is nil if the alert is not bound to one.
	Pod *playbook.Pod
}

// Outcome is the guard's answer.
type Outcome string

// Outcomes of the guard.
const (
	// Allow: do it.
	Allow Outcome = "allow"
	// Watch: record what would have been done.
	Watch Outcome = "observe"
	// Ask: a person must agree.
	Ask Outcome = "approve"
	// Refuse: never.
	Refuse Outcome = "refuse"
)

// Verdict is an outcome with the rule that led to it.
type Verdict struct {
	Outcome Outcome
	// Rule is a stable name such as "protected-namespace", used in rows, logs and
	// metrics; empty for Allow.
	Rule string
	// Reason is the sentence for a person.
	Reason string
	// Hold, of Release alone, says that a later question may get another answer.
	Hold bool
	// Effect, of Judge alone, is what to hand to Reserve.
	Effect *Effect
}
