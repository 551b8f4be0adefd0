package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// ModeRow is how a playbook's mode differs from what its METADATA says.
type ModeRow struct {
	Playbook string
	// Mode is empty for the METADATA's.
	Mode string
	// Namespaces and Labels (a JSON object) are the canary: outside of them the playbook observes.
	Namespaces []string
	Labels     []byte
	// SteppedBack is the rule that made it step back to observe, empty for none.
	SteppedBack string
	Reason      string
	Actor       string
	At          time.Time
}

// LabelMap is Labels as a map.
func (m ModeRow) LabelMap() map[string]string {
	var labels map[string]string
	_ = json.Unmarshal(m.Labels, &labels) // jsonb, written by SetMode alone
	return labels
}

const selectModes = `SELECT playbook, mode, namespaces, labels::text, stepped_back, reason, actor, at FROM playbook_modes`

// Modes lists every mode that was set.
func (s *Store) Modes(ctx context.Context) ([]ModeRow, error) {
	return collect[ModeRow](ctx, s.pool, selectModes+" ORDER BY playbook")
}

// SetMode stores a mode in place of the one before; its time is the database's. With
// the time of a mode, zero for none, it stores nothing and returns ErrChanged unless
// that is still the present one.
func (tx Tx) SetMode(ctx context.Context, m ModeRow, unchanged *time.Time) error {
	if m.Namespaces == nil {
		m.Namespaces = []string{}
	}
	tag, err := tx.Exec(ctx, `INSERT INTO playbook_modes AS was (playbook, mode, namespaces, labels, stepped_back, reason, actor, at)
		VALUES ($1, $2, $3, $4::text::jsonb, $5, $6, $7, clock_timestamp())
		ON CONFLICT (playbook) DO UPDATE SET mode = excluded.mode, namespaces = excluded.namespaces, labels = excluded.labels,
			stepped_back = excluded.stepped_back, reason = excluded.reason, actor = excluded.actor, at = excluded.at
		WHERE $8::timestamptz IS NULL OR was.at = $8`,
		m.Playbook, m.Mode, m.Namespaces, jsonText(m.Labels), m.SteppedBack, Text(m.Reason), Text(m.Actor), unchanged)
	if err == nil && tag.RowsAffected() == 0 {
		return ErrChanged
	}
	if err != nil {
		return fmt.Errorf("store the mode of playbook %s: %w", m.Playbook, err)
	}
	return nil
}

// StepBack makes playbooks observe. Of one that stepped back before, nothing changes.
func (tx Tx) StepBack(ctx context.Context, playbook, rule, reason, actor string) (bool, error) {
	tag, err := tx.Exec(ctx, `INSERT INTO playbook_modes AS m (playbook, mode, stepped_back, reason, actor, at)
		VALUES ($1, '', $2, $3, $4, clock_timestamp())
		ON CONFLICT (playbook) DO UPDATE SET stepped_back = excluded.stepped_back, reason = excluded.reason, actor = excluded.actor, at = excluded.at
		WHERE m.stepped_back = ''`, playbook, rule, Text(reason), actor)
	if err != nil {
		return false, fmt.Errorf("step playbook %s back: %w", playbook, err)
	}
	return tag.RowsAffected() == 1, nil
}
