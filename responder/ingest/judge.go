package ingest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"riposte/responder/action"
	"riposte/responder/guard"
	"riposte/responder/playbook"
	"riposte/responder/store"
)

// Rules by which ingest itself refuses an action, before the guard is asked. They
// stand in the column refused_by beside the guard's own.
const (
	// ruleTarget: the target is not what the alert is about.
	ruleTarget = "target-not-the-alerts"
	// ruleAction: there is no such action, or it cannot work with target and params.
	ruleAction = "invalid-action"
	// ruleTTL: the effect cannot be undone, so that it cannot end by itself.
	ruleTTL = "ttl-without-undo"
	// ruleGuard: the guard gave an answer that nobody knows.
	ruleGuard = "unknown-verdict"
)

// judge turns a proposal into an action in the state that it may have.
func (in *Ingest) judge(ctx context.Context, d *draft, decision store.NewDecision, answer playbook.Decision, p playbook.Proposal) proposed {
	target, err := d.resolve(p.Target)
	n := store.NewAction{
		ID: newID(), DecisionID: decision.ID, AlertID: d.alert.UUID, Cluster: d.origin.Cluster, Node: d.origin.Node, Type: p.Type, Params: p.Params,
		Playbook: answer.Playbook, Revision: answer.Revision, Mode: string(answer.Mode), Reason: p.Reason, State: "refused",
	}
	n.Target, _ = json.Marshal(target) // a struct of texts and numbers
	n.EffectKey = bounded(in.effectKey(d, answer.Playbook, p.Type, target))
	var effect *guard.Effect
	if err != nil {
		n.RefusedBy, n.Note = ruleTarget, err.Error()
	} else {
		n.Object = bounded(target.Identity())
		effect = in.verdict(ctx, d, &n, target, p)
	}
	now := in.Now()
	n.PlannedNS, n.ExpiresNS = now.UnixNano(), now.Add(in.ActionTTL).UnixNano()
	if n.State == "waiting" {
		n.ExpiresNS = now.Add(in.ApprovalTTL).UnixNano()
	}
	return proposed{NewAction: n, target: target, effect: effect}
}

// effectKey is equal for proposals that have one effect. What leaves nothing behind
// has a new one in each incident: people are told again, evidence is gathered anew.
func (in *Ingest) effectKey(d *draft, playbook, kind string, target action.Target) string {
	if key := kind + " " + target.Identity(); !in.Actions.Momentary(kind) {
		return key
	}
	return kind + " " + d.newIncident + " " + playbook + " " + target.Identity()
}

// verdict sets the action's state, and returns what the guard will count of it.
func (in *Ingest) verdict(ctx context.Context, d *draft, n *store.NewAction, target action.Target, p playbook.Proposal) *guard.Effect {
	ttl, rule, err := admit(in.Actions, target, p)
	if err != nil {
		n.RefusedBy, n.Note = rule, err.Error()
		return nil
	}
	n.TTLNS = int64(ttl)
	if lease, leased := in.Actions.Lease(p.Type, p.Params); leased {
		n.Leased = true
		if n.TTLNS == 0 {
			n.TTLNS = int64(lease)
		}
	}
	v := in.Guard.Judge(ctx, guard.Question{
		Playbook: n.Playbook, Mode: playbook.Mode(n.Mode), RequiresApproval: p.RequiresApproval, Type: p.Type, Target: target,
		Alert: d.alert, Binding: d.binding, Pod: d.input.Pod,
	})
	n.RefusedBy, n.Note = v.Rule, v.Reason
	state, known := states[v.Outcome]
	if !known {
		n.RefusedBy, n.Note = ruleGuard, fmt.Sprintf("the guard answered %q", v.Outcome)
		return nil
	}
	if n.State = state; state == "observed" || state == "planned" {
		n.RefusedBy = ""
	}
	return v.Effect
}

// admit says by which rule ingest itself refuses a proposal about a target, and how
// long its effect is to hold, 0 until somebody lifts it.
func admit(actions Checker, target action.Target, p playbook.Proposal) (ttl time.Duration, rule string, err error) {
	if err := actions.Check(p.Type, target, p.Params); err != nil {
		return 0, ruleAction, err
	}
	if p.TTL == "" {
		return 0, "", nil
	}
	if ttl, err = time.ParseDuration(p.TTL); err != nil {
		return 0, ruleAction, fmt.Errorf("ttl: %w", err)
	}
	if !actions.Undoable(p.Type) {
		return 0, ruleTTL, fmt.Errorf("%s cannot be undone: leave ttl out", p.Type)
	}
	return ttl, "", nil
}

// resolve finds the object that a proposal means. It can only be the alert's own
// container, the pod that the responder itself found on the alert's node, or what
// is around them; the cluster and node are those that the broker vouches for. On an
// error the target says what was asked for.
func (a *draft) resolve(asked playbook.Target) (action.Target, error) {
	said := action.Target{
		Kind: asked.Kind, Cluster: a.origin.Cluster, Node: a.origin.Node, Resource: asked.Resource,
		Namespace: asked.Namespace, Name: asked.Name, UID: asked.UID,
		ContainerID: asked.ContainerID, CgroupID: asked.CgroupID, StartNS: asked.StartNS, PID: asked.PID,
	}
	if asked.Kind == action.KindProcess {
		said.StartNS, said.ProcessNS = 0, asked.StartNS
	}
	switch asked.Kind {
	case "container":
		own, ok := a.container()
		if !ok {
			return said, errors.New("the alert names no container")
		}
		if said != own {
			return said, fmt.Errorf("the target is not the alert's own container, %s", own.Identity())
		}
		return own, nil
	case "pod":
		own, ok := a.boundPod()
		if !ok {
			return said, fmt.Errorf("the alert is %s: only a pod that is known on the alert's node can be a target", a.binding)
		}
		if said.Node = own.Node; said != own {
			return said, fmt.Errorf("the target is not the alert's own pod, %s", own.Identity())
		}
		return own, nil
	}
	return a.around(said)
}

// container is the alert's own container.
func (a *arrival) container() (action.Target, bool) {
	c := a.alert.Riposte.Container
	if c == nil || c.ID == "" || a.alert.Riposte.Intake != "" { // a node must vouch for it
		return action.Target{}, false
	}
	return action.Target{
		Kind: "container", Cluster: a.origin.Cluster, Node: a.origin.Node, ContainerID: c.ID, CgroupID: c.CgroupID, StartNS: c.StartNS,
	}, true
}

// boundPod is the pod as the API server knows it, never as the alert says.
func (a *arrival) boundPod() (action.Target, bool) {
	if a.binding != playbook.Bound || a.pod == nil {
		return action.Target{}, false
	}
	return action.Target{
		Kind: "pod", Cluster: a.origin.Cluster, Node: a.pod.Node, Namespace: a.pod.Namespace, Name: a.pod.Name, UID: a.pod.UID,
	}, true
}

// maxIndexed bounds a text that a database index holds, in bytes.
const maxIndexed = 1024

// bounded replaces a text that is too long for an index by its hash.
func bounded(s string) string {
	s = store.Text(s)
	if len(s) <= maxIndexed {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	return "sha256:" + hex.EncodeToString(sum[:])
}
