package recordtest

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"riposte/responder/store"
)

// An episode is an alert with all that came of it. Of twenty episodes, all have an
// alert's entry and two decisions, nine an observed action, two an action that was
// done (intent, result, verified), one an action that was refused; one person does
// something in a hundred of them.
const (
	entriesPer100 = 300 + 45 + 30 + 5 + 1
	perIncident   = 100
)

// What the names in the record are made of.
const (
	Namespaces = 50
	Nodes      = 200
	Clusters   = 3
	People     = 20
)

// Cluster is an episode's, as what follows is: every question has another answer for
// another number i.
func Cluster(i int) string { return fmt.Sprintf("cluster-%d", i%10%Clusters) }

// Namespace is an episode's; a few have most.
func Namespace(i int) string { return fmt.Sprintf("team-%d", i%7*(i%11)%Namespaces) }

// Pod is an episode's pod; a hundred episodes have one.
func Pod(i int) string { return fmt.Sprintf("cart-%d", i/100) }

// App is the value of the pod's label app.
func App(i int) string { return fmt.Sprintf("app-%d", i/100%500) }

// Person is an actor.
func Person(i int) string { return fmt.Sprintf("user:person-%d", i/100%People) }

// Playbook decides about an episode.
func Playbook(i int) string { return fmt.Sprintf("playbook_%d", i%12) }

// Revision is the playbook's then: a new one for each twentieth part of the record.
func (r *Record) Revision(i int) string {
	return fmt.Sprintf("%06x%06x%052x", 0xab0000+i*20/max(r.episodes, 1), i%12, i%12)
}

// Type is the action's: a playbook has one.
func Type(i int) string {
	return []string{"kill_container", "delete_pod", "isolate_pod", "freeze_container", "cordon_node", "notify"}[i%12%6]
}

// UID is the pod's.
func UID(i int) string { return "uid-" + Pod(i) + "-of-" + Namespace(i/100) }

// Word is a rare word of an action's reason, one of ten thousand.
func Word(i int) string { return fmt.Sprintf("payload%d", i/20%10_000) }

// AlertID is the id of episode i's alert.
func (r *Record) AlertID(i int) string { return textOf(uuidOf(r.At(i), 'a', i)) }

// ActionID is the id of its action, if it has one.
func (r *Record) ActionID(i int) string { return textOf(uuidOf(r.At(i), 'c', i)) }

// IncidentID is the id of its incident.
func (r *Record) IncidentID(i int) string {
	return textOf(uuidOf(r.At(i/perIncident*perIncident), 'b', i/perIncident))
}

// Episodes is how many there are.
func (r *Record) Episodes() int { return r.episodes }

// uuidOf is a UUIDv7 of a time that says what it is of.
func uuidOf(at time.Time, of byte, i int) pgtype.UUID {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(at.UnixMilli())<<16|0x7000)
	binary.BigEndian.PutUint64(b[8:], 0x8000_0000_0000_0000|uint64(of)<<40|uint64(i))
	return pgtype.UUID{Bytes: b, Valid: true}
}

func textOf(id pgtype.UUID) string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", id.Bytes[:4], id.Bytes[4:6], id.Bytes[6:8], id.Bytes[8:10], id.Bytes[10:])
}

// filler makes the rows of some episodes.
type filler struct {
	record                 *Record
	seq                    int64
	audit, alerts, actions [][]any
}

func (f *filler) reset() {
	f.audit, f.alerts, f.actions = f.audit[:0], f.alerts[:0], f.actions[:0]
}

var columns = map[string][]string{
	"alerts": {
		"id", "month", "incident_id", "cluster", "node", "rule", "priority", "source", "output", "container_id", "namespace", "pod", "pod_uid", "binding", "recorded",
		"kernel_ns", "alert_ns", "received_ns", "body", "labels",
	},
	"actions": {
		"id", "decision_id", "alert_id", "cluster", "node", "type", "target", "params", "object", "effect_key", "playbook", "revision", "mode", "reason", "state",
		"note", "planned_ns", "expires_ns", "executed_ns", "verified_ns", "audited_ns", "incident_id", "labels", "namespace",
	},
	"audit": {
		"cluster", "seq", "month", "at", "kind", "actor", "result", "alert_id", "incident_id", "action_id", "action_type", "playbook", "revision", "rule", "node",
		"target_kind", "target_namespace", "target_name", "target_uid", "labels", "note", "reason", "body", "prev", "hash", "namespace",
	},
}

func (f *filler) copy(ctx context.Context, conn *pgx.Conn) error {
	for _, of := range []struct {
		table string
		rows  [][]any
	}{{"alerts", f.alerts}, {"actions", f.actions}, {"audit", f.audit}} {
		if _, err := conn.CopyFrom(ctx, pgx.Identifier{of.table}, columns[of.table], pgx.CopyFromRows(of.rows)); err != nil {
			return fmt.Errorf("copy into %s: %w", of.table, err)
		}
	}
	return nil
}

