package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/responder/store"
)

// Number i of each was made i seconds after base, long ago. What may still change stays,
// and so does what something that stays needs.
func TestPruneActionsAndIncidents(t *testing.T) {
	keeps := map[string]string{
		"planned":                     `UPDATE actions SET state = 'planned' WHERE id = $1`,
		"waiting":                     `UPDATE actions SET state = 'waiting' WHERE id = $1`,
		"executing":                   `UPDATE actions SET state = 'executing' WHERE id = $1`,
		"with a lease":                `UPDATE actions SET lease_holder = 'x' WHERE id = $1`,
		"to be lifted":                `UPDATE actions SET lift_ns = 1 WHERE id = $1`,
		"undoable":                    `UPDATE actions SET type = 'isolate_pod' WHERE id = $1`,
		"undoable, failed":            `UPDATE actions SET type = 'isolate_pod', state = 'failed' WHERE id = $1`,
		"lifted since":                `UPDATE actions SET type = 'isolate_pod', lifted_ns = extract(epoch FROM now())::bigint * 1000000000 WHERE id = $1`,
		"audited since":               `UPDATE actions SET audited_ns = extract(epoch FROM now())::bigint * 1000000000 WHERE id = $1`,
		"of an open incident":         `UPDATE incidents SET state = 'open' WHERE id = (SELECT incident_id FROM actions WHERE id = $1)`,
		"of a contained incident":     `UPDATE incidents SET state = 'contained' WHERE id = (SELECT incident_id FROM actions WHERE id = $1)`,
		"of one that alerts may join": `UPDATE incidents SET joinable = true WHERE id = (SELECT incident_id FROM actions WHERE id = $1)`,
		"of a late alert":             `UPDATE incidents SET last_at = now() WHERE id = (SELECT incident_id FROM actions WHERE id = $1)`,
	}
	goes := map[string]string{
		"succeeded":          `SELECT $1::text`,
		"observed, undoable": `UPDATE actions SET type = 'isolate_pod', state = 'observed' WHERE id = $1`,
		"lifted long ago":    `UPDATE actions SET type = 'isolate_pod', lift_ns = 1, lifted_ns = 2 WHERE id = $1`,
		"of no incident":     `UPDATE actions SET incident_id = NULL WHERE id = $1`,
	}
	s := seeded(t, len(keeps)+len(goes)+1)
	exec := func(sql string, args ...any) {
		t.Helper()
		_, err := s.Pool().Exec(t.Context(), sql, args...)
		require.NoError(t, err, sql)
	}
	exec(`UPDATE actions SET state = 'succeeded'`)
	exec(`UPDATE incidents SET state = 'resolved', joinable = false, last_at = $1`, base)
	var kept []string
	i := 0
	for name, sql := range keeps {
		exec(sql, actionID(i))
		exec(`UPDATE actions SET note = $2 WHERE id = $1`, actionID(i), name)
		kept = append(kept, name)
		i++
	}
	for _, sql := range goes {
		exec(sql, actionID(i))
		exec(`INSERT INTO guard_effects VALUES ($1, '{}')`, actionID(i))
		exec(`INSERT INTO approvals (action_id, rules, reason, needed) VALUES ($1, '{}', '', 1)`, actionID(i))
		exec(`INSERT INTO approval_votes (action_id, actor, agrees, comment) VALUES ($1, 'user:jane', true, '')`, actionID(i))
		exec(`INSERT INTO guard_reservations (action_id, scope, cluster, name, subject, type, kill) VALUES ($1, 'cluster', 'c', '', 's', 't', true)`, actionID(i))
		i++
	}
	// The last one is not old enough.
	before := base.Add(time.Duration(i) * time.Second)
	exec(`UPDATE actions SET note = 'young' WHERE id = $1`, actionID(i))
	kept = append(kept, "young")

	undoable := []string{"isolate_pod"}
	pruned, err := s.PruneActions(t.Context(), before, undoable)
	require.NoError(t, err)
	require.EqualValues(t, len(goes), pruned)
	rows, err := s.Pool().Query(t.Context(), "SELECT note FROM actions")
	require.NoError(t, err)
	var left []string
	for rows.Next() {
		var note string
		require.NoError(t, rows.Scan(&note))
		left = append(left, note)
	}
	require.NoError(t, rows.Err())
	require.ElementsMatch(t, kept, left)
	pruned, err = s.PruneActions(t.Context(), before, undoable)
	require.NoError(t, err)
	require.Zero(t, pruned)
	var entries int
	require.NoError(t, s.Pool().QueryRow(t.Context(), "SELECT count(*) FROM audit").Scan(&entries))
	require.Equal(t, i+1, entries, "the record keeps everything")

	// An incident stays for as long as an alert or an action of it.
	pruned, err = s.PruneIncidents(t.Context(), time.Now())
	require.NoError(t, err)
	require.Zero(t, pruned)
	exec(`INSERT INTO incident_history (incident_id, at, from_state, to_state, actor, reason) SELECT id, $1, '', 'open', 'system:a', '' FROM incidents`, base)
	exec(`DELETE FROM alerts`)
	gone := goneIncidents(t, s)
	require.Equal(t, len(goes), gone, "those whose action has gone")
	exec(`UPDATE agents SET silent_incident = NULL`)
	exec(`INSERT INTO agents (cluster, node, boot_id, body, seen_at, silent_incident)
		SELECT 'c', 'n', gen_random_uuid(), '{}', now(), id FROM incidents i WHERE state = 'resolved' AND last_at = $1 AND NOT joinable
			AND NOT EXISTS (SELECT FROM actions WHERE incident_id = i.id) LIMIT 1`, base)
	exec(`INSERT INTO incident_history (incident_id, at, from_state, to_state, actor, reason)
		SELECT id, now(), '', 'resolved', 'user:jane', '' FROM incidents i WHERE NOT EXISTS (SELECT FROM actions WHERE incident_id = i.id)
			AND id NOT IN (SELECT silent_incident FROM agents) LIMIT 1`)
	pruned, err = s.PruneIncidents(t.Context(), time.Now().Add(-time.Hour))
	require.NoError(t, err)
	require.EqualValues(t, gone-2, pruned, "one is an agent's silence, one was resolved just now")
}

// goneIncidents counts the incidents that nothing refers to.
func goneIncidents(t *testing.T, s *store.Store) (n int) {
	t.Helper()
	require.NoError(t, s.Pool().QueryRow(t.Context(), `SELECT count(*) FROM incidents i WHERE NOT EXISTS (SELECT FROM actions WHERE incident_id = i.id)`).Scan(&n))
	return n
}
