package ingest

import (
	"errors"
	"time"

	"riposte/responder/action"
	"riposte/responder/guard"
	"riposte/responder/playbook"
	"riposte/responder/store"
)

// Outlook is a proposal as ingest would put it to the guard.
type Outlook struct {
	Question guard.Question
	// TTL is how long the effect is to hold, 0 until somebody lifts it.
	TTL time.Duration
	// Rule and Reason say why ingest itself refuses it; the guard is not asked then.
	Rule, Reason string
}

// Foresee says what would become of a proposal about an input, without storing
// anything, by the same rules as when its alert comes from the bus.
func Foresee(actions Checker, in playbook.Input, book string, mode playbook.Mode, p playbook.Proposal) Outlook {
	d := draft{arrival: &arrival{alert: in.Alert, binding: in.Binding, pod: in.Pod, origin: store.Origin{Cluster: in.Cluster.Name, Node: in.Node.Name}}, input: in}
	target, err := action.Target{Kind: p.Target.Kind}, errors.New("the alert names no node: it came neither from an agent nor from the intake")
	if in.Alert.Riposte != nil {
		target, err = d.resolve(p.Target)
	}
	o := Outlook{Question: guard.Question{
		Playbook: book, Mode: mode, RequiresApproval: p.RequiresApproval, Type: p.Type, Target: target, Alert: in.Alert, Binding: in.Binding, Pod: in.Pod,
	}}
	rule := ruleTarget
	if err == nil {
		o.TTL, rule, err = admit(actions, target, p)
	}
	if err != nil {
		o.Rule, o.Reason = rule, err.Error()
	}
	return o
}
