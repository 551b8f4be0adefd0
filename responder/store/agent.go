package store

import (
	"context"
	"fmt"
	"math"
	"time"
)

// Beat is a node's heartbeat: its run, the last number that it spoke of, and all it said.
type Beat struct {
	RunKey
	Seq  uint64
	Body []byte
}

// SaveBeats writes down nodes' latest heartbeats and how far their runs' numbers go.
// Older ones change nothing.
func (s *Store) SaveBeats(ctx context.Context, beats []Beat, seen time.Time) error {
	clusters, nodes := column(beats, func(b *Beat) string { return Text(b.Cluster) }), column(beats, func(b *Beat) string { return Text(b.Node) })
	runs := column(beats, func(b *Beat) string { return b.BootID })
	// Two statements, each by itself, and each in one order of rows: no locks to keep in
	// mind. Two hostile names may be the same once they are cleaned.
	_, err := s.pool.Exec(ctx, `INSERT INTO agents AS a (cluster, node, boot_id, body, seen_at)
		SELECT DISTINCT ON (c, n) c, n, r::uuid, b, $5 FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS x (c, n, r, b) ORDER BY c, n
		ON CONFLICT (cluster, node) DO UPDATE SET boot_id = excluded.boot_id, body = excluded.body, seen_at = excluded.seen_at
		WHERE a.seen_at <= excluded.seen_at`, clusters, nodes, runs, column(beats, func(b *Beat) string { return Text(string(b.Body)) }), seen)
	if err == nil {
		_, err = s.pool.Exec(ctx, `INSERT INTO agent_runs AS r (cluster, node, boot_id, highest, seen_at)
			SELECT DISTINCT ON (c, n, r) c, n, r::uuid, h, $5 FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) AS x (c, n, r, h) ORDER BY c, n, r
			ON CONFLICT (cluster, node, boot_id) DO UPDATE SET highest = greatest(r.highest, excluded.highest), seen_at = greatest(r.seen_at, excluded.seen_at)`,
			clusters, nodes, runs, column(beats, func(b *Beat) int64 { return int64(min(b.Seq, math.MaxInt64-1)) }), seen)
	}
	if err != nil {
		return fmt.Errorf("store the heartbeats of %d nodes: %w", len(beats), err)
	}
	return nil
}
