package store_test

import (
	"database/sql"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	"github.com/pressly/goose/v3"
	"github.com/stretchr/testify/require"

	"riposte/migrations"
	"riposte/responder/store/storetest"
)

// A database with rows of before the delivery's migration: up, down and up again.
func TestUpgradeOfADatabaseWithRows(t *testing.T) {
	db, err := sql.Open("pgx", storetest.Empty(t))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	provider, err := goose.NewProvider(goose.DialectPostgres, db, migrations.FS, goose.WithDisableGlobalRegistry(true))
	require.NoError(t, err)
	const before, delivery = 2, 4
	_, err = provider.UpTo(t.Context(), before)
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), `
		INSERT INTO incidents (id, cluster, key, state, title, priority, first_at, last_at) VALUES
			('01950000-0000-7000-8000-b00000000001', 'c', 'k', 'closed', 't', 2, now(), now()),
			('01950000-0000-7000-8000-b00000000002', 'c', 'k', 'open', 't', 2, now(), now());
		INSERT INTO alerts (id, incident_id, cluster, node, rule, priority, source, output, binding, recorded, kernel_ns, alert_ns, received_ns, body)
			SELECT gen_random_uuid(), '01950000-0000-7000-8000-b00000000002', 'c', 'n', 'r', 2, 's', 'o', 'none', false, 0, 0, 7, '{}' FROM generate_series(1, 2);
		INSERT INTO inbox SELECT 'c', 'n', '0b0c7a2e-1d5f-4a52-9a3c-7d8e9f001122', n, gen_random_uuid(), now() FROM generate_series(5, 9) AS n`)
	require.NoError(t, err)
	texts := func(query string) (all []string) {
		t.Helper()
		rows, err := db.QueryContext(t.Context(), query)
		require.NoError(t, err)
		defer rows.Close()
		for rows.Next() {
			var s string
			require.NoError(t, rows.Scan(&s))
			all = append(all, s)
		}
		require.NoError(t, rows.Err())
		return all
	}
	for range 2 {
		_, err = provider.UpTo(t.Context(), delivery)
		require.NoError(t, err)
		require.Equal(t, []string{"resolved false", "open true"}, texts("SELECT state || ' ' || joinable FROM incidents ORDER BY id"))
		require.Equal(t, []string{"1", "1"}, texts("SELECT count::text FROM alerts"))
		require.Equal(t, []string{"9 9"}, texts("SELECT complete || ' ' || highest FROM agent_runs"), "what was pruned long ago is no gap")
		_, err = provider.DownTo(t.Context(), before)
		require.NoError(t, err)
		require.Equal(t, []string{"closed", "open"}, texts("SELECT state FROM incidents ORDER BY id"))
	}
}

// A database in which an effect was lifted twice and caused again: down and up again.
func TestDowngradeOfLiftedEffects(t *testing.T) {
	db, err := sql.Open("pgx", storetest.Empty(t))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	provider, err := goose.NewProvider(goose.DialectPostgres, db, migrations.FS, goose.WithDisableGlobalRegistry(true))
	require.NoError(t, err)
	const before, lift = 4, 5
	_, err = provider.UpTo(t.Context(), lift)
	require.NoError(t, err)
	const id = `'01950000-0000-7000-8000-b00000000001'`
	_, err = db.ExecContext(t.Context(), `
		INSERT INTO incidents (id, cluster, key, title, priority, first_at, last_at) VALUES (`+id+`, 'c', 'k', 't', 2, now(), now());
		INSERT INTO alerts (id, incident_id, cluster, node, rule, priority, source, output, binding, recorded, kernel_ns, alert_ns, received_ns, body)
			VALUES (`+id+`, `+id+`, 'c', 'n', 'r', 2, 's', 'o', 'none', false, 0, 0, 7, '{}');
		INSERT INTO decisions (id, alert_id, playbook, revision, mode, state, input, decided_ns) VALUES (`+id+`, `+id+`, 'p', 'r1', 'enforce', 'decided', '{}', 4);
		INSERT INTO actions (id, decision_id, alert_id, cluster, node, type, target, effect_key, playbook, revision, mode, reason, state, planned_ns, expires_ns, lifted_ns)
			SELECT gen_random_uuid(), `+id+`, `+id+`, 'c', 'n', 'freeze', '{}', 'freeze x', 'p', 'r1', 'enforce', 'r', 'succeeded', n, 9, nullif(n, 3)
			FROM generate_series(1, 3) AS n`)
	require.NoError(t, err)
	_, err = provider.DownTo(t.Context(), before)
	require.NoError(t, err)
	var planned int
	require.NoError(t, db.QueryRowContext(t.Context(), `SELECT planned_ns FROM actions WHERE effect_key = 'freeze x'`).Scan(&planned))
	require.Equal(t, 3, planned, "the one that is not lifted holds the effect")
	_, err = provider.UpTo(t.Context(), lift)
	require.NoError(t, err)
}
