package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/responder/store/storetest"
)

func TestFigures(t *testing.T) {
	s := storetest.New(t)
	now := time.Now()
	f, err := s.Figures(t.Context(), now, now.Add(-time.Minute))
	require.NoError(t, err)
	require.Equal(t, map[string]uint64{"planned": 0, "waiting": 0, "executing": 0}, f.Actions)
	require.True(t, f.OldestPlanned.IsZero())
	require.Zero(t, f.AuditEntries)

	sql := func(sql string, args ...any) {
		t.Helper()
		_, err := s.Pool().Exec(t.Context(), sql, args...)
		require.NoError(t, err)
	}
	sql(`INSERT INTO incidents (id, cluster, key, title, priority, state, joinable, first_at, last_at)
		SELECT gen_random_uuid(), 'c', i::text, 't', 2, (ARRAY['open', 'open', 'contained', 'resolved', 'false_positive'])[i], false, now(), now() FROM generate_series(1, 5) i`)
	sql(`INSERT INTO alerts (id, incident_id, cluster, node, rule, priority, source, output, binding, recorded, kernel_ns, alert_ns, received_ns, body)
		SELECT gen_random_uuid(), id, 'c', 'n', 'r', 2, 's', 'o', 'none', false, 1, 1, 1, '{}' FROM incidents LIMIT 1`)
	sql(`INSERT INTO decisions (id, alert_id, playbook, revision, mode, state, input, decided_ns) SELECT gen_random_uuid(), id, 'p', 'r', 'enforce', 'decided', '{}', 1 FROM alerts`)
	sql(`INSERT INTO actions (id, decision_id, alert_id, cluster, node, type, target, effect_key, playbook, revision, mode, reason, state, planned_ns, expires_ns, lift_ns, lifted_ns)
		SELECT gen_random_uuid(), d.id, d.alert_id, 'c', 'n', 't', '{}', x.key, 'p', 'r', 'enforce', '', x.state, x.planned, 1, x.lift, x.lifted FROM decisions d, (VALUES
			('a', 'planned', 2000, NULL, NULL), ('b', 'planned', 1000, NULL, NULL), ('c', 'waiting', 5, NULL, NULL), ('d', 'executing', 5, NULL, NULL),
			('e', 'failed', 5, NULL, NULL), ('f', 'succeeded', 5, $1::bigint, NULL), ('g', 'succeeded', 5, $2::bigint, NULL), ('h', 'succeeded', 5, $2::bigint, 7)
		) x (key, state, planned, lift, lifted)`, now.Add(time.Hour).UnixNano(), now.Add(-time.Hour).UnixNano())
	sql(`INSERT INTO agents VALUES ('c', 'n1', gen_random_uuid(), '{}', $1), ('c', 'n2', gen_random_uuid(), '{}', $2), ('c', 'n3', gen_random_uuid(), '{}', $2)`, now, now.Add(-time.Hour))
	sql(`INSERT INTO audit_heads VALUES ('c', 7, ''), ('d', 5, '')`)
	sql(`INSERT INTO dead_letters (id, state, subject, message_id, cluster, node, reason, error, body, received_at, died_at)
		VALUES (gen_random_uuid(), 'dead', '', '', '', '', '', '', '', now(), now()), (gen_random_uuid(), 'redriven', '', '', '', '', '', '', '', now(), now())`)
	sql(`INSERT INTO river.river_job (kind, queue, state, max_attempts, args, finalized_at) VALUES ('action', 'contain', 'available', 1, '{}', NULL), ('action', 'contain', 'completed', 1, '{}', now())`)

	f, err = s.Figures(t.Context(), now, now.Add(-time.Minute))
	require.NoError(t, err)
	require.Equal(t, map[string]uint64{"planned": 2, "waiting": 1, "executing": 1}, f.Actions)
	require.Equal(t, int64(1000), f.OldestPlanned.UnixNano())
	require.Equal(t, map[string]uint64{"open": 2, "contained": 1}, f.Incidents)
	require.Equal(t, [2]uint64{2, 1}, [2]uint64{f.ToLift, f.LiftsLate})
	require.Equal(t, [2]uint64{1, 2}, [2]uint64{f.AgentsHeard, f.AgentsSilent})
	require.Equal(t, uint64(12), f.AuditEntries)
	require.Equal(t, uint64(1), f.DeadLetters)
	require.Equal(t, map[string]map[string]uint64{"contain": {"available": 1}}, f.Jobs)
	p := s.PoolStats()
	require.Equal(t, int32(16), p.Max)
	require.Positive(t, p.Acquired)
}
