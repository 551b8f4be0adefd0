package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// NewAction is an action to store, in the state that the guard gave it: planned,
// waiting, observed or refused.
type NewAction struct {
	ID, DecisionID, AlertID  string
	Cluster, Node            string
	Type                     string
	Target, Params           json.RawMessage
	Object                   string
	EffectKey                string
	Playbook, Revision, Mode string
	Reason                   string
	State                    string
	RefusedBy, Note          string
	PlannedNS, ExpiresNS     int64
}

// Planned is what became of a NewAction.
type Planned struct {
	// Joined is the id of the action that has, or had, the same effect on the same
	// object; empty if the action was stored under its own id.
	Joined string
	// Superseded is the id of the waiting action that this one made needless.
	Superseded string
}

// Past is an earlier action on an object.
type Past struct {
	Type, State, Playbook string
	At                    time.Time
}

// live are the states in which an action holds its effect key. The unique index
// actions_effect has the same list.
const live = `('planned', 'waiting', 'executing', 'succeeded', 'unknown')`

// Plan stores actions whose decisions exist and says what became of each, in
// their order. A planned or waiting action whose effect another live action has
// already is not stored: it joins that one. A waiting action makes room for one
// that needs no approval.
func (tx Tx) Plan(ctx context.Context, actions []NewAction) ([]Planned, error) {
	// One order for all writers, so that no two wait for each other; of two with the
	// same effect the first wins.
	order := make([]int, len(actions))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return strings.Compare(actions[a].EffectKey, actions[b].EffectKey) })

	results := make([]Planned, len(actions))
	for _, i := range order {
		if actions[i].State != "planned" {
			continue
		}
		err := tx.QueryRow(ctx, `UPDATE actions SET state = 'cancelled', note = 'another decision needs no approval: ' || $2
			WHERE effect_key = $1 AND state = 'waiting' RETURNING id::text`, actions[i].EffectKey, actions[i].ID).Scan(&results[i].Superseded)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return nil, fmt.Errorf("supersede a waiting action: %w", err)
		}
	}
	batch := &pgx.Batch{}
	for _, i := range order {
		a, result := actions[i], &results[i]
		batch.Queue(`INSERT INTO actions (id, decision_id, alert_id, cluster, node, type, target, params, object, effect_key, playbook, revision, mode,
				reason, state, refused_by, note, planned_ns, expires_ns)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
			ON CONFLICT (effect_key) WHERE state IN `+live+` DO NOTHING`,
			a.ID, a.DecisionID, a.AlertID, Text(a.Cluster), Text(a.Node), Text(a.Type), jsonText(a.Target), jsonText(a.Params), Text(a.Object), a.EffectKey,
			Text(a.Playbook), a.Revision, a.Mode, Text(a.Reason), a.State, a.RefusedBy, Text(a.Note), a.PlannedNS, a.ExpiresNS)
		// In its own statement, which sees what the insert waited for.
		batch.Queue(`SELECT coalesce(max(id::text), '') FROM actions WHERE effect_key = $1 AND state IN `+live+`
			AND NOT EXISTS (SELECT FROM actions WHERE id = $2)`, a.EffectKey, a.ID).QueryRow(func(row pgx.Row) error { return row.Scan(&result.Joined) })
	}
	if err := tx.send(ctx, batch, "store actions"); err != nil {
		return nil, err
	}
	return results, nil
}

// History finds the latest actions on each object, newest first. An object may
// be named more than once.
func (s *Store) History(ctx context.Context, objects []string, each int) (map[string][]Past, error) {
	rows, err := s.pool.Query(ctx, `SELECT o.object, a.type, a.state, a.playbook, a.planned_ns FROM (SELECT DISTINCT unnest($1::text[])) AS o (object)
		CROSS JOIN LATERAL (SELECT id, type, state, playbook, planned_ns FROM actions
			WHERE actions.object = o.object AND actions.object <> '' ORDER BY planned_ns DESC, id DESC LIMIT $2) AS a
		ORDER BY a.planned_ns DESC, a.id DESC`, objects, each)
	if err != nil {
		return nil, fmt.Errorf("read earlier actions: %w", err)
	}
	history := map[string][]Past{}
	var object string
	var p Past
	var ns int64
	_, err = pgx.ForEachRow(rows, []any{&object, &p.Type, &p.State, &p.Playbook, &ns}, func() error {
		p.At = time.Unix(0, ns).UTC()
		history[object] = append(history[object], p)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read earlier actions: %w", err)
	}
	return history, nil
}

// jsonText makes JSON fit for jsonb, which takes no NUL, not even escaped.
func jsonText(raw json.RawMessage) string {
	if len(raw) == 0 {
		return "{}"
	}
	return strings.ReplaceAll(Text(string(raw)), `\u0000`, `\ufffd`)
}
