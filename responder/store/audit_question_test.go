package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/responder/selector"
	"riposte/responder/store"
	"riposte/responder/store/recordtest"
)

// question is a documented one: what it asks about episode i of a record, and the
// index that must answer it.
type question struct {
	name   string
	in     store.Scope
	filter func(r *recordtest.Record, i int) store.AuditFilter
	// index is the record's that must be used, alone or with others.
	index string
	// months is how many months of the record may be read at most, 0 for all.
	months int
}

const day = 24 * time.Hour

func questions() []question {
	type f = store.AuditFilter
	type rec = *recordtest.Record
	all := []question{
		{name: "--since 24h", index: "audit_at", months: 2, filter: func(r rec, _ int) f { return f{Since: r.End.Add(-day)} }},
		{name: "--since T --until T", index: "audit_at", filter: func(r rec, i int) f { return f{Since: r.At(i), Until: r.At(i).Add(day)} }},
		{name: "--actor", index: "audit_actor", filter: func(_ rec, i int) f { return f{Actor: recordtest.Person(i)} }},
		{name: "--actor, of nobody", index: "audit_actor", filter: func(rec, int) f { return f{Actor: "user:nobody"} }},
		{name: "--kind", index: "audit_kind", filter: func(rec, int) f { return f{Kind: "approval"} }},
		{name: "--kind, of what never was", index: "audit_kind", filter: func(rec, int) f { return f{Kind: "killswitch"} }},
		{name: "--kind alert", index: "audit_at", filter: func(rec, int) f { return f{Kind: "alert"} }},
		{name: "--result", index: "audit_result", filter: func(rec, int) f { return f{Result: "failed"} }},
		{name: "--result --since 7d", index: "audit_result", months: 2, filter: func(r rec, _ int) f { return f{Result: "refused", Since: r.End.Add(-7 * day)} }},
		{name: "--type", index: "audit_type", filter: func(_ rec, i int) f { return f{Type: recordtest.Type(i)} }},
		{name: "--playbook --since 24h", index: "audit_playbook", months: 2, filter: func(r rec, i int) f { return f{Playbook: recordtest.Playbook(i), Since: r.End.Add(-day)} }},
		{name: "--playbook --result", index: "audit_result", filter: func(_ rec, i int) f { return f{Playbook: recordtest.Playbook(i), Result: "failed"} }},
		{name: "--playbook --revision", index: "audit_revision", filter: func(r rec, i int) f { return f{Playbook: recordtest.Playbook(i), Revision: r.Revision(i)[:12]} }},
		{name: "--target-kind", index: "audit_target_kind", filter: func(rec, int) f { return f{TargetKind: "node"} }},
		{name: "--namespace --since 7d", index: "audit_namespace", months: 2, filter: func(r rec, i int) f { return f{Namespace: recordtest.Namespace(i), Since: r.End.Add(-7 * day)} }},
		{name: "--namespace --name", index: "audit_name", filter: func(_ rec, i int) f { return f{Namespace: recordtest.Namespace(i), Name: recordtest.Pod(i)} }},
		{name: "--uid", index: "audit_uid", filter: func(_ rec, i int) f { return f{UID: recordtest.UID(i)} }},
		{name: "-l --since 30d", index: "audit_labels", months: 3, filter: func(r rec, i int) f {
			return f{Selector: app(i), Since: r.End.Add(-30 * day)}
		}},
		{name: "--alert", index: "audit_alert", filter: func(r rec, i int) f { return f{Alert: r.AlertID(i)} }},
		{name: "--action", index: "audit_action", filter: func(r rec, i int) f { return f{Action: r.ActionID(i / 20 * 20)} }},
		{name: "--incident", index: "audit_incident", filter: func(r rec, i int) f { return f{Incident: r.IncidentID(i)} }},
		{name: "--text", index: "audit_words", filter: func(_ rec, i int) f { return f{Text: `"shell with" ` + recordtest.Word(i)} }},
	}
	for i := range all {
		all[i].in = store.Everything()
	}
	all = append(all, question{name: "-l", in: store.Everything(), index: "audit_labels", filter: func(_ rec, i int) f { return f{Selector: app(i)} }})
	nobody := store.Scope{{Namespaces: []string{"of nobody"}}}
	all = append(all, question{name: "by somebody of a namespace in which nothing was", in: nobody, index: "audit_seen", filter: func(rec, int) f { return f{} }})
	limited := store.Scope{{Clusters: []string{recordtest.Cluster(0)}, Namespaces: []string{recordtest.Namespace(0)}}}
	return append(all, question{
		name: "--since 7d, by somebody of one namespace", in: limited, index: "audit_seen", months: 2,
		filter: func(r rec, _ int) f { return f{Since: r.End.Add(-7 * day)} },
	})
}

// counting is a documented question about numbers.
type counting struct {
	name   string
	by     []string
	filter func(r *recordtest.Record) store.CountFilter
	// table is where the numbers are.
	table string
}

func countings() []counting {
	within := func(days int) func(r *recordtest.Record) store.CountFilter {
		return func(r *recordtest.Record) store.CountFilter {
			return store.CountFilter{Since: r.End.AddDate(0, 0, -days)}
		}
	}
	return []counting{
		{"stats --by day --since 30d", []string{"day"}, within(30), "audit_totals"},
		{"stats --by playbook,result --since 30d", []string{"playbook", "result"}, within(30), "audit_totals"},
		{"stats --by namespace,action --since 7d", []string{"namespace", "action"}, within(7), "audit_counts"},
	}
}

// app is the selector of episode i's pods.
func app(i int) selector.Selector {
	return selector.Selector{{Key: "app", Values: []string{recordtest.App(i)}}}
}

func ask(t testing.TB, r *recordtest.Record, q question, i int) []store.AuditRow {
	t.Helper()
	rows, _, err := r.Store.Audit(t.Context(), q.in, q.filter(r, i), store.Paging{Limit: 50})
	require.NoError(t, err, q.name)
	return rows
}
