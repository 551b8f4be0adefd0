package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// GuardRecord is what the guard kept of an action.
type GuardRecord struct {
	// Effect is guard.Effect's JSON, empty if the guard never saw the action.
	Effect  string
	Counted []Counted
}

// Counted is one place in a budget.
type Counted struct {
	Scope, Name, Subject string
	At                   time.Time
}

// GuardRecord returns what the guard kept of an action, by its whole id.
func (s *Store) GuardRecord(ctx context.Context, actionID string) (g GuardRecord, err error) {
	effects, err := collect[struct{ Effect json.RawMessage }](ctx, s.pool, "SELECT effect FROM guard_effects WHERE action_id = $1::text::uuid", actionID)
	if err != nil {
		return g, fmt.Errorf("read what the guard judged: %w", err)
	}
	if len(effects) > 0 {
		g.Effect = string(effects[0].Effect)
	}
	g.Counted, err = collect[Counted](ctx, s.pool, "SELECT scope, name, subject, at FROM guard_reservations WHERE action_id = $1::text::uuid ORDER BY seq", actionID)
	if err != nil {
		return g, fmt.Errorf("read what the guard counted: %w", err)
	}
	return g, nil
}

// DecisionOf is the id of the decision behind an action, by the action's whole id.
func (s *Store) DecisionOf(ctx context.Context, actionID string) (string, error) {
	row, err := byID[struct{ ID string }](ctx, s.pool, "SELECT decision_id::text FROM actions", "id", actionID, where{})
	return row.ID, err
}

// AuditEntry returns one entry of a cluster's chain within a scope, or ErrNotFound.
func (s *Store) AuditEntry(ctx context.Context, in Scope, cluster string, seq int64) (AuditRow, error) {
	var w where
	w.scope(in, in.audit)
	w.text("audit.cluster", cluster)
	w.add("audit.seq = ?", seq)
	rows, err := collect[AuditRow](ctx, s.pool, selectAudit+w.String()+" LIMIT 1", w.args...)
	if err == nil && len(rows) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return AuditRow{}, err
	}
	return rows[0], nil
}
