package store

import (
	"context"
	"fmt"
	"time"
)

// SwitchRow is the last turn of a kill switch over the API.
type SwitchRow struct {
	// Scope is all, cluster or playbook, Name whose.
	Scope, Name string
	On          bool
	// ID is this turn's; the file of a responder that has it is of the same turn.
	ID            string
	Reason, Actor string
	At            time.Time
}

const selectSwitches = `SELECT scope, name, is_on, id::text, reason, actor, at FROM guard_switches`

// Switches lists every kill switch that was ever turned.
func (s *Store) Switches(ctx context.Context) ([]SwitchRow, error) {
	return collect[SwitchRow](ctx, s.pool, selectSwitches+" ORDER BY scope, name")
}

// SetSwitch stores a turn of a kill switch. One that turns it off keeps the id of
// the one that it ends, by which every responder knows the file to remove.
func (tx Tx) SetSwitch(ctx context.Context, r SwitchRow) error {
	_, err := tx.Exec(ctx, `INSERT INTO guard_switches (scope, name, is_on, id, reason, actor, at) VALUES ($1, $2, $3, $4::text::uuid, $5, $6, $7)
		ON CONFLICT (scope, name) DO UPDATE SET is_on = excluded.is_on, id = CASE WHEN excluded.is_on THEN excluded.id ELSE guard_switches.id END, reason = excluded.reason, actor = excluded.actor, at = excluded.at`,
		r.Scope, r.Name, r.On, r.ID, Text(r.Reason), Text(r.Actor), r.At)
	if err != nil {
		return fmt.Errorf("store the kill switch: %w", err)
	}
	return nil
}
