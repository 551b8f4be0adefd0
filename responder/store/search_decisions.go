package store

import (
	"context"
	"strconv"
	"time"
)

// DecisionSearch chooses decisions; zero fields choose all.
type DecisionSearch struct {
	Playbook, State string
	// Alert is an alert's id or its last group.
	Alert string
	// Since is the oldest decision.
	Since time.Time
}

// ListedDecision is what a playbook answered to an alert.
type ListedDecision struct {
	ID, AlertID, Playbook, Revision, Mode, State, Reason string
	// Result is the playbook's answer as JSON, or empty.
	Result    string
	Count     int64
	DecidedNS int64
	// The alert's part.
	Cluster, Namespace, Rule string
}

const selectListed = `SELECT d.id::text, d.alert_id::text, d.playbook, d.revision, d.mode, d.state, d.reason, d.result, d.count, d.decided_ns,
	a.cluster, a.namespace, a.rule FROM decisions d JOIN alerts a ON a.id = d.alert_id`

// Decisions returns one page of the decisions about alerts within a scope, newest
// first, and the next page's cursor.
func (s *Store) Decisions(ctx context.Context, in Scope, f DecisionSearch, p Paging) ([]ListedDecision, string, error) {
	var w where
	w.scope(in, func() (string, []any) { return in.alerts("a") })
	w.text("d.playbook", f.Playbook)
	w.text("d.state", f.State)
	if err := w.id("d.alert_id", f.Alert); err != nil {
		return nil, "", err
	}
	if !f.Since.IsZero() {
		w.add("d.decided_ns >= ?", unixNS(f.Since))
	}
	if p.Before != "" {
		ns, id, err := parseNSCursor(p.Before)
		if err != nil {
			return nil, "", err
		}
		w.add("(d.decided_ns, d.id) < (?, ?::text::uuid)", ns, id)
	}
	limit := p.limit()
	w.args = append(w.args, limit+1)
	rows, err := collect[ListedDecision](ctx, s.pool, selectListed+w.String()+" ORDER BY d.decided_ns DESC, d.id DESC LIMIT $"+strconv.Itoa(len(w.args)), w.args...)
	if err != nil {
		return nil, "", err
	}
	rows, next := cut(rows, limit, func(d ListedDecision) string { return nsCursor(d.DecidedNS, d.ID) })
	return rows, next, nil
}

// Decision returns one by its id or its id's last group, or ErrNotFound.
func (s *Store) Decision(ctx context.Context, in Scope, id string) (ListedDecision, error) {
	var w where
	w.scope(in, func() (string, []any) { return in.alerts("a") })
	return byID[ListedDecision](ctx, s.pool, selectListed, "d.id", id, w)
}

// DecisionInput returns what the playbook was asked, by the decision's whole id.
func (s *Store) DecisionInput(ctx context.Context, id string) (input string, err error) {
	row, err := byID[struct{ Input string }](ctx, s.pool, "SELECT input FROM decisions", "id", id, where{})
	return row.Input, err
}
