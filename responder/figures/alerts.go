package figures

import (
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"riposte/agent/alert"
	"riposte/responder/ingest"
)

// short are bounds in seconds of what should take milliseconds, long of what may take
// minutes.
var (
	short = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1}
	long  = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300}
)

// sidekick begins Falcosidekick's names since 2.30.
const sidekick = "falcosecurity_falcosidekick_"

func (f *Figures) alertMetrics() {
	f.rules = f.counter(sidekick+"falco_events_total",
		"Alerts that were stored, as Falcosidekick counts them. k8s_pod_name is always empty, and for each node what comes after its first 100 combinations is \"other\".",
		"hostname", "rule", "priority", "priority_raw", "source", "k8s_ns_name", "k8s_pod_name")
	f.alerts = f.counter("riposte_alerts_total",
		"Messages that were dealt with: stored; repeated, which is stored as one more of an equal alert; duplicate, which came before; dead, which is among the dead letters or dropped.",
		"priority", "result")
	f.bindings = f.counter("riposte_alerts_bound_total", "Stored alerts by whether the pod that they name is known on their node: bound, unbound, forged, or none if they name none.", "binding", "priority")
	f.decisions = f.counter("riposte_decisions_total", "Answers of playbooks: decided, or refused for a wrong shape, an error or the deadline.", "playbook", "mode", "state")
	f.late = f.counter("riposte_playbook_timeouts_total", "Evaluations of playbooks that did not end in time.", "playbook")
	f.evaluation = f.histogram("riposte_playbook_evaluation_seconds", "How long playbooks took to answer.", short, "playbook")
	f.planned = f.counter("riposte_actions_planned_total",
		"Proposed actions by what became of them when their alert was stored: planned, waiting, observed, refused, or joined to an equal one.", "type", "state")
	f.batch = f.histogram("riposte_ingest_batch_seconds", "How long batches of messages took, until each message had its answer.", long).WithLabelValues().(prometheus.Histogram)
	f.batchSize = f.histogram("riposte_ingest_batch_messages", "How many messages batches had.", []float64{1, 2, 4, 8, 16, 32, 64, 128, 256}).WithLabelValues().(prometheus.Histogram)
	f.reach = f.histogram("riposte_alert_stage_seconds",
		"The way of stored alerts: detect from the system call to the alert, deliver from there to the responder, decide from there until the playbooks and the guard have answered, store from there until it is durable.", long, "stage")
	f.skewed = f.counter("riposte_clock_skew_total", "Stages of an alert's way that seemed to end before they began, because a node's clock differs; they count as 0 seconds.").WithLabelValues()
}

// Stored counts an alert. It is ingest's.
func (f *Figures) Stored(s ingest.Stored) {
	a := s.Alert
	priority, result := a.Priority.Token(), "stored"
	if s.Repeated() {
		result = "repeated"
	}
	f.alerts.WithLabelValues(priority, result).Inc()
	f.bindings.WithLabelValues(string(s.Binding), priority).Inc()
	f.rule(&s)
	for _, e := range s.Evaluated {
		playbook := f.playbooks.value(e.Playbook)
		f.decisions.WithLabelValues(playbook, label(e.Mode), e.State).Inc()
		if e.Late {
			f.late.WithLabelValues(playbook).Inc()
		}
		if !e.Began.IsZero() {
			f.evaluation.WithLabelValues(playbook).Observe(e.Took.Seconds())
		}
	}
	for _, p := range s.Planned {
		f.planned.WithLabelValues(f.typed(p.Type), p.State).Inc()
	}
	r := a.Riposte
	received := s.Received.UnixNano()
	if r.Intake == "" { // Falco's own alerts say neither when they were made nor delivered
		f.stage(f.reach, r.KernelTimeNS, r.AlertTimeNS, "detect")
		f.stage(f.reach, r.AlertTimeNS, received, "deliver")
	}
	f.stage(f.reach, received, s.Decided.UnixNano(), "decide")
	f.stage(f.reach, s.Decided.UnixNano(), s.Committed.UnixNano(), "store")
}

// rule counts an alert as Falcosidekick does.
func (f *Figures) rule(s *ingest.Stored) {
	a := s.Alert
	host, rule, source, namespace := label(a.Hostname), label(a.Rule), label(a.Source), label(s.Namespace)
	node := a.Riposte.Cluster + "\x00" + a.Riposte.Node + "\x00" + a.Riposte.Intake
	if !f.perNode.room(node, strings.Join([]string{host, rule, source, namespace}, "\x00")) {
		host, rule, source, namespace = other, other, other, other
	}
	f.rules.WithLabelValues(host, rule, strconv.Itoa(severity(a.Priority)), a.Priority.Token(), source, namespace, "").Inc()
}

// severity is Falcosidekick's number of a priority: 8 for emergency down to 1 for debug.
func severity(p alert.Priority) int { return 8 - int(p) }

// Left counts a message that was not stored as an alert. It is ingest's.
func (f *Figures) Left(why ingest.Leaving, priority string) {
	f.alerts.WithLabelValues(priority, string(why)).Inc()
}

// Batch counts a batch of messages. It is ingest's.
func (f *Figures) Batch(messages int, took time.Duration) {
	f.batch.Observe(took.Seconds())
	f.batchSize.Observe(float64(messages))
}

// stage observes the time between two moments, if both are known.
func (f *Figures) stage(h *prometheus.HistogramVec, fromNS, toNS int64, labels ...string) {
	if fromNS <= 0 || toNS <= 0 {
		return
	}
	if toNS < fromNS {
		f.skewed.Inc()
		toNS = fromNS
	}
	h.WithLabelValues(labels...).Observe(time.Duration(toNS - fromNS).Seconds())
}

// typed is a type of action, other for one that there is not.
func (f *Figures) typed(kind string) string {
	if f.types[kind] {
		return kind
	}
	return other
}
