package store

import (
	"context"
	"fmt"
	"math"
	"time"
)

// SaveAgent writes down a node's latest heartbeat and how far its run's numbers go.
// An older one changes nothing.
func (s *Store) SaveAgent(ctx context.Context, cluster, node, bootID string, seq uint64, body []byte, seen time.Time) error {
	// Two statements, each by itself: no order of locks to keep.
	_, err := s.pool.Exec(ctx, `INSERT INTO agents AS a (cluster, node, boot_id, body, seen_at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (cluster, node) DO UPDATE SET boot_id = excluded.boot_id, body = excluded.body, seen_at = excluded.seen_at
		WHERE a.seen_at <= excluded.seen_at`, Text(cluster), Text(node), bootID, Text(string(body)), seen)
	if err == nil {
		_, err = s.pool.Exec(ctx, `INSERT INTO agent_runs AS r (cluster, node, boot_id, highest, seen_at) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (cluster, node, boot_id) DO UPDATE SET highest = greatest(r.highest, excluded.highest), seen_at = greatest(r.seen_at, excluded.seen_at)`,
			Text(cluster), Text(node), bootID, int64(min(seq, math.MaxInt64-1)), seen)
	}
	if err != nil {
		return fmt.Errorf("store the heartbeat of %s: %w", node, err)
	}
	return nil
}
