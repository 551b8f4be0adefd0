package guard

import (
	"context"
	"strings"

	"riposte/responder/action"
	"riposte/responder/playbook"
)

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

// unbound: whatever is not on the alert's own node is an object of Kubernetes. A
// node is known by the key that its alerts come under, so that it needs no pod;
// one that names a pod nobody knows is not believed.
func unbound(_ context.Context, _ *Guard, q *Question) Verdict {
	switch q.Target.Kind {
	case action.KindContainer, action.KindProcess:
		return Verdict{}
	case action.KindNode:
		if q.Binding == playbook.Bound || q.Binding == playbook.None {
			return Verdict{}
		}
	default:
		if q.Binding == playbook.Bound && q.Pod != nil {
			return Verdict{}
		}
	}
	return refuse(RuleUnbound, "the API server does not confirm the alert's pod (binding %s): nothing is done in Kubernetes", q.Binding)
}

// foreign compares the target with what the alert is about: a playbook cannot
// reach past the object that alarmed it, the pod's workload and namespace, and
// its node.
func foreign(_ context.Context, _ *Guard, q *Question) Verdict {
	r, t := q.Alert.Riposte, q.Target
	if r != nil && (t.Cluster != r.Cluster || t.Node != "" && t.Node != r.Node) {
		return refuse(RuleForeign, "the target is in another cluster or on another node than the alert")
	}
	switch t.Kind {
	case action.KindContainer:
		switch {
		case r == nil || r.Container == nil:
			return refuse(RuleForeign, "the alert names no container")
		case t.Node != r.Node:
			return refuse(RuleForeign, "the target names no node")
		case t.ContainerID != r.Container.ID || t.CgroupID != r.Container.CgroupID || t.StartNS != r.Container.StartNS:
			return refuse(RuleForeign, "the target is not the alert's container")
		}
	case action.KindProcess:
		switch {
		case r == nil || r.Process == nil:
			return refuse(RuleForeign, "the alert names no process")
		case t.Node != r.Node:
			return refuse(RuleForeign, "the target names no node")
		case t.PID != r.Process.PID || t.ProcessNS != r.Process.StartNS:
			return refuse(RuleForeign, "the target is not the alert's process")
		}
	case action.KindNode:
		if r == nil || t.Name != r.Node {
			return refuse(RuleForeign, "the target is not the alert's node")
		}
	case action.KindPod:
		if t.UID == "" || t.UID != q.Pod.UID || t.Namespace != q.Pod.Namespace || t.Name != q.Pod.Name {
			return refuse(RuleForeign, "the target is not the alert's pod")
		}
	case action.KindWorkload:
		if t.Namespace != q.Pod.Namespace || !names(q.Pod.Workload(), t) && !names(q.Pod.Owner, t) {
			return refuse(RuleForeign, "the target is not the workload of the alert's pod")
		}
	case action.KindObject:
		if t.Namespace == "" || t.Namespace != q.Pod.Namespace {
			return refuse(RuleForeign, "the target is not in the namespace of the alert's pod")
		}
	default:
		return refuse(RuleForeign, "a %s is not what the alert is about", t.Kind)
	}
	return Verdict{}
}

// names says whether a workload, "Kind/name", is the target. Its resource ends in
// the kind's plural; its UID is the action's to check.
func names(workload string, t action.Target) bool {
	kind, name, _ := strings.Cut(workload, "/")
	resource := t.Resource[strings.LastIndexByte(t.Resource, '/')+1:]
	return name != "" && name == t.Name && strings.EqualFold(kind+"s", resource)
}
