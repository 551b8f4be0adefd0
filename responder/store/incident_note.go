package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// ActionIncident is an action's incident, and who asked for the action.
type ActionIncident struct{ ID, Playbook, Revision string }

// IncidentOfAction finds an action's incident, or ErrNotFound.
func (tx Tx) IncidentOfAction(ctx context.Context, actionID string) (i ActionIncident, err error) {
	err = tx.QueryRow(ctx, `SELECT incident_id::text, playbook, revision FROM actions WHERE id = $1::text::uuid AND incident_id IS NOT NULL`,
		actionID).Scan(&i.ID, &i.Playbook, &i.Revision)
	if errors.Is(err, pgx.ErrNoRows) {
		return i, ErrNotFound
	}
	if err != nil {
		return i, fmt.Errorf("find the incident of action %s: %w", actionID, err)
	}
	return i, nil
}

// NoteOnIncident writes a row of a locked incident's history that changes no state,
// unless there is one with this actor and reason, and returns the row's time.
func (tx Tx) NoteOnIncident(ctx context.Context, c IncidentChange) (at time.Time, err error) {
	err = tx.QueryRow(ctx, `SELECT at FROM incident_history WHERE incident_id = $1::text::uuid AND actor = $2 AND reason = $3 ORDER BY id LIMIT 1`,
		c.ID, Text(c.Actor), Text(c.Reason)).Scan(&at)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return c.At, tx.AddIncidentHistory(ctx, []IncidentChange{c})
	case err != nil:
		return at, fmt.Errorf("read the history of incident %s: %w", c.ID, err)
	}
	return at, nil
}
