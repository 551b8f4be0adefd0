package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// IncidentKey names the one incident that may be open for it.
type IncidentKey struct{ Cluster, Key string }

// OpenIncident is an incident that alerts may join.
type OpenIncident struct {
	ID      string
	Alerts  int64
	FirstAt time.Time
}

// Join is what some alerts of one key add to their incident.
type Join struct {
	IncidentKey
	// ID, Title and FirstAt are the new incident's, if there is none to join.
	ID, Title string
	Priority  int
	Alerts    int64
	FirstAt   time.Time
	LastAt    time.Time
}

// OpenIncidents finds the incidents that alerts of these keys would join: those
// whose last alert is not older than idle.
func (s *Store) OpenIncidents(ctx context.Context, keys []IncidentKey, idle time.Time) (map[IncidentKey]OpenIncident, error) {
	clusters, names := splitKeys(keys)
	rows, err := s.pool.Query(ctx, `SELECT cluster, key, id::text, alerts, first_at FROM incidents
		WHERE state = 'open' AND last_at >= $3 AND (cluster, key) IN (SELECT * FROM unnest($1::text[], $2::text[]))`, clusters, names, idle)
	if err != nil {
		return nil, fmt.Errorf("read open incidents: %w", err)
	}
	open := map[IncidentKey]OpenIncident{}
	var k IncidentKey
	var i OpenIncident
	_, err = pgx.ForEachRow(rows, []any{&k.Cluster, &k.Key, &i.ID, &i.Alerts, &i.FirstAt}, func() error {
		open[k] = i
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read open incidents: %w", err)
	}
	return open, nil
}

// JoinIncidents adds alerts to their incidents, one Join for each key, and
// returns the incidents' ids. An incident whose last alert is older than idle is
// closed and another opened in its place.
func (tx Tx) JoinIncidents(ctx context.Context, joins []Join, idle time.Time) (map[IncidentKey]string, error) {
	// One order for all writers, so that no two wait for each other.
	joins = slices.SortedFunc(slices.Values(joins), func(a, b Join) int {
		return cmp.Or(strings.Compare(a.Cluster, b.Cluster), strings.Compare(a.Key, b.Key))
	})
	var keys []IncidentKey
	var ids, titles []string
	var priorities []int16
	var counts []int64
	var first, last []time.Time
	for _, j := range joins {
		keys = append(keys, j.IncidentKey)
		ids, titles, priorities = append(ids, j.ID), append(titles, Text(j.Title)), append(priorities, int16(j.Priority))
		counts, first, last = append(counts, j.Alerts), append(first, j.FirstAt), append(last, j.LastAt)
	}
	clusters, names := splitKeys(keys)
	_, err := tx.Exec(ctx, `UPDATE incidents SET state = 'closed' WHERE id IN (SELECT id FROM incidents
		WHERE state = 'open' AND last_at < $3 AND (cluster, key) IN (SELECT * FROM unnest($1::text[], $2::text[]))
		ORDER BY cluster, key FOR UPDATE)`, clusters, names, idle)
	if err != nil {
		return nil, fmt.Errorf("close idle incidents: %w", err)
	}
	rows, err := tx.Query(ctx, `INSERT INTO incidents AS i (id, cluster, key, title, priority, alerts, first_at, last_at)
		SELECT * FROM unnest($1::text[]::uuid[], $2::text[], $3::text[], $4::text[], $5::smallint[], $6::bigint[], $7::timestamptz[], $8::timestamptz[])
		ON CONFLICT (cluster, key) WHERE state = 'open' DO UPDATE SET alerts = i.alerts + excluded.alerts,
			priority = least(i.priority, excluded.priority), last_at = greatest(i.last_at, excluded.last_at)
		RETURNING cluster, key, id::text`, ids, clusters, names, titles, priorities, counts, first, last)
	if err != nil {
		return nil, fmt.Errorf("join incidents: %w", err)
	}
	joined := map[IncidentKey]string{}
	var k IncidentKey
	var id string
	_, err = pgx.ForEachRow(rows, []any{&k.Cluster, &k.Key, &id}, func() error {
		joined[k] = id
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("join incidents: %w", err)
	}
	return joined, nil
}

// CloseIdleIncidents closes what had its last alert before idle.
func (s *Store) CloseIdleIncidents(ctx context.Context, idle time.Time) (int64, error) {
	tag, err := s.pool.Exec(ctx, "UPDATE incidents SET state = 'closed' WHERE state = 'open' AND last_at < $1", idle)
	if err != nil {
		return 0, fmt.Errorf("close idle incidents: %w", err)
	}
	return tag.RowsAffected(), nil
}

func splitKeys(keys []IncidentKey) (clusters, names []string) {
	for _, k := range keys {
		clusters, names = append(clusters, k.Cluster), append(names, k.Key)
	}
	return clusters, names
}
