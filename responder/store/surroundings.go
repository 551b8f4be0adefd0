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

// nodeIncidents is how many of a node's latest incidents are looked at.
const nodeIncidents = 200

// IncidentActions finds the latest actions of each incident, whatever they act on,
// newest first.
func (s *Store) IncidentActions(ctx context.Context, ids []string, each int) (map[string][]Past, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	rows, err := s.pool.Query(ctx, `SELECT i.id::text, a.type, a.state, a.playbook, a.planned_ns FROM (SELECT DISTINCT unnest($1::text[]::uuid[])) AS i (id)
		CROSS JOIN LATERAL (SELECT id, type, state, playbook, planned_ns FROM actions WHERE incident_id = i.id ORDER BY planned_ns DESC, id DESC LIMIT $2) a
		ORDER BY a.planned_ns DESC, a.id DESC`, ids, each)
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
	// Priority is that of the most severe of these alerts, LastAt when the last came.
	Priority int
	LastAt   time.Time
}

// SeenOn is that a node's alerts joined an incident.
type SeenOn struct {
	NodeKey
	IncidentID string
	Priority   int
	At         time.Time
}

// NoteNodes remembers which incidents the nodes' alerts joined, one SeenOn for each
// node and incident.
func (tx Tx) NoteNodes(ctx context.Context, seen []SeenOn) error {
	if len(seen) == 0 {
		return nil
	}
	// One order for all writers, so that no two wait for each other.
	seen = slices.SortedFunc(slices.Values(seen), func(a, b SeenOn) int {
		return cmp.Or(strings.Compare(a.Cluster, b.Cluster), strings.Compare(a.Node, b.Node), strings.Compare(a.IncidentID, b.IncidentID))
	})
	_, err := tx.Exec(ctx, `INSERT INTO incident_nodes AS n (cluster, node, incident_id, priority, last_at)
		SELECT * FROM unnest($1::text[], $2::text[], $3::text[]::uuid[], $4::smallint[], $5::timestamptz[])
		ON CONFLICT (cluster, node, incident_id) DO UPDATE SET priority = least(n.priority, excluded.priority), last_at = greatest(n.last_at, excluded.last_at)`,
		column(seen, func(x *SeenOn) string { return Text(x.Cluster) }), column(seen, func(x *SeenOn) string { return Text(x.Node) }),
		column(seen, func(x *SeenOn) string { return x.IncidentID }), column(seen, func(x *SeenOn) int16 { return int16(x.Priority) }),
		column(seen, func(x *SeenOn) time.Time { return x.At }))
	if err != nil {
		return fmt.Errorf("note the nodes of incidents: %w", err)
	}
	return nil
}

// ForgetNodes removes what NoteNodes noted for the last time before a time.
func (s *Store) ForgetNodes(ctx context.Context, before time.Time) error {
	if _, err := s.pool.Exec(ctx, "DELETE FROM incident_nodes WHERE last_at < $1", before); err != nil {
		return fmt.Errorf("forget the nodes of old incidents: %w", err)
	}
	return nil
}

// NodeIncidents finds the incidents that alerts of each node joined at or after since,
// the latest first. Beyond two hundred of a node nothing is seen, so that a flood cannot
// make each further alert expensive.
func (s *Store) NodeIncidents(ctx context.Context, nodes []NodeKey, since time.Time) (map[NodeKey][]NodeIncident, error) {
	rows, err := s.pool.Query(ctx, `SELECT n.cluster, n.node, i.id::text, i.key, l.priority, l.last_at
		FROM (SELECT DISTINCT * FROM unnest($1::text[], $2::text[])) AS n (cluster, node)
		CROSS JOIN LATERAL (SELECT incident_id, priority, last_at FROM incident_nodes
			WHERE cluster = n.cluster AND node = n.node AND last_at >= $3 ORDER BY last_at DESC, incident_id DESC LIMIT $4) l
		JOIN incidents i ON i.id = l.incident_id
		ORDER BY l.last_at DESC, i.id DESC`,
		column(nodes, func(n *NodeKey) string { return n.Cluster }), column(nodes, func(n *NodeKey) string { return n.Node }), since, nodeIncidents)
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
