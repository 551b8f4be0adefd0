package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Bounds of what one look at the surroundings reads, so that a flood of alerts
// cannot make each further one expensive. What is beyond them is not seen.
const (
	// recentAlerts is how many of an incident's latest alerts are looked at.
	recentAlerts = 100
	// recentIncidents is how many of all incidents are, those with the latest alerts.
	recentIncidents = 200
)

// IncidentActions finds the latest actions of each incident, whatever they act on,
// newest first: those about its latest hundred alerts, equal ones counting once.
func (s *Store) IncidentActions(ctx context.Context, ids []string, each int) (map[string][]Past, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	rows, err := s.pool.Query(ctx, `SELECT i.id::text, a.type, a.state, a.playbook, a.planned_ns FROM (SELECT DISTINCT unnest($1::text[]::uuid[])) AS i (id)
		CROSS JOIN LATERAL (SELECT a.id, a.type, a.state, a.playbook, a.planned_ns
			FROM (SELECT id FROM alerts WHERE incident_id = i.id ORDER BY received_ns DESC LIMIT $3) l JOIN actions a ON a.alert_id = l.id
			ORDER BY a.planned_ns DESC, a.id DESC LIMIT $2) a
		ORDER BY a.planned_ns DESC, a.id DESC`, ids, each, recentAlerts)
	if err != nil {
		return nil, fmt.Errorf("read the incidents' actions: %w", err)
	}
	found := map[string][]Past{}
	var id string
	var p Past
	var ns int64
	_, err = pgx.ForEachRow(rows, []any{&id, &p.Type, &p.State, &p.Playbook, &ns}, func() error {
		p.At = time.Unix(0, ns).UTC()
		found[id] = append(found[id], p)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the incidents' actions: %w", err)
	}
	return found, nil
}

// NodeKey names a node.
type NodeKey struct{ Cluster, Node string }

// NodeIncident is an incident as far as one node's alerts go.
type NodeIncident struct {
	ID, Key string
	// Priority is that of the most severe of these alerts, LastAt when the last of the
	// whole incident came.
	Priority int
	LastAt   time.Time
}

// NodeIncidents finds the incidents with alerts of each node that came at or after
// since, those with the latest alerts first.
func (s *Store) NodeIncidents(ctx context.Context, nodes []NodeKey, since time.Time) (map[NodeKey][]NodeIncident, error) {
	rows, err := s.pool.Query(ctx, `SELECT n.cluster, n.node, i.id::text, i.key, l.priority, i.last_at
		FROM (SELECT id, cluster, key, last_at FROM incidents WHERE last_at >= $3 AND kind = 'alerts' ORDER BY last_at DESC, id DESC LIMIT $4) i
		CROSS JOIN LATERAL (SELECT x.node, min(x.priority) AS priority
			FROM (SELECT node, priority, greatest(received_ns, last_ns) AS ns FROM alerts WHERE incident_id = i.id ORDER BY received_ns DESC LIMIT $5) x
			WHERE x.ns >= $6 GROUP BY x.node) l
		JOIN (SELECT DISTINCT * FROM unnest($1::text[], $2::text[])) AS n (cluster, node) ON n.cluster = i.cluster AND n.node = l.node
		ORDER BY i.last_at DESC, i.id DESC`,
		column(nodes, func(n *NodeKey) string { return n.Cluster }), column(nodes, func(n *NodeKey) string { return n.Node }),
		since, recentIncidents, recentAlerts, since.UnixNano())
	if err != nil {
		return nil, fmt.Errorf("read the nodes' incidents: %w", err)
	}
	found := map[NodeKey][]NodeIncident{}
	var k NodeKey
	var i NodeIncident
	_, err = pgx.ForEachRow(rows, []any{&k.Cluster, &k.Node, &i.ID, &i.Key, &i.Priority, &i.LastAt}, func() error {
		found[k] = append(found[k], i)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the nodes' incidents: %w", err)
	}
	return found, nil
}
