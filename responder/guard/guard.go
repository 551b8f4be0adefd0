// Package guard is the last gate before an effect. A playbook only proposes: the
// guard's rules, in Go and in the Rego packages riposte.guard, always apply, and
// no playbook can widen them. In doubt the guard refuses.
package guard

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"riposte/responder/action"
	"riposte/responder/playbook"
	"riposte/responder/playbook/sandbox"
)

// Rules of the guard, in the order in which they are asked. The names are
// stable: they stand in rows, logs and metrics.
const (
	// RuleNoAlert: the question names no alert.
	RuleNoAlert = "no-alert"
	// RuleRecorded: the alert is from a replayed recording.
	RuleRecorded = "recorded-stream"
	// RuleForged: the alert names a pod that runs elsewhere.
	RuleForged = "forged-binding"
	// RuleUnbound: a Kubernetes action without a confirmed pod.
	RuleUnbound = "unbound-pod"
	// RuleForeign: the target is not what the alert is about.
	RuleForeign = "foreign-target"
	// RuleUnknownNamespace: the container is a pod's, of which no namespace is known.
	RuleUnknownNamespace = "unknown-namespace"
	// RuleNamespace: the target is in a protected namespace.
	RuleNamespace = "protected-namespace"
	// RuleLabel: the target's pod has a protecting label.
	RuleLabel = "protected-label"
	// RulePolicyError: a Rego rule of the guard could not be evaluated.
	RulePolicyError = "guard-error"
	// RuleModeObserve: the playbook only observes.
	RuleModeObserve = "mode-observe"
	// RuleKillSwitch: the kill switch is on.
	RuleKillSwitch = "kill-switch"
	// RuleModeApprove: the playbook needs a person's consent.
	RuleModeApprove = "mode-approve"
	// RuleApproval: this one action needs a person's consent.
	RuleApproval = "requires-approval"
)

// Options of a Guard; zero values take the defaults.
type Options struct {
	// ProtectedNamespaces are never acted in; kube-system, kube-public,
	// kube-node-lease and riposte. An empty, non-nil list protects none.
	ProtectedNamespaces []string
	// ProtectedLabels protect each pod that has one of them with that value;
	// riposte.dev/protected=true.
	ProtectedLabels map[string]string
	// KillSwitchFile is where the kill switch is kept; without it there is none.
	KillSwitchFile string
	// Rego are sources of more guard rules, in packages riposte.guard.<name>. They
	// can refuse more, never less.
	Rego []sandbox.Source
	// Deadline bounds the evaluation of each Rego package; 250 ms.
	Deadline time.Duration
	// Now is the clock; time.Now.
	Now func() time.Time
}

// Guard judges actions. It is safe for concurrent use.
type Guard struct {
	options Options
	rego    []policy
	kill    killSwitch
}

