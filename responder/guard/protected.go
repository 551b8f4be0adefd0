package guard

import (
	"context"
	"maps"
	"path"
	"slices"
	"strings"

	"riposte/responder/action"
)

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
// for a container also what the agent says. Either one protects. A node has none.
func namespaces(q *Question) []string {
	var out []string
	switch q.Target.Kind {
	case action.KindNode:
		return nil
	case action.KindContainer, action.KindProcess:
	default:
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
	if slices.Contains(g.settings().namespaces, ns) {
		return refuse(RuleNamespace, "namespace %s is protected", ns)
	}
	return Verdict{}
}

func protectedLabel(_ context.Context, g *Guard, q *Question) Verdict {
	if q.Target.Kind == action.KindNode {
		return Verdict{}
	}
	var labels []map[string]string
	if q.Pod != nil {
		labels = append(labels, q.Pod.Labels)
	}
	if r := q.Alert.Riposte; r != nil && r.Pod != nil {
		labels = append(labels, r.Pod.Labels)
	}
	for _, set := range labels {
		if v := g.labelled(set); v.Outcome != "" {
			return v
		}
	}
	return Verdict{}
}

func (g *Guard) labelled(labels map[string]string) Verdict {
	protecting := g.settings().labels
	for _, key := range slices.Sorted(maps.Keys(protecting)) {
		if got, ok := labels[key]; ok && strings.EqualFold(got, protecting[key]) {
			return refuse(RuleLabel, "the pod's label %s=%s protects it", key, got)
		}
	}
	return Verdict{}
}

func protectedName(_ context.Context, g *Guard, q *Question) Verdict {
	if len(g.settings().names) == 0 {
		return Verdict{}
	}
	e := g.effect(q)
	if v := g.named(e); v.Outcome != "" {
		return v
	}
	// What the agent says protects too.
	if r := q.Alert.Riposte; r != nil && r.Pod != nil && q.Target.Kind != action.KindNode {
		e.Namespace, e.Name = r.Pod.Namespace, r.Pod.Name
		return g.named(e)
	}
	return Verdict{}
}

// named compares an effect's names with the protected ones.
func (g *Guard) named(e *Effect) Verdict {
	_, workload, _ := strings.Cut(e.Workload, "/")
	for _, name := range []string{e.Name, workload} {
		if name == "" {
			continue
		}
		for _, p := range g.settings().names {
			whole := name
			if strings.Contains(p, "/") {
				whole = e.Namespace + "/" + name
			}
			if ok, _ := path.Match(p, whole); ok { // New has checked the patterns
				return refuse(RuleName, "%s is protected by the name %s", whole, p)
			}
		}
	}
	return Verdict{}
}

// protectedEffect asks again what protects a target, later, when the
// configuration may be another one.
func (g *Guard) protectedEffect(e *Effect) Verdict {
	if v := g.namespace(e.Namespace); v.Outcome != "" {
		return v
	}
	if v := g.labelled(e.Labels); v.Outcome != "" {
		return v
	}
	return g.named(e)
}

// Protects says whether a pod is protected, for an action that reaches pods beside
// its target. workload is what the pod is a replica of, as Kind/name.
func (g *Guard) Protects(namespace, name, workload string, labels map[string]string) bool {
	return g.protectedEffect(&Effect{Namespace: namespace, Name: name, Workload: workload, Labels: labels}).Outcome != ""
}
