package store

import (
	"context"
	"fmt"
	"time"
)

// SaveAgent writes down a node's latest heartbeat. An older one changes nothing.
func (s *Store) SaveAgent(ctx context.Context, cluster, node, bootID string, body []byte, seen time.Time) error {
	_, err := s.pool.Exec(ctx, `INSERT INTO agents AS a (cluster, node, boot_id, body, seen_at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (cluster, node) DO UPDATE SET boot_id = excluded.boot_id, body = excluded.body, seen_at = excluded.seen_at
		WHERE a.seen_at <= excluded.seen_at`, Text(cluster), Text(node), bootID, Text(string(body)), seen)
	if err != nil {
		return fmt.Errorf("store the heartbeat of %s: %w", node, err)
	}
	return nil
}
