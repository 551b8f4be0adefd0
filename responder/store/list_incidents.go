package store

import (
	"context"
	"strconv"
	"time"

	"riposte/agent/alert"
	"riposte/responder/selector"
)

// MaxTimeline bounds the events of one incident's timeline.
const MaxTimeline = 1000

// IncidentFilter chooses incidents; zero fields choose all.
type IncidentFilter struct {
	State, Kind, Cluster string
	AtLeast              *alert.Priority
	// Selector is what the labels of the first alert's pod were like then.
	Selector selector.Selector
	// Since is the oldest last alert.
	Since time.Time
}

// IncidentRow is an incident.
type IncidentRow struct {
	ID, Cluster, Key, Kind, State, Title string
	Priority                             int16
	Alerts, Actions                      int64
	FirstAt, LastAt                      time.Time
	// Labels is a JSON object of texts, or empty.
	Labels string
}

// selectIncidents counts only the actions within the scope.
func (w *where) selectIncidents(in Scope) string {
	more := ""
	if !in.All() {
		w.scope(in, in.incidents)
		condition, args := in.actions()
		more = " AND " + w.place(condition, args...)
	}
	return `SELECT id::text, cluster, key, kind, state, title, priority, alerts,
		(SELECT count(*) FROM actions c WHERE c.incident_id = incidents.id` + more + `), first_at, last_at, coalesce(labels::text, '') FROM incidents`
}

// Incidents returns one page of those within a scope, the latest alert first, and the
// next page's cursor.
func (s *Store) Incidents(ctx context.Context, in Scope, f IncidentFilter, p Paging) ([]IncidentRow, string, error) {
	sql, args, err := incidentsQuery(in, f, p)
	if err != nil {
		return nil, "", err
	}
	rows, err := collect[IncidentRow](ctx, s.pool, sql, append([]any{forValues}, args...)...)
	if err != nil {
		return nil, "", err
	}
	rows, next := cut(rows, p.limit(), func(i IncidentRow) string { return nsCursor(unixNS(i.LastAt), i.ID) })
	return rows, next, nil
}

// incidentsQuery is the query for one page and a row more.
func incidentsQuery(in Scope, f IncidentFilter, p Paging) (sql string, args []any, err error) {
	var w where
	sql = w.selectIncidents(in)
	w.text("state", f.State)
	w.text("kind", f.Kind)
	w.text("cluster", f.Cluster)
	if f.AtLeast != nil {
		w.add("priority <= ?", int16(*f.AtLeast))
	}
	if !f.Since.IsZero() {
		w.add("last_at >= ?", f.Since)
	}
	w.selector("labels", f.Selector)
	if err := w.beforeTime("last_at", p.Before); err != nil {
		return "", nil, err
	}
	w.args = append(w.args, p.limit()+1)
	return sql + w.String() + " ORDER BY last_at DESC, id DESC LIMIT $" + strconv.Itoa(len(w.args)), w.args, nil
}

// Incident returns one by its id or its id's last group, or ErrNotFound.
func (s *Store) Incident(ctx context.Context, in Scope, id string) (IncidentRow, error) {
	var w where
	sql := w.selectIncidents(in)
	return byID[IncidentRow](ctx, s.pool, sql, "id", id, w)
}

// TimelineRow is one thing that happened in an incident; see api.IncidentEvent.
type TimelineRow struct {
	NS                                   int64
	Kind, ID, Name, State, Actor, Detail string
	Count                                int64
	// Step orders what happened at one time.
	Step int32
}

// IncidentTimeline returns what happened in an incident, oldest first, MaxTimeline
// at most; more says that there is more. The scope leaves out actions; whether the
// incident is within it is Incident's question.
func (s *Store) IncidentTimeline(ctx context.Context, in Scope, id string) (rows []TimelineRow, more bool, err error) {
	w := where{args: []any{id, MaxTimeline + 1}}
	within := ""
	if !in.All() {
		condition, args := in.actions()
		within = " AND " + w.place(condition, args...)
	}
	rows, err = collect[TimelineRow](ctx, s.pool, `
		WITH l AS (SELECT * FROM alerts WHERE incident_id = $1::text::uuid),
			a AS (SELECT c.* FROM actions c WHERE c.incident_id = $1::text::uuid`+within+`)
		SELECT (extract(epoch FROM at) * 1000000)::bigint * 1000 AS ns, 'state', '', '', to_state, actor, reason, 0::bigint, 0 AS step
			FROM incident_history WHERE incident_id = $1::text::uuid
		UNION ALL SELECT received_ns, 'alert', id::text, rule, '', '', output, count, 1 FROM l
		UNION ALL SELECT d.decided_ns, 'decision', d.id::text, d.playbook, d.state, '', d.reason, d.count, 2 FROM decisions d JOIN l ON l.id = d.alert_id
		UNION ALL SELECT planned_ns, 'action.planned', id::text, type, state, playbook, concat_ws(': ', nullif(refused_by, ''), nullif(note, '')), 0, 3 FROM a
		UNION ALL SELECT executed_ns, 'action.executed', id::text, type, state, '', '', 0, 4 FROM a WHERE executed_ns IS NOT NULL
		UNION ALL SELECT verified_ns, 'action.verified', id::text, type, state, '', '', 0, 5 FROM a WHERE verified_ns IS NOT NULL
		UNION ALL SELECT lifted_ns, 'action.lifted', id::text, type, state, lift_by, lift_note, 0, 6 FROM a WHERE lifted_ns IS NOT NULL
		ORDER BY ns, step LIMIT $2`, w.args...)
	if len(rows) > MaxTimeline {
		return rows[:MaxTimeline], true, err
	}
	return rows, false, err
}
