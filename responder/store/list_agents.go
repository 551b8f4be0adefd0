package store

import (
	"context"
	"strconv"
	"time"
)

// AgentFilter chooses agents; zero fields choose all.
type AgentFilter struct {
	Cluster, Node string
	// Silent leaves only those that an incident says are silent, or that are not.
	Silent *bool
}

// AgentRow is a node's last heartbeat.
type AgentRow struct {
	Cluster string
	Node    string
	// Body is alert.Heartbeat's JSON.
	Body   string
	SeenAt time.Time
	// SilentIncident is the incident about its silence, empty while it speaks.
	SilentIncident string
}

// Agents returns one page of every node within a scope that ever spoke, by cluster
// and name, and the next page's cursor.
func (s *Store) Agents(ctx context.Context, in Scope, f AgentFilter, p Paging) ([]AgentRow, string, error) {
	var w where
	w.scope(in, func() (string, []any) { return in.holds("cluster", "''") })
	w.text("cluster", f.Cluster)
	w.text("node", f.Node)
	if f.Silent != nil {
		w.add("(silent_incident IS NOT NULL) = ?", *f.Silent)
	}
	if p.Before != "" {
		part, err := parseCursor(p.Before, 2)
		if err != nil {
			return nil, "", err
		}
		w.add("(cluster, node) > (?, ?)", part[0], part[1])
	}
	limit := p.limit()
	w.args = append(w.args, limit+1)
	rows, err := collect[AgentRow](ctx, s.pool, `SELECT cluster, node, body, seen_at, coalesce(silent_incident::text, '') FROM agents`+
		w.String()+" ORDER BY cluster, node LIMIT $"+strconv.Itoa(len(w.args)), w.args...)
	if err != nil {
		return nil, "", err
	}
	rows, next := cut(rows, limit, func(a AgentRow) string { return cursorOf(a.Cluster, a.Node) })
	return rows, next, nil
}
