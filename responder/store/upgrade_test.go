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

// unmigrated is an empty database, and what migrates it.
func unmigrated(t *testing.T) (*sql.DB, *goose.Provider) {
	t.Helper()
	db, err := sql.Open("pgx", storetest.Empty(t))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	provider, err := goose.NewProvider(goose.DialectPostgres, db, migrations.FS, goose.WithDisableGlobalRegistry(true))
	require.NoError(t, err)
	return db, provider
}

// says asks for one text.
func says(t *testing.T, db *sql.DB, want, query string) {
	t.Helper()
	var got string
	require.NoError(t, db.QueryRowContext(t.Context(), query).Scan(&got))
	require.Equal(t, want, got, query)
}

// A database with rows of before the delivery's migration: up, down and up again.
func TestUpgradeOfADatabaseWithRows(t *testing.T) {
	db, provider := unmigrated(t)
	const before, delivery = 2, 4
	_, err := provider.UpTo(t.Context(), before)
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
	db, provider := unmigrated(t)
	const before, lift = 4, 5
	_, err := provider.UpTo(t.Context(), lift)
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

// A database with rows in every table that is kept by month from now on: they are all
// there, the chain's hashes still fit, and the way back and forth loses none.
func TestUpgradeToMonths(t *testing.T) {
	db, provider := unmigrated(t)
	const before, months = 5, 8
	_, err := provider.UpTo(t.Context(), before)
	require.NoError(t, err)
	// 3,000 alerts over 20 months, the last of them by a node whose clock is of the year
	// 9999; each with a decision and an action; a chain whose times go back once.
	_, err = db.ExecContext(t.Context(), `
		INSERT INTO incidents (id, cluster, key, title, priority, first_at, last_at) SELECT gen_random_uuid(), 'c', 'k' || n, 't', 2, now(), now() FROM generate_series(1, 30) AS n;
		UPDATE incidents SET joinable = false;
		INSERT INTO alerts (id, incident_id, cluster, node, rule, priority, source, output, binding, recorded, kernel_ns, alert_ns, received_ns, body, fingerprint)
			SELECT gen_random_uuid(), (SELECT id FROM incidents WHERE key = 'k' || (n % 30 + 1)), 'c', 'n', 'r', 2, 's', 'o', 'none', false, CASE n WHEN 3000 THEN 9223372036854775807 ELSE 1 END, 0,
				(extract(epoch FROM now() - n * interval '5 hours') * 1e9)::bigint, '{}', decode(lpad(to_hex(n), 8, '0'), 'hex') FROM generate_series(1, 3000) AS n;
		INSERT INTO decisions (id, alert_id, playbook, revision, mode, state, input, decided_ns, digest) SELECT gen_random_uuid(), id, 'p', 'r1', 'enforce', 'decided', '{}', received_ns + 1, 'x' FROM alerts;
		INSERT INTO actions (id, decision_id, alert_id, cluster, node, type, target, effect_key, playbook, revision, mode, reason, state, planned_ns, expires_ns)
			SELECT gen_random_uuid(), d.id, d.alert_id, 'c', 'n', 'freeze', '{}', d.id::text, 'p', 'r1', 'enforce', 'r', 'succeeded', d.decided_ns, 9 FROM decisions d;
		INSERT INTO guard_effects SELECT id, '{}' FROM actions;
		INSERT INTO audit (cluster, seq, at, kind, actor, result, body, prev, hash)
			SELECT 'c', n, now() - (CASE n WHEN 500 THEN 2500 ELSE 3000 - n END) * interval '5 hours', 'startup', 'system:a', '', convert_to('entry ' || n, 'UTF8'), sha256(int8send(n - 1)), sha256(int8send(n)) FROM generate_series(1, 3000) AS n;
		INSERT INTO audit_heads VALUES ('c', 3000, sha256(int8send(3000)))`)
	require.NoError(t, err)
	is := func(want, query string) { t.Helper(); says(t, db, want, query) }
	for range 2 {
		_, err = provider.UpTo(t.Context(), months)
		require.NoError(t, err)
		is("3000 3000 3000", `SELECT (SELECT count(*) FROM alerts a JOIN decisions d ON d.alert_id = a.id AND d.month = a.month) || ' ' || count(*) || ' ' ||
			(SELECT count(*) FROM guard_effects JOIN actions ON id = action_id) FROM actions c JOIN alerts a ON a.id = c.alert_id JOIN decisions d ON d.id = c.decision_id`)
		is("3000 0", `SELECT count(*) || ' ' || count(*) FILTER (WHERE month < last) FROM (SELECT month, lag(month) OVER (ORDER BY seq) AS last FROM audit) AS a`)
		is("true", `SELECT count(*) BETWEEN 20 AND 25 FROM pg_inherits WHERE inhparent = 'alerts'::regclass`)
		is("0", `SELECT count(*) FROM alerts a WHERE month <> date_trunc('month', to_timestamp(received_ns / 1e9) AT TIME ZONE 'UTC')::date`)
		is("true", `SELECT bool_and(hash = sha256(int8send(seq)) AND convert_from(body, 'UTF8') = 'entry ' || seq) FROM audit`)
		is("true", `SELECT written_ns <= extract(epoch FROM now()) * 1e9 AND written_ns > 0 FROM audit_heads`)
		_, err = provider.DownTo(t.Context(), before)
		require.NoError(t, err)
		is("3000 3000 3000", `SELECT (SELECT count(*) FROM alerts) || ' ' || (SELECT count(*) FROM decisions) || ' ' || count(*) FROM audit`)
	}
}

// A database with actions and a record of before rows said whose readers may see them.
func TestUpgradeToNamespaces(t *testing.T) {
	db, provider := unmigrated(t)
	const before, after = 12, 17
	_, err := provider.UpTo(t.Context(), before)
	require.NoError(t, err)
	// Of 300 actions a third is about the alert's container, a third about its pod, and a
	// third about a pod in another namespace; the record has labels of each.
	_, err = db.ExecContext(t.Context(), `
		INSERT INTO incidents (id, cluster, key, title, priority, first_at, last_at) SELECT gen_random_uuid(), 'c', 'k', 't', 2, now(), now();
		INSERT INTO alerts (id, incident_id, cluster, node, rule, priority, source, output, binding, recorded, kernel_ns, alert_ns, received_ns, body, fingerprint, namespace)
			SELECT gen_random_uuid(), (SELECT id FROM incidents), 'c', 'n', 'r', 2, 's', 'o', 'bound', false, n, 0, (extract(epoch FROM now()) * 1e9)::bigint, '{}', decode(lpad(to_hex(n), 8, '0'), 'hex'), 'shop'
			FROM generate_series(1, 300) AS n;
		INSERT INTO actions (id, decision_id, alert_id, incident_id, cluster, node, type, target, effect_key, playbook, revision, mode, reason, state, planned_ns, expires_ns)
			SELECT gen_random_uuid(), gen_random_uuid(), id, incident_id, 'c', 'n', 'x', CASE kernel_ns % 3 WHEN 0 THEN '{"kind":"container"}'
				WHEN 1 THEN '{"kind":"pod","namespace":"shop"}' ELSE '{"kind":"pod","namespace":"bank"}' END::jsonb, id::text, 'p', 'r1', 'enforce', 'r', 'succeeded', 7, 9 FROM alerts;
		INSERT INTO audit (cluster, seq, at, month, kind, actor, result, body, prev, hash, action_id, labels)
			SELECT 'c', row_number() OVER (), now(), date_trunc('month', now() AT TIME ZONE 'UTC'), 'action', 'system:a', 'planned', 'b', 'p', 'h', id, '{"app":"web"}' FROM actions`)
	require.NoError(t, err)
	is := func(want, query string) { t.Helper(); says(t, db, want, query) }
	for range 2 {
		_, err = provider.UpTo(t.Context(), after)
		require.NoError(t, err)
		is("200 100", `SELECT count(*) FILTER (WHERE namespace = 'shop') || ' ' || count(*) FILTER (WHERE namespace = '' AND target->>'namespace' = 'bank') FROM actions`)
		is("300", `SELECT count(*)::text FROM actions WHERE labels @> '{"app":"web"}'`)
		is("300 300", `SELECT count(*) FILTER (WHERE namespace IS NULL) || ' ' || (SELECT sum(entries) FROM audit_totals) FROM audit`)
		_, err = provider.DownTo(t.Context(), before)
		require.NoError(t, err)
		is("300 300", `SELECT (SELECT count(*) FROM actions) || ' ' || count(*) FROM audit`)
	}
}
