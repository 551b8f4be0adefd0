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
	ID     string
	Alerts int64
	// Priority is that of its most severe alert.
	Priority int
	FirstAt  time.Time
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
	// AttackAt is when the newest alert's cause happened, as far as the node can be
	// believed: what is later than an incident's containment opens it again.
	AttackAt time.Time
	// Labels are those of the first alert's pod.
	Labels map[string]string
}

// Joined is the incident that alerts joined.
type Joined struct {
	ID string
	// Opened: these alerts are its first. Reopened: it was contained until now.
	Opened, Reopened bool
}

// JoinIncidents adds alerts to their incidents, one Join for each key. An
// incident whose last alert is older than idle takes no more, and another is
// opened in its place. What it opens or opens again has no history yet: that is
// the caller's, see ChangeIncident.
func (tx Tx) JoinIncidents(ctx context.Context, joins []Join, idle time.Time) (map[IncidentKey]Joined, error) {
	// One order for all writers, so that no two wait for each other.
	joins = slices.SortedFunc(slices.Values(joins), func(a, b Join) int {
		return cmp.Or(strings.Compare(a.Cluster, b.Cluster), strings.Compare(a.Key, b.Key))
	})
	keys := column(joins, func(j *Join) IncidentKey { return j.IncidentKey })
	clusters, names := splitKeys(keys)
	_, err := tx.Exec(ctx, `UPDATE incidents SET joinable = false WHERE id IN (SELECT id FROM incidents
		WHERE joinable AND last_at < $3 AND (cluster, key) IN (SELECT * FROM unnest($1::text[], $2::text[]))
		ORDER BY cluster, key FOR UPDATE)`, clusters, names, idle)
	if err != nil {
		return nil, fmt.Errorf("end idle incidents: %w", err)
	}
	rows, err := tx.Query(ctx, `INSERT INTO incidents AS i (id, cluster, key, title, priority, alerts, first_at, last_at, labels)
		SELECT * FROM unnest($1::text[]::uuid[], $2::text[], $3::text[], $4::text[], $5::smallint[], $6::bigint[], $7::timestamptz[], $8::timestamptz[], $9::jsonb[])
		ON CONFLICT (cluster, key) WHERE joinable DO UPDATE SET alerts = i.alerts + excluded.alerts,
			priority = least(i.priority, excluded.priority), last_at = greatest(i.last_at, excluded.last_at)
		RETURNING cluster, key, id::text, xmax = 0, state = 'contained'`,
		column(joins, func(j *Join) string { return j.ID }), clusters, names, column(joins, func(j *Join) string { return Text(j.Title) }),
		column(joins, func(j *Join) int16 { return int16(j.Priority) }), column(joins, func(j *Join) int64 { return j.Alerts }),
		column(joins, func(j *Join) time.Time { return j.FirstAt }), column(joins, func(j *Join) time.Time { return j.LastAt }),
		column(joins, func(j *Join) []byte { return labelsJSON(j.Labels) }))
	if err != nil {
		return nil, fmt.Errorf("join incidents: %w", err)
	}
	joined := map[IncidentKey]Joined{}
	contained := map[string]IncidentKey{}
	var k IncidentKey
	var i Joined
	var isContained bool
	_, err = pgx.ForEachRow(rows, []any{&k.Cluster, &k.Key, &i.ID, &i.Opened, &isContained}, func() error {
		joined[k] = i
		if isContained {
			contained[i.ID] = k
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("join incidents: %w", err)
	}
	return joined, tx.reopen(ctx, joins, contained, joined)
}

// reopen opens the contained incidents in which the attack went on.
func (tx Tx) reopen(ctx context.Context, joins []Join, contained map[string]IncidentKey, joined map[IncidentKey]Joined) error {
	if len(contained) == 0 {
		return nil
	}
	var ids []string
	var attacks []time.Time
	for _, j := range joins {
		if id := joined[j.IncidentKey].ID; contained[id] == j.IncidentKey {
			ids, attacks = append(ids, id), append(attacks, j.AttackAt)
		}
	}
	rows, err := tx.Query(ctx, `UPDATE incidents i SET state = 'open', contained_at = NULL FROM unnest($1::text[]::uuid[], $2::timestamptz[]) AS a (id, at)
		WHERE i.id = a.id AND i.state = 'contained' AND i.contained_at < a.at RETURNING i.id::text`, ids, attacks)
	if err != nil {
		return fmt.Errorf("open incidents again: %w", err)
	}
	var id string
	_, err = pgx.ForEachRow(rows, []any{&id}, func() error {
		joined[contained[id]] = Joined{ID: id, Reopened: true}
		return nil
	})
	if err != nil {
		return fmt.Errorf("open incidents again: %w", err)
	}
	return nil
}

// EndIdleIncidents lets no more alerts join what had its last one before idle.
func (s *Store) EndIdleIncidents(ctx context.Context, idle time.Time) (int64, error) {
	tag, err := s.pool.Exec(ctx, "UPDATE incidents SET joinable = false WHERE joinable AND kind = 'alerts' AND last_at < $1", idle)
	if err != nil {
		return 0, fmt.Errorf("end idle incidents: %w", err)
	}
	return tag.RowsAffected(), nil
}

func splitKeys(keys []IncidentKey) (clusters, names []string) {
	for _, k := range keys {
		clusters, names = append(clusters, k.Cluster), append(names, k.Key)
	}
	return clusters, names
}
