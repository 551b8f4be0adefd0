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

// Around is what a batch of alerts asks for before anything is decided about it.
type Around struct {
	// Origins may be in the inbox already.
	Origins []Origin
	// Keys are those of the incidents that the alerts would join if they had an alert
	// at Idle or later.
	Keys []IncidentKey
	Idle time.Time
	// Nodes are where they come from. Incidents of a node count from NodesSince on.
	Nodes      []NodeKey
	NodesSince time.Time
	// Objects are what may be acted on.
	Objects []string
	// Actions is how many of each incident's and each object's are wanted, the latest.
	Actions int
}

// Surroundings is the answer to an Around.
type Surroundings struct {
	// Seen are the origins that are in the inbox.
	Seen map[Origin]bool
	// Open are the incidents that alerts may join.
	Open map[IncidentKey]OpenIncident
	// OfIncident are the latest actions by the id of an open incident, whatever they
	// act on, OfObject those by object; newest first.
	OfIncident, OfObject map[string][]Past
	// OnNode are the incidents that a node's alerts joined, the latest first.
	OnNode map[NodeKey][]NodeIncident
}

// Past is an earlier action.
type Past struct {
	Type, State, Playbook string
	At                    time.Time
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

// nodeIncidents is how many of a node's latest incidents are looked at: a flood must
// not make each further alert expensive.
const nodeIncidents = 200

// What Around asks. An array stands in a SELECT of its own, so that the planner
// does not look into it: it would find each one worth a plan of its own, which takes
// longer than the answer. The same hides a LIMIT, which then has the index walked in
// its order instead of all rows sorted; and a LIMIT 1 has each key looked up by itself,
// however small the table was when the plan was made.
const (
	aroundInbox = `SELECT i.cluster, i.node, i.boot_id::text, i.seq
		FROM unnest((SELECT $1::text[]), (SELECT $2::text[]), (SELECT $3::text[]::uuid[]), (SELECT $4::bigint[])) AS o (cluster, node, boot_id, seq)
		CROSS JOIN LATERAL (SELECT * FROM inbox
			WHERE cluster = o.cluster AND node = o.node AND boot_id = o.boot_id AND seq = o.seq LIMIT 1) i`
	aroundOpen = ` FROM (SELECT DISTINCT * FROM unnest((SELECT $1::text[]), (SELECT $2::text[]))) AS k (cluster, key)
		CROSS JOIN LATERAL (SELECT * FROM incidents WHERE cluster = k.cluster AND key = k.key AND joinable AND last_at >= $3 LIMIT 1) i`
	aroundIncidents = `SELECT i.cluster, i.key, i.id::text, i.alerts, i.priority, i.first_at` + aroundOpen
	aroundActions   = `SELECT i.id::text, a.type, a.state, a.playbook, a.planned_ns` + aroundOpen + `
		CROSS JOIN LATERAL (SELECT id, type, state, playbook, planned_ns FROM actions
			WHERE incident_id = i.id ORDER BY planned_ns DESC, id DESC LIMIT (SELECT $4::bigint)) a
		ORDER BY a.planned_ns DESC, a.id DESC`
	aroundNodes = `SELECT n.cluster, n.node, i.id::text, i.key, l.priority, l.last_at
		FROM (SELECT DISTINCT * FROM unnest((SELECT $1::text[]), (SELECT $2::text[]))) AS n (cluster, node)
		CROSS JOIN LATERAL (SELECT incident_id, priority, last_at FROM incident_nodes
			WHERE cluster = n.cluster AND node = n.node AND last_at >= $3 ORDER BY last_at DESC, incident_id DESC LIMIT (SELECT $4::bigint)) l
		CROSS JOIN LATERAL (SELECT id, key FROM incidents WHERE id = l.incident_id LIMIT 1) i
		ORDER BY l.last_at DESC, i.id DESC`
	aroundObjects = `SELECT o.object, a.type, a.state, a.playbook, a.planned_ns
		FROM (SELECT DISTINCT unnest((SELECT $1::text[]))) AS o (object)
		CROSS JOIN LATERAL (SELECT id, type, state, playbook, planned_ns FROM actions
			WHERE actions.object = o.object AND actions.object <> '' ORDER BY planned_ns DESC LIMIT (SELECT $2::bigint)) a
		ORDER BY a.planned_ns DESC, a.id DESC`
)

// Surroundings reads all that a batch's alerts meet, in one round trip.
func (s *Store) Surroundings(ctx context.Context, q Around) (Surroundings, error) {
	found := Surroundings{
		Seen: map[Origin]bool{}, Open: map[IncidentKey]OpenIncident{}, OfIncident: map[string][]Past{}, OfObject: map[string][]Past{}, OnNode: map[NodeKey][]NodeIncident{},
	}
	batch := &pgx.Batch{}
	o := columnsOf(q.Origins)
	batch.Queue(aroundInbox, o.cluster, o.node, o.boot, o.seq).Query(func(rows pgx.Rows) error {
		return eachOrigin(rows, func(o Origin) { found.Seen[o] = true })
	})
	clusters, keys := splitKeys(q.Keys)
	batch.Queue(aroundIncidents, clusters, keys, q.Idle).Query(func(rows pgx.Rows) error {
		var k IncidentKey
		var i OpenIncident
		_, err := pgx.ForEachRow(rows, []any{&k.Cluster, &k.Key, &i.ID, &i.Alerts, &i.Priority, &i.FirstAt}, func() error {
			found.Open[k] = i
			return nil
		})
		return err
	})
	batch.Queue(aroundActions, clusters, keys, q.Idle, q.Actions).Query(pastOf(found.OfIncident))
	batch.Queue(aroundNodes, column(q.Nodes, func(n *NodeKey) string { return n.Cluster }), column(q.Nodes, func(n *NodeKey) string { return n.Node }),
		q.NodesSince, nodeIncidents).Query(func(rows pgx.Rows) error {
		var k NodeKey
		var i NodeIncident
		_, err := pgx.ForEachRow(rows, []any{&k.Cluster, &k.Node, &i.ID, &i.Key, &i.Priority, &i.LastAt}, func() error {
			found.OnNode[k] = append(found.OnNode[k], i)
			return nil
		})
		return err
	})
	if len(q.Objects) > 0 {
		batch.Queue(aroundObjects, q.Objects, q.Actions).Query(pastOf(found.OfObject))
	}
	if err := s.pool.SendBatch(ctx, batch).Close(); err != nil {
		return Surroundings{}, fmt.Errorf("read what alerts meet: %w", err)
	}
	return found, nil
}

// pastOf collects actions by what they are asked for.
func pastOf(found map[string][]Past) func(pgx.Rows) error {
	return func(rows pgx.Rows) error {
		var of string
		var p Past
		var ns int64
		_, err := pgx.ForEachRow(rows, []any{&of, &p.Type, &p.State, &p.Playbook, &ns}, func() error {
			p.At = time.Unix(0, ns).UTC()
			found[of] = append(found[of], p)
			return nil
		})
		return err
	}
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