// episode makes the rows of one.
func (f *filler) episode(i int) {
	at := f.record.At(i)
	ns := at.UnixNano()
	month := store.Month(at)
	alert, incident := uuidOf(at, 'a', i), uuidOf(f.record.At(i/perIncident*perIncident), 'b', i/perIncident)
	cluster, node, rule := Cluster(i), fmt.Sprintf("node-%d", i%Nodes), fmt.Sprintf("Rule %d of many", i%40)
	f.alerts = append(f.alerts, []any{
		alert, month, incident, cluster, node, rule, int16(i % 6), "syscall", "A shell was started by somebody in " + Pod(i), fmt.Sprintf("%064x", i/100),
		Namespace(i), Pod(i), UID(i), "bound", false, ns - 2_000_000, ns - 1_000_000, ns,
		`{"output":"A shell was started","priority":"Critical","rule":"a rule","riposte":{"process":{"pid":4242,"name":"sh","args":["-c","id"],"ancestors":["nginx","containerd-shim"]}}}`, labels(i),
	})
	e := entry{month: month, at: at, cluster: cluster, alert: alert, incident: incident, rule: rule, node: node, actor: "system:agent on " + node, seen: Namespace(i)}
	e.target, e.namespace, e.name, e.uid = "pod", Namespace(i), Pod(i), UID(i)
	f.add(e, "alert", "stored")
	for d := range 2 {
		one := e
		one.playbook, one.revision = Playbook(i+d), f.record.Revision(i+d)
		one.actor, one.at = "playbook:"+one.playbook+"@"+one.revision, at.Add(2*time.Millisecond)
		f.add(one, "decision", "decided")
	}
	e.playbook, e.revision = Playbook(i), f.record.Revision(i)
	e.actor = "playbook:" + e.playbook + "@" + e.revision
	e.at, e.action, e.kind = at.Add(3*time.Millisecond), uuidOf(at, 'c', i), Type(i)
	e.labels = labels(i)
	e.reason = "a shell with " + Word(i) + " in a container of " + Pod(i)
	switch n := i % 20; {
	case n < 9:
		f.act(e, i, "observed", 0)
		f.add(e, "action.observed", "observed")
	case n < 11:
		f.act(e, i, "succeeded", ns+20_000_000)
		f.add(e, "action.intent", "planned")
		e.at, e.note = at.Add(20*time.Millisecond), "2 processes killed"
		f.add(e, "action.result", map[bool]string{true: "failed", false: "succeeded"}[i%1000 == 9])
		e.at = at.Add(30 * time.Millisecond)
		f.add(e, "action.verified", "verified")
	case n == 11:
		f.act(e, i, "refused", 0)
		e.note = "protected-namespace: nothing is done there"
		f.add(e, "action.refused", "refused")
	}
	if i%100 == 11 {
		e.actor, e.at = Person(i), at.Add(time.Minute)
		f.add(e, "approval", map[bool]string{true: "rejected", false: "approved"}[i%300 == 11])
	}
}

// labels are the pod's.
func labels(i int) string {
	return `{"app":"` + App(i) + `","tier":"web","pod-template-hash":"` + fmt.Sprintf("%08x", i/100) + `"}`
}

func (f *filler) act(e entry, i int, state string, executed int64) {
	ns := e.at.UnixNano()
	later := func(d int64) *int64 {
		if executed == 0 {
			return nil
		}
		v := executed + d
		return &v
	}
	f.actions = append(f.actions, []any{
		e.action, uuidOf(f.record.At(i), 'd', i), e.alert, e.cluster, e.node, e.kind,
		fmt.Sprintf(`{"kind":"pod","cluster":%q,"namespace":%q,"name":%q,"uid":%q}`, e.cluster, e.namespace, e.name, e.uid), "{}", e.cluster + "/pod/" + e.uid,
		fmt.Sprint(e.kind, " ", i), e.playbook, e.revision, "enforce", e.reason, state, e.note, ns, ns + int64(time.Minute), later(0), later(10_000_000), later(11_000_000), e.incident, e.labels, e.namespace,
	})
}

// entry is what one entry says.
type entry struct {
	month, at                    time.Time
	cluster, rule, node, actor   string
	alert, incident, action      pgtype.UUID
	kind, playbook, revision     string
	target, namespace, name, uid string
	labels, note, reason         string
	// seen is whose readers may see it.
	seen string
}

// add makes an entry of a kind of entries and a result; e.kind is the action's type.
func (f *filler) add(e entry, kind, result string) {
	maybe := func(s string) pgtype.Text { return pgtype.Text{String: s, Valid: s != ""} }
	body := fmt.Sprintf(`{"actor":%q,"at_ns":%d,"cluster":%q,"kind":%q,"result":%q,"schema":2,"what":{"action_id":%q,"kind":%q,"name":%q,"namespace":%q,"node":%q,"type":%q,"uid":%q},"when":{"received_ns":%d},"why":{"alert_id":%q,"rule":%q},"written_ns":%d}`,
		e.actor, e.at.UnixNano(), e.cluster, kind, result, textOf(e.action), e.target, e.name, e.namespace, e.node, e.kind, e.uid, e.at.UnixNano(), textOf(e.alert), e.rule, e.at.UnixNano())
	var labels any
	if e.labels != "" {
		labels = e.labels
	}
	hash := make([]byte, 32)
	binary.BigEndian.PutUint64(hash, uint64(f.seq))
	f.audit = append(f.audit, []any{
		e.cluster, f.seq, e.month, e.at, kind, e.actor, result, e.alert, e.incident, e.action, maybe(e.kind), maybe(e.playbook), maybe(e.revision), maybe(e.rule), maybe(e.node),
		maybe(e.target), maybe(e.namespace), maybe(e.name), maybe(e.uid), labels, maybe(e.note), maybe(e.reason), []byte(body), hash, hash, e.seen,
	})
	f.seq++
}
