package store

import (
	"context"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"riposte/agent/alert"
	"riposte/responder/selector"
)

// AlertFilter chooses alerts; zero fields choose all.
type AlertFilter struct {
	Rule string
	// AtLeast is the least severe priority that is still shown.
	AtLeast   *alert.Priority
	Node      string
	Namespace string
	// Container is a container's id or the beginning of it.
	Container string
	// Selector is what the labels of the alert's pod were like then.
	Selector selector.Selector
	// Since is the oldest receipt.
	Since time.Time
}

// AlertRow is a stored alert.
type AlertRow struct {
	ID          string
	IncidentID  string
	Cluster     string
	Node        string
	Rule        string
	Priority    int16
	Source      string
	Output      string
	ContainerID string
	Namespace   string
	Pod         string
	PodUID      string
	Binding     string
	Recorded    bool
	// KernelNS, AlertNS and ReceivedNS are Unix nanoseconds; KernelNS is 0 for an alert of Falco's.
	KernelNS   int64
	AlertNS    int64
	ReceivedNS int64
	Body       string
	// Count is how many equal alerts there were, LastNS when the last was received.
	Count  int64
	LastNS int64
	// Labels is a JSON object of texts, or empty.
	Labels string
}

const selectAlerts = `SELECT id::text, incident_id::text, cluster, node, rule, priority, source, output, container_id,
	namespace, pod, pod_uid, binding, recorded, kernel_ns, alert_ns, received_ns, body, count, greatest(last_ns, received_ns), coalesce(labels::text, '') FROM alerts`

// Alerts returns one page of the alerts within a scope, newest receipt first, and the
// next page's cursor.
func (s *Store) Alerts(ctx context.Context, in Scope, f AlertFilter, p Paging) ([]AlertRow, string, error) {
	sql, args, err := alertsQuery(in, f, p)
	if err != nil {
		return nil, "", err
	}
	rows, err := collect[AlertRow](ctx, s.pool, sql, append([]any{forValues}, args...)...)
	if err != nil {
		return nil, "", err
	}
	rows, next := cut(rows, p.limit(), func(a AlertRow) string { return nsCursor(a.ReceivedNS, a.ID) })
	return rows, next, nil
}

// alertsQuery is the query for one page and a row more.
func alertsQuery(in Scope, f AlertFilter, p Paging) (sql string, args []any, err error) {
	var w where
	w.alertScope(in)
	w.text("rule", f.Rule)
	w.text("node", f.Node)
	w.text("namespace", f.Namespace)
	if f.AtLeast != nil {
		w.add("priority <= ?", int16(*f.AtLeast))
	}
	w.container("container_id", f.Container)
	w.selector("labels", f.Selector)
	if !f.Since.IsZero() {
		w.add("received_ns >= ?", unixNS(f.Since))
	}
	if p.Before != "" {
		ns, id, err := parseNSCursor(p.Before)
		if err != nil {
			return "", nil, err
		}
		w.add("(received_ns, id) < (?, ?::text::uuid)", ns, id)
	}
	w.args = append(w.args, p.limit()+1)
	return selectAlerts + w.String() + " ORDER BY received_ns DESC, id DESC LIMIT $" + strconv.Itoa(len(w.args)), w.args, nil
}

// Alert returns one alert by its id or its id's last group, or ErrNotFound.
func (s *Store) Alert(ctx context.Context, in Scope, id string) (AlertRow, error) {
	var w where
	w.alertScope(in)
	return byID[AlertRow](ctx, s.pool, selectAlerts, "id", id, w)
}

// container matches a whole id, or the beginning that people see.
func (w *where) container(column, id string) {
	switch {
	case id == "":
	case len(id) >= 64:
		w.add(column+" = ?", id)
	default:
		w.add("starts_with("+column+", ?)", id)
	}
}

func collect[T any](ctx context.Context, db querier, sql string, args ...any) ([]T, error) {
	rows, err := db.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[T])
}

// byID reads the one row with an id that also meets the other conditions.
func byID[T any](ctx context.Context, db querier, sql, column, id string, w where) (T, error) {
	var none T
	if id == "" {
		return none, ErrNotFound
	}
	if err := w.id(column, id); err != nil {
		return none, err
	}
	rows, err := collect[T](ctx, db, sql+w.String()+" LIMIT 2", w.args...)
	switch {
	case err != nil:
		return none, err
	case len(rows) == 0:
		return none, ErrNotFound
	case len(rows) > 1:
		return none, ErrAmbiguous
	}
	return rows[0], nil
}