// New compiles the Rego rules: their errors are returned, as sandbox.Errors.
func New(o Options) (*Guard, error) {
	if o.ProtectedNamespaces == nil {
		o.ProtectedNamespaces = []string{"kube-system", "kube-public", "kube-node-lease", "riposte"}
	}
	if o.ProtectedLabels == nil {
		o.ProtectedLabels = map[string]string{"riposte.dev/protected": "true"}
	}
	if o.Deadline <= 0 {
		o.Deadline = 250 * time.Millisecond
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	g := &Guard{options: o, kill: killSwitch{file: o.KillSwitchFile, now: o.Now}}
	var err error
	g.rego, err = loadRego(o.Rego)
	return g, err
}

// rule is one rule in Go: the zero Verdict means that it has nothing to say.
type rule func(ctx context.Context, g *Guard, q *Question) Verdict

// rules are asked in this order, and the first that speaks decides. All that
// refuse for the target's sake stand before the mode: a person must not be asked
// to approve what the guard refuses, and an observing playbook's record should
// say that nothing would have been done.
var rules = []rule{
	recorded, forged, unbound, foreign, protectedNamespace, protectedLabel, policies, modeObserve, switchedOff, modeApprove,
}

// Judge says what may become of one proposed action.
func (g *Guard) Judge(ctx context.Context, q Question) Verdict {
	for _, r := range rules {
		if v := r(ctx, g, &q); v.Outcome != "" {
			return v
		}
	}
	return Verdict{Outcome: Allow}
}

// Release is the last look right before an effect: between the decision and now
// the kill switch may have been thrown, or the configuration changed.
func (g *Guard) Release(_ context.Context, r action.Request) Verdict {
	if v := g.namespace(r.Target.Namespace); v.Outcome != "" {
		return v
	}
	if v := g.killed(); v.Outcome != "" {
		return v
	}
	return Verdict{Outcome: Allow}
}

func refuse(rule, format string, args ...any) Verdict {
	return Verdict{Outcome: Refuse, Rule: rule, Reason: fmt.Sprintf(format, args...)}
}

func recorded(_ context.Context, _ *Guard, q *Question) Verdict {
	switch {
	case q.Alert == nil:
		return refuse(RuleNoAlert, "no alert stands behind this action")
	case q.Alert.Riposte != nil && q.Alert.Riposte.Recorded:
		return Verdict{Outcome: Watch, Rule: RuleRecorded, Reason: "the alert comes from a recording: nothing is done about it"}
	}
	return Verdict{}
}

func forged(_ context.Context, _ *Guard, q *Question) Verdict {
	if q.Binding == playbook.Forged {
		return refuse(RuleForged, "the alert names a pod that runs on another node")
	}
	return Verdict{}
}

// unbound: whatever is not a container is an object of Kubernetes.
func unbound(_ context.Context, _ *Guard, q *Question) Verdict {
	if q.Target.Kind != "container" && (q.Binding != playbook.Bound || q.Pod == nil) {
		return refuse(RuleUnbound, "the API server does not confirm the alert's pod (binding %s): nothing is done in Kubernetes", q.Binding)
	}
	return Verdict{}
}

// foreign compares the target with what the alert is about: a playbook cannot
// reach past the object that alarmed it.
func foreign(_ context.Context, _ *Guard, q *Question) Verdict {
	r := q.Alert.Riposte
	if r != nil && (q.Target.Cluster != r.Cluster || q.Target.Node != "" && q.Target.Node != r.Node) {
		return refuse(RuleForeign, "the target is in another cluster or on another node than the alert")
	}
	if q.Target.Kind == "container" {
		switch {
		case r == nil || r.Container == nil:
			return refuse(RuleForeign, "the alert names no container")
		case q.Target.Node != r.Node:
			return refuse(RuleForeign, "the target names no node")
		case q.Target.ContainerID != r.Container.ID || q.Target.CgroupID != r.Container.CgroupID || q.Target.StartNS != r.Container.StartNS:
			return refuse(RuleForeign, "the target is not the alert's container")
		}
		return Verdict{}
	}
	if q.Target.Kind != "pod" {
		return refuse(RuleForeign, "a %s is not what the alert is about", q.Target.Kind)
	}
	if q.Target.UID == "" || q.Target.UID != q.Pod.UID || q.Target.Namespace != q.Pod.Namespace || q.Target.Name != q.Pod.Name {
		return refuse(RuleForeign, "the target is not the alert's pod")
	}
	return Verdict{}
}

func protectedNamespace(_ context.Context, g *Guard, q *Question) Verdict {
	for _, ns := range namespaces(q) {
		if ns == "" {
			return refuse(RuleUnknownNamespace, "the container is a pod's, and its namespace is not known, so it may be protected")
		}
		if v := g.namespace(ns); v.Outcome != "" {
			return v
		}
	}
	return Verdict{}
}

// namespaces are those that the target may be in: what the API server says, and
// for a container also what the agent says. Either one protects.
func namespaces(q *Question) []string {
	var out []string
	if q.Target.Kind != "container" {
		out = append(out, q.Target.Namespace)
	}
	if q.Pod != nil {
		out = append(out, q.Pod.Namespace)
	}
	if r := q.Alert.Riposte; r != nil && r.Pod != nil && (q.Pod == nil || r.Pod.Namespace != "") {
		out = append(out, r.Pod.Namespace)
	}
	return out
}

func (g *Guard) namespace(ns string) Verdict {
	if slices.Contains(g.options.ProtectedNamespaces, ns) {
		return refuse(RuleNamespace, "namespace %s is protected", ns)
	}
	return Verdict{}
}

func protectedLabel(_ context.Context, g *Guard, q *Question) Verdict {
	var labels []map[string]string
	if q.Pod != nil {
		labels = append(labels, q.Pod.Labels)
	}
	if r := q.Alert.Riposte; r != nil && r.Pod != nil {
		labels = append(labels, r.Pod.Labels)
	}
	for _, set := range labels {
		for _, key := range slices.Sorted(maps.Keys(g.options.ProtectedLabels)) {
			if got, ok := set[key]; ok && strings.EqualFold(got, g.options.ProtectedLabels[key]) {
				return refuse(RuleLabel, "the pod's label %s=%s protects it", key, got)
			}
		}
	}
	return Verdict{}
}

func modeObserve(_ context.Context, _ *Guard, q *Question) Verdict {
	switch q.Mode {
	case playbook.Observe:
		return Verdict{Outcome: Watch, Rule: RuleModeObserve, Reason: fmt.Sprintf("playbook %s observes", q.Playbook)}
	case playbook.Approve, playbook.Enforce:
		return Verdict{}
	}
	return refuse(RuleModeObserve, "mode %q is unknown", string(q.Mode))
}

func switchedOff(_ context.Context, g *Guard, _ *Question) Verdict { return g.killed() }

func modeApprove(_ context.Context, _ *Guard, q *Question) Verdict {
	switch {
	case q.Mode == playbook.Approve:
		return Verdict{Outcome: Ask, Rule: RuleModeApprove, Reason: fmt.Sprintf("playbook %s asks before it acts", q.Playbook)}
	case q.RequiresApproval:
		return Verdict{Outcome: Ask, Rule: RuleApproval, Reason: "the playbook wants a person's consent to this action"}
	}
	return Verdict{}
}
