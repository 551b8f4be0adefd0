package store

import (
	"context"
	"fmt"
	"time"
)

// pruneBatch is how many rows go at once, so that nobody waits long for their locks, and
// pruneBatches how many times at most, so that what was never pruned goes bit by bit.
const (
	pruneBatch   = 1000
	pruneBatches = 20
)

// PruneActions removes actions that ended, and to which nothing happened since, before a
// time, with what was asked and counted about them. Whatever may still change stays: what is
// not over, what is to be lifted, what is of an undoable type and may have had its effect
// and was not lifted, and all of an incident that is open or had an alert since.
func (s *Store) PruneActions(ctx context.Context, before time.Time, undoable []string) (int64, error) {
	return s.prune(ctx, "actions", `WITH old AS (
			SELECT c.id FROM actions c WHERE c.planned_ns < $1 AND c.state NOT IN ('planned', 'waiting', 'executing') AND c.lease_holder = ''
				AND greatest(c.planned_ns, c.executing_ns, c.executed_ns, c.verified_ns, c.audited_ns, c.lifted_ns) < $1
				AND (c.lift_ns IS NULL OR c.lifted_ns IS NOT NULL)
				AND NOT (c.state IN ('succeeded', 'failed', 'unknown') AND c.lifted_ns IS NULL AND c.type = ANY($3))
				AND NOT EXISTS (SELECT FROM incidents i WHERE i.id = c.incident_id
					AND (i.state IN ('open', 'contained') OR i.joinable OR i.last_at >= to_timestamp($1::bigint / 1e9)))
			ORDER BY c.planned_ns LIMIT $2 FOR UPDATE SKIP LOCKED
		), votes AS (DELETE FROM approval_votes WHERE action_id IN (SELECT id FROM old)),
		asked AS (DELETE FROM approvals WHERE action_id IN (SELECT id FROM old)),
		counted AS (DELETE FROM guard_reservations WHERE action_id IN (SELECT id FROM old)),
		effects AS (DELETE FROM guard_effects WHERE action_id IN (SELECT id FROM old))
		DELETE FROM actions WHERE id IN (SELECT id FROM old)`, unixNS(before), undoable)
}

// PruneIncidents removes incidents that people ended, with their histories, if nothing
// happened in them since a time and neither an alert nor an action of them is kept.
func (s *Store) PruneIncidents(ctx context.Context, before time.Time) (int64, error) {
	return s.prune(ctx, "incidents", `WITH old AS (
			SELECT i.id FROM incidents i WHERE i.last_at < $1 AND i.state IN ('resolved', 'false_positive') AND NOT i.joinable
				AND NOT EXISTS (SELECT FROM incident_history h WHERE h.incident_id = i.id AND h.at >= $1)
				AND NOT EXISTS (SELECT FROM alerts l WHERE l.incident_id = i.id)
				AND NOT EXISTS (SELECT FROM actions c WHERE c.incident_id = i.id)
				AND NOT EXISTS (SELECT FROM agent_runs r WHERE r.gap_incident = i.id)
				AND NOT EXISTS (SELECT FROM agents a WHERE a.silent_incident = i.id)
			ORDER BY i.last_at LIMIT $2 FOR UPDATE SKIP LOCKED
		), history AS (DELETE FROM incident_history WHERE incident_id IN (SELECT id FROM old))
		DELETE FROM incidents WHERE id IN (SELECT id FROM old)`, before)
}

// prune runs a statement that removes rows before the first of args, $1, as many as $2.
func (s *Store) prune(ctx context.Context, what, sql string, args ...any) (pruned int64, err error) {
	args = append([]any{args[0], pruneBatch}, args[1:]...)
	for range pruneBatches {
		tag, err := s.pool.Exec(ctx, sql, args...)
		if err != nil {
			return pruned, fmt.Errorf("prune %s: %w", what, err)
		}
		pruned += tag.RowsAffected()
		if tag.RowsAffected() < pruneBatch {
			break
		}
	}
	return pruned, nil
}
