package trace

import (
	"strings"

	"go.opentelemetry.io/otel/attribute"
	api "go.opentelemetry.io/otel/trace"

	"riposte/agent/alert"
	"riposte/responder/execute"
	"riposte/responder/ingest"
)

// Kinds of things that have spans, see alert.SpanID.
const (
	kindAlert  = "alert"
	kindAction = "action"
)

// stored is an alert without what is large in it: the queue must stay small.
type stored struct {
	uuid, row, incident                       string
	rule, priority, source, cluster, node     string
	binding, namespace                        string
	kernel, made, received, decided, recorded int64
	evaluated                                 []ingest.Evaluated
	planned                                   []ingest.Planned
}

func newStored(s ingest.Stored) stored {
	a, r := s.Alert, s.Alert.Riposte
	n := stored{
		uuid: a.UUID, row: s.Row, incident: s.IncidentID, rule: text(a.Rule), priority: a.Priority.Token(), source: text(a.Source), cluster: text(r.Cluster),
		node: text(r.Node), binding: string(s.Binding), namespace: text(s.Namespace), kernel: r.KernelTimeNS, made: r.AlertTimeNS,
		received: s.Received.UnixNano(), decided: s.Decided.UnixNano(), recorded: s.Committed.UnixNano(), evaluated: s.Evaluated, planned: s.Planned,
	}
	if r.Intake != "" { // Falco's own alerts say neither when they were made nor delivered
		n.kernel, n.made = 0, 0
	}
	return n
}

func (s stored) trace() api.TraceID {
	id, _ := alert.TraceID(s.uuid)
	return id
}

func (s stored) spans(m *spanMaker) {
	root := alert.SpanID(kindAlert, s.uuid)
	whole := span{
		name: "alert", id: root, from: s.received, to: s.recorded,
		attributes: []attribute.KeyValue{
			attribute.String("riposte.alert.id", s.uuid), attribute.String("riposte.alert.rule", s.rule), attribute.String("riposte.alert.priority", s.priority),
			attribute.String("riposte.alert.source", s.source), attribute.String("riposte.alert.binding", s.binding), attribute.String("riposte.incident.id", s.incident),
			attribute.String("riposte.cluster", s.cluster), attribute.String("k8s.node.name", s.node),
		},
	}
	if s.kernel > 0 && s.kernel < whole.from {
		whole.from = s.kernel
	}
	if s.namespace != "" {
		whole.attributes = append(whole.attributes, attribute.String("k8s.namespace.name", s.namespace))
	}
	if s.row != s.uuid { // the actions are in the trace of the alert that it was counted with
		if first, ok := alert.TraceID(s.row); ok {
			whole.links = []api.Link{{SpanContext: spanContext(first, alert.SpanID(kindAlert, s.row))}}
			whole.attributes = append(whole.attributes, attribute.String("riposte.alert.repeats", s.row))
		}
	}
	for _, p := range s.planned {
		whole.events = append(whole.events, event{"action " + p.State, s.decided, []attribute.KeyValue{
			attribute.String("riposte.action.id", p.ID), attribute.String("riposte.action.type", text(p.Type)), attribute.String("riposte.action.state", p.State),
			attribute.String("riposte.playbook", text(p.Playbook)), attribute.String("riposte.guard.rule", text(p.Rule)),
		}})
	}
	m.add(whole)
	part := func(name string, from, to int64) api.SpanID {
		id := api.SpanID(alert.SpanID(name, s.uuid))
		m.add(span{name: name, id: id, parent: root, from: from, to: to})
		return id
	}
	part("detect", s.kernel, s.made)
	part("deliver", s.made, s.received)
	decide := part("decide", s.received, s.decided)
	part("store", s.decided, s.recorded)
	for _, e := range s.evaluated {
		if e.Began.IsZero() {
			continue
		}
		n := span{
			name: "playbook", id: alert.SpanID("playbook "+e.Playbook, s.uuid), parent: decide, from: e.Began.UnixNano(), to: e.Began.Add(e.Took).UnixNano(),
			attributes: []attribute.KeyValue{
				attribute.String("riposte.playbook", text(e.Playbook)), attribute.String("riposte.playbook.revision", e.Revision),
				attribute.String("riposte.playbook.mode", e.Mode), attribute.String("riposte.decision.state", e.State),
			},
		}
		if e.State != "decided" {
			n.failed = e.State
		}
		m.add(n)
	}
}

type ended execute.Ended

func (e ended) trace() api.TraceID {
	id, _ := alert.TraceID(e.AlertID)
	return id
}

func (e ended) spans(m *spanMaker) {
	id, w := api.SpanID(alert.SpanID(kindAction, e.ID)), e.When
	taken := e.ExecutingNS
	if taken == 0 {
		taken = e.EndedNS
	}
	whole := span{
		name: "action", id: id, parent: alert.SpanID(kindAlert, e.AlertID), from: w.DecidedNS, to: e.EndedNS,
		attributes: []attribute.KeyValue{
			attribute.String("riposte.action.id", e.ID), attribute.String("riposte.action.type", text(e.Type)), attribute.String("riposte.action.state", e.State),
			attribute.Int("riposte.action.attempts", e.Attempts), attribute.Bool("riposte.action.verified", w.VerifiedNS > 0),
			attribute.String("riposte.playbook", text(e.Playbook)), attribute.String("k8s.node.name", text(e.Node)), attribute.String("riposte.incident.id", e.IncidentID),
		},
	}
	if w.VerifiedNS > 0 {
		whole.to = w.VerifiedNS
	}
	if e.State != "succeeded" {
		whole.failed = e.State
		if e.RefusedBy != "" {
			whole.failed += ": " + text(e.RefusedBy)
		}
	}
	m.add(whole)
	part := func(name string, from, to int64) {
		m.add(span{name: name, id: alert.SpanID(name, e.ID), parent: id, from: from, to: to})
	}
	part("wait", w.DecidedNS, taken)
	if w.ExecutedNS > 0 {
		part("execute", taken, w.ExecutedNS)
		part("verify", w.ExecutedNS, w.VerifiedNS)
	} else if e.ExecutingNS > 0 {
		part("execute", taken, e.EndedNS)
	}
}

type lifted execute.Lifting

func (l lifted) trace() api.TraceID {
	id, _ := alert.TraceID(l.AlertID)
	return id
}

func (l lifted) spans(m *spanMaker) {
	n := span{
		name: "lift", id: alert.SpanID("lift", l.ActionID), parent: alert.SpanID(kindAction, l.ActionID), from: l.Due.UnixNano(), to: l.At.UnixNano(),
		attributes: []attribute.KeyValue{
			attribute.String("riposte.action.id", l.ActionID), attribute.String("riposte.action.type", text(l.Type)), attribute.String("riposte.lift.result", l.Result),
		},
	}
	if l.Result != "lifted" {
		n.failed = l.Result
	}
	m.add(n)
}

// maxText bounds what an attribute holds of what others say.
const maxText = 256

func text(s string) string { return strings.ToValidUTF8(s[:min(len(s), maxText)], "\uFFFD") }
