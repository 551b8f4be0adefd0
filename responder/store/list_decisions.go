package store

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// decisionPage is how many alerts the export of decisions reads at once: few, for
// one may come with a megabyte of input.
const decisionPage = 100

// DecisionFilter chooses the alerts of an export; zero fields choose all.
type DecisionFilter struct {
	// Since is the oldest receipt.
	Since time.Time
	// Playbook leaves out the alerts about which it was not asked, and the others' decisions.
	Playbook string
	// Alert is one alert's id, or its last group.
	Alert string
}

// DecidedAlert is an alert with all decisions about it.
type DecidedAlert struct {
	AlertRow
	Decisions []DecisionRow
}

// DecisionRow is a stored decision.
type DecisionRow struct {
	ID, AlertID              string
	Playbook, Revision, Mode string
	State, Reason            string
	// Input and Result are the exact JSON; Result is empty if there was none.
	Input, Result string
	DecidedNS     int64
	Count         int64
	Actions       []DecidedAction `db:"-"`
}

// DecidedAction is what became of one action of a decision. ExecutedNS is 0 if it
// was not executed.
type DecidedAction struct {
	DecisionID, ID         string
	Type, State, RefusedBy string
	ExecutedNS             int64
}

// Decided tells each alert of the filter within a scope with its decisions, the oldest
// receipt first, and stops at tell's error. No connection is held while tell runs.
func (s *Store) Decided(ctx context.Context, in Scope, f DecisionFilter, tell func(DecidedAlert) error) error {
	var after AlertRow
	for {
		alerts, err := s.decidedPage(ctx, in, f, after)
		if err != nil {
			return fmt.Errorf("read decisions: %w", err)
		}
		for _, a := range alerts {
			if err := tell(a); err != nil {
				return err
			}
		}
		if len(alerts) < decisionPage {
			return nil
		}
		after = alerts[len(alerts)-1].AlertRow
	}
}

func (s *Store) decidedPage(ctx context.Context, in Scope, f DecisionFilter, after AlertRow) ([]DecidedAlert, error) {
	var w where
	w.alertScope(in)
	if err := w.id("id", f.Alert); err != nil {
		return nil, err
	}
	if !f.Since.IsZero() {
		w.add("received_ns >= ?", unixNS(f.Since))
	}
	if f.Playbook != "" {
		w.add("EXISTS (SELECT FROM decisions d WHERE d.alert_id = alerts.id AND d.playbook = ?)", f.Playbook)
	}
	if after.ID != "" {
		w.add("(received_ns, id) > (?, ?::text::uuid)", after.ReceivedNS, after.ID)
	}
	rows, err := collect[AlertRow](ctx, s.pool, selectAlerts+w.String()+" ORDER BY received_ns, id LIMIT "+strconv.Itoa(decisionPage), w.args...)
	if err != nil {
		return nil, err
	}
	alerts := make([]DecidedAlert, len(rows))
	at := make(map[string]*DecidedAlert, len(rows))
	ids := make([]string, len(rows))
	for i, r := range rows {
		alerts[i].AlertRow, ids[i] = r, r.ID
		at[r.ID] = &alerts[i]
	}
	return alerts, s.addDecisions(ctx, in, f.Playbook, ids, at)
}

func (s *Store) addDecisions(ctx context.Context, in Scope, playbook string, ids []string, at map[string]*DecidedAlert) error {
	decisions, err := collect[DecisionRow](ctx, s.pool, `SELECT id::text, alert_id::text, playbook, revision, mode, state, reason, input, result, decided_ns, count
		FROM decisions WHERE alert_id = ANY($1::text[]::uuid[]) AND ($2 = '' OR playbook = $2) ORDER BY decided_ns, id`, ids, playbook)
	if err != nil {
		return err
	}
	of := make(map[string]*DecisionRow, len(decisions))
	ids = make([]string, len(decisions))
	for i := range decisions {
		of[decisions[i].ID], ids[i] = &decisions[i], decisions[i].ID
	}
	var w where
	w.add("c.decision_id = ANY(?::text[]::uuid[])", ids)
	w.scope(in, in.actions)
	actions, err := collect[DecidedAction](ctx, s.pool, `SELECT c.decision_id::text, c.id::text, c.type, c.state, c.refused_by, coalesce(c.executed_ns, 0)
		FROM actions c`+w.String()+" ORDER BY c.planned_ns, c.id", w.args...)
	if err != nil {
		return err
	}
	for _, a := range actions {
		d := of[a.DecisionID]
		d.Actions = append(d.Actions, a)
	}
	for _, d := range decisions {
		a := at[d.AlertID]
		a.Decisions = append(a.Decisions, d)
	}
	return nil
}
