package store

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// NewAction is an action to store, in the state that the guard gave it: planned,
// waiting, observed or refused.
type NewAction struct {
	ID, DecisionID, AlertID string
	// IncidentID is empty for an action outside of any incident.
	IncidentID               string
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
	// TTLNS is how long the effect is to hold; 0: until somebody lifts it. Leased says that
	// its node ends it after a lease, unless that is renewed.
	TTLNS  int64
	Leased bool
	// Labels are those of the alert's pod, Namespace whose readers may see the action.
	Labels    map[string]string
	Namespace string
}

// Planned is what became of a NewAction.
type Planned struct {
	// Joined is the id of the action that has, or had, the same effect on the same
	// object; empty if the action was stored under its own id.
	Joined string
	// Superseded is the id of the waiting action that this one made needless.
	Superseded string
	// Prolonged says that the effect of Joined lasts longer because of this one.
	Prolonged *Prolonged
}

// live says that an action holds its effect key; the unique index actions_effect has
// the same condition. What was lifted can be done again. An unknown outcome is not among them: the
// next alert may try again, and the target's identity keeps the effect single.
const live = `state IN ('planned', 'waiting', 'executing', 'succeeded') AND lifted_ns IS NULL`

// Plan stores actions whose decisions exist and says what became of each, in
// their order. A planned or waiting action whose effect another live action has
// already is not stored: it joins that one, and if it is planned and asks for a longer
// time makes the effect last that long. A waiting action makes room for one that needs no
// approval.
func (tx Tx) Plan(ctx context.Context, actions []NewAction) ([]Planned, error) {
	// One order for all writers, so that no two wait for each other. Of two with the
	// same effect the first wins, but one that needs no approval before one that does.
	order := make([]int, len(actions))
	for i := range order {
		order[i] = i
	}
	rank := func(i int) int {
		if actions[i].State == "waiting" {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Or(strings.Compare(actions[a].EffectKey, actions[b].EffectKey), cmp.Compare(rank(a), rank(b)))
	})

	sorted := make([]NewAction, len(actions))
	for i, at := range order {
		sorted[i] = actions[at]
	}
	results := make([]Planned, len(actions))
	if len(actions) == 0 {
		return results, nil
	}
	gone, err := tx.supersede(ctx, sorted)
	if err != nil {
		return nil, err
	}
	stored, err := tx.insertActions(ctx, sorted)
	if err != nil {
		return nil, err
	}
	var joining []string
	for _, a := range sorted {
		if !stored[a.ID] {
			joining = append(joining, a.EffectKey)
		}
	}
	joined, err := tx.holders(ctx, joining)
	if err != nil {
		return nil, err
	}
	for i, a := range actions {
		if !stored[a.ID] {
			if results[i].Joined = joined[a.EffectKey]; results[i].Joined == "" {
				return nil, fmt.Errorf("store action %s: %w", a.ID, errRaced)
			}
		} else if a.State == "planned" {
			results[i].Superseded = gone[a.EffectKey]
		}
	}
	return results, tx.prolong(ctx, actions, results, time.Now())
}

// supersede cancels the waiting actions whose effect one of these has without
// needing approval, and returns their ids by effect key.
func (tx Tx) supersede(ctx context.Context, actions []NewAction) (map[string]string, error) {
	var effects []string
	for _, a := range actions {
		if a.State == "planned" {
			effects = append(effects, a.EffectKey)
		}
	}
	if len(effects) == 0 {
		return nil, nil
	}
	return tx.pairs(ctx, "supersede waiting actions", `UPDATE actions SET state = 'cancelled', note = 'another decision on the same effect needs no approval'
		WHERE effect_key = ANY((SELECT $1::text[])::text[]) AND state = 'waiting' RETURNING effect_key, id::text`, effects)
}

// insertActions returns the ids of those that were stored.
func (tx Tx) insertActions(ctx context.Context, actions []NewAction) (map[string]bool, error) {
	text := func(f func(*NewAction) string) []string {
		return column(actions, func(a *NewAction) string { return Text(f(a)) })
	}
	rows, err := tx.Query(ctx, `INSERT INTO actions (id, decision_id, alert_id, cluster, node, type, target, params, object, effect_key, playbook, revision,
			mode, reason, state, refused_by, note, planned_ns, expires_ns, ttl_ns, incident_id, labels, namespace)
		SELECT * FROM unnest($1::text[]::uuid[], $2::text[]::uuid[], $3::text[]::uuid[], $4::text[], $5::text[], $6::text[], $7::text[]::jsonb[],
			$8::text[]::jsonb[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[], $17::text[],
			$18::bigint[], $19::bigint[], $20::bigint[], $21::text[]::uuid[], $22::jsonb[], $23::text[])
		ON CONFLICT (effect_key) WHERE `+live+` DO NOTHING RETURNING id::text`,
		text(func(a *NewAction) string { return a.ID }), text(func(a *NewAction) string { return a.DecisionID }),
		text(func(a *NewAction) string { return a.AlertID }), text(func(a *NewAction) string { return a.Cluster }),
		text(func(a *NewAction) string { return a.Node }), text(func(a *NewAction) string { return a.Type }),
		text(func(a *NewAction) string { return jsonText(a.Target) }), text(func(a *NewAction) string { return jsonText(a.Params) }),
		text(func(a *NewAction) string { return a.Object }), text(func(a *NewAction) string { return a.EffectKey }),
		text(func(a *NewAction) string { return a.Playbook }), text(func(a *NewAction) string { return a.Revision }),
		text(func(a *NewAction) string { return a.Mode }), text(func(a *NewAction) string { return a.Reason }),
		text(func(a *NewAction) string { return a.State }), text(func(a *NewAction) string { return a.RefusedBy }),
		text(func(a *NewAction) string { return a.Note }), column(actions, func(a *NewAction) int64 { return a.PlannedNS }),
		column(actions, func(a *NewAction) int64 { return a.ExpiresNS }), column(actions, func(a *NewAction) int64 { return a.TTLNS }),
		column(actions, func(a *NewAction) *string {
			if a.IncidentID == "" {
				return nil
			}
			return &a.IncidentID
		}), column(actions, func(a *NewAction) []byte { return labelsJSON(a.Labels) }),
		text(func(a *NewAction) string { return a.Namespace }))
	if err != nil {
		return nil, fmt.Errorf("store actions: %w", err)
	}
	stored := map[string]bool{}
	var id string
	_, err = pgx.ForEachRow(rows, []any{&id}, func() error {
		stored[id] = true
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("store actions: %w", err)
	}
	return stored, nil
}

// holders finds the live action of each effect, in a statement of its own: it
// sees what the insert waited for.
func (tx Tx) holders(ctx context.Context, effects []string) (map[string]string, error) {
	if len(effects) == 0 {
		return nil, nil
	}
	return tx.pairs(ctx, "find the actions to join", `SELECT effect_key, id::text FROM actions WHERE effect_key = ANY((SELECT $1::text[])::text[]) AND `+live, effects)
}

func (tx Tx) pairs(ctx context.Context, what, sql string, args ...any) (map[string]string, error) {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	found := map[string]string{}
	var key, value string
	_, err = pgx.ForEachRow(rows, []any{&key, &value}, func() error {
		found[key] = value
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return found, nil
}

// jsonText makes JSON fit for jsonb, which takes no NUL, not even escaped.
func jsonText(raw json.RawMessage) string {
	if len(raw) == 0 {
		return "{}"
	}
	return strings.ReplaceAll(Text(string(raw)), `\u0000`, `\ufffd`)
}
