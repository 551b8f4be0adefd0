package store

import (
	"context"
	"fmt"
	"time"
)

// LockedIncident is an incident whose row is locked until the transaction ends.
type LockedIncident struct {
	ID, Cluster, State string
	Joinable           bool
}

// IncidentChange is one row of an incident's history. From is empty for its beginning.
type IncidentChange struct {
	ID       string
	From, To string
	// Joinable is whether alerts may still join.
	Joinable    bool
	ContainedAt *time.Time
	At          time.Time
	Actor       string
	Reason      string
}

// LockIncident finds an incident by its id or its id's last group, or ErrNotFound.
func (tx Tx) LockIncident(ctx context.Context, id string) (LockedIncident, error) {
	found, err := byID[struct{ ID string }](ctx, tx, "SELECT id::text FROM incidents", "id", id, where{})
	if err != nil {
		return LockedIncident{}, err
	}
	i := LockedIncident{ID: found.ID}
	err = tx.QueryRow(ctx, "SELECT cluster, state, joinable FROM incidents WHERE id = $1::text::uuid FOR UPDATE", i.ID).Scan(&i.Cluster, &i.State, &i.Joinable)
	if err != nil {
		return i, fmt.Errorf("lock incident %s: %w", i.ID, err)
	}
	return i, nil
}

// ChangeIncident writes a locked incident's new state and its history's row.
func (tx Tx) ChangeIncident(ctx context.Context, c IncidentChange) error {
	_, err := tx.Exec(ctx, "UPDATE incidents SET state = $2, joinable = $3, contained_at = $4 WHERE id = $1::text::uuid", c.ID, c.To, c.Joinable, c.ContainedAt)
	if err != nil {
		return fmt.Errorf("change incident %s: %w", c.ID, err)
	}
	return tx.AddIncidentHistory(ctx, []IncidentChange{c})
}

// AddIncidentHistory writes rows of the history alone.
func (tx Tx) AddIncidentHistory(ctx context.Context, changes []IncidentChange) error {
	if len(changes) == 0 {
		return nil
	}
	text := func(f func(*IncidentChange) string) []string {
		return column(changes, func(c *IncidentChange) string { return Text(f(c)) })
	}
	_, err := tx.Exec(ctx, `INSERT INTO incident_history (incident_id, at, from_state, to_state, actor, reason)
		SELECT * FROM unnest($1::text[]::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::text[])`,
		text(func(c *IncidentChange) string { return c.ID }), column(changes, func(c *IncidentChange) time.Time { return c.At }),
		text(func(c *IncidentChange) string { return c.From }), text(func(c *IncidentChange) string { return c.To }),
		text(func(c *IncidentChange) string { return c.Actor }), text(func(c *IncidentChange) string { return c.Reason }))
	if err != nil {
		return fmt.Errorf("write the incidents' history: %w", err)
	}
	return nil
}

// OpenedIncident is an incident about something that does not come.
type OpenedIncident struct {
	IncidentKey
	ID, Kind, Title string
	Priority        int
	At              time.Time
	Actor, Reason   string
}

// OpenIncident opens an incident without alerts, unless one of its key takes
// alerts, and returns its id; opened says which.
func (tx Tx) OpenIncident(ctx context.Context, o OpenedIncident) (id string, opened bool, err error) {
	err = tx.QueryRow(ctx, `INSERT INTO incidents AS i (id, cluster, key, kind, title, priority, alerts, first_at, last_at)
		VALUES ($1::text::uuid, $2, $3, $4, $5, $6, 0, $7, $7)
		ON CONFLICT (cluster, key) WHERE joinable DO UPDATE SET last_at = greatest(i.last_at, excluded.last_at) RETURNING id::text, xmax = 0`,
		o.ID, o.Cluster, o.Key, o.Kind, Text(o.Title), int16(o.Priority), o.At).Scan(&id, &opened)
	if err != nil {
		return "", false, fmt.Errorf("open incident %s: %w", o.Key, err)
	}
	if !opened {
		return id, false, nil
	}
	return id, true, tx.AddIncidentHistory(ctx, []IncidentChange{{ID: id, To: "open", At: o.At, Actor: o.Actor, Reason: o.Reason}})
}

// ContainedIncidents finds open incidents in which an effect of these types was
// verified at or after since (Unix nanoseconds) and nothing is under way or waits.
func (s *Store) ContainedIncidents(ctx context.Context, types []string, since int64) ([]string, error) {
	type row struct{ ID string }
	rows, err := collect[row](ctx, s.pool, `SELECT DISTINCT i.id::text FROM actions a JOIN incidents i ON i.id = a.incident_id
		WHERE a.verified_ns >= $2 AND a.state = 'succeeded' AND a.type = ANY($1) AND i.state = 'open' AND i.kind = 'alerts'
			AND NOT EXISTS (SELECT 1 FROM incident_history h WHERE h.incident_id = i.id AND h.from_state = 'contained' AND h.to_state = 'open'
				AND h.at >= to_timestamp(a.verified_ns / 1e9))
			AND NOT EXISTS (SELECT 1 FROM actions b WHERE b.incident_id = i.id AND b.state IN ('planned', 'waiting', 'executing'))
		LIMIT 1000`, types, since)
	if err != nil {
		return nil, fmt.Errorf("find contained incidents: %w", err)
	}
	return column(rows, func(r *row) string { return r.ID }), nil
}
