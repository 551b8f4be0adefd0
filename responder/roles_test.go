package responder_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"riposte/responder"
	"riposte/responder/api"
	"riposte/responder/api/client"
	"riposte/responder/store/storetest"
)

// refusedAsApplication is what a responder that somebody has taken over would try. Each
// is refused by the database itself, with "insufficient privilege", whatever triggers say.
var refusedAsApplication = []string{
	`UPDATE audit SET result = 'failed'`,
	`UPDATE audit SET note = NULL, note_salt = NULL`,
	`DELETE FROM audit`,
	`TRUNCATE audit`,
	`DROP TABLE audit`,
	`DROP TRIGGER audit_no_change ON audit`,
	`ALTER TABLE audit DISABLE TRIGGER ALL`,
	`ALTER TABLE audit OWNER TO riposte_app`,
	`CREATE OR REPLACE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'`,
	`SET session_replication_role = replica`,
	`DELETE FROM audit_heads`,
	`UPDATE audit_checkpoints SET seq = 0`,
	`DELETE FROM audit_checkpoints`,
	`TRUNCATE audit_checkpoints`,
	`DROP SCHEMA riposte_retired`,
	`CREATE TABLE mine (x int)`,
	`UPDATE goose_db_version SET is_applied = false`,
	`SELECT record_month('audit', '9999-01-01')`,
	`DROP TABLE alerts`,
}

// The responder runs as a role that owns none of its tables: everything works, and the
// record is out of its reach.
func TestTheApplicationsRole(t *testing.T) {
	r := newRig(t)
	owner := r.options.DatabaseURL
	r.options.DatabaseURL, r.options.MigrateURL = storetest.App(owner), owner
	one, c := r.run(t)
	r.obey(t)
	r.send(t, critical(1, "c1"))
	require.Eventually(t, func() bool {
		p, err := c.Actions(t.Context(), client.ActionFilter{Container: "c1"})
		require.NoError(t, err)
		return len(p.Items) == 1 && p.Items[0].State == "succeeded" && p.Items[0].VerifiedAt != nil
	}, patience, patience/1000, "the action was not done and verified")
	_, err := c.SetMode(t.Context(), killer, api.Mode{Mode: "observe", Reason: "a look first"})
	require.NoError(t, err)
	entries, err := c.Audit(t.Context(), client.AuditFilter{Kind: "playbook.mode"})
	require.NoError(t, err)
	require.Len(t, entries.Items, 1)
	require.Equal(t, "a look first", entries.Items[0].Reason)
	require.NoError(t, c.Redact(t.Context(), api.Redaction{Cluster: cluster, Seq: entries.Items[0].Seq, Field: "reason", Reason: "a name was in it"}))

	conn, err := pgx.Connect(t.Context(), r.options.DatabaseURL)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	var month string
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT tableoid::regclass::text FROM audit LIMIT 1").Scan(&month))
	for _, sql := range append([]string{"DELETE FROM " + month, "UPDATE " + month + " SET result = ''", "DROP TABLE " + month}, refusedAsApplication...) {
		_, err := conn.Exec(t.Context(), sql)
		var refused *pgconn.PgError
		require.ErrorAs(t, err, &refused, sql)
		require.Equal(t, "42501", refused.Code, "%s: %s", sql, refused.Message)
	}
	_, err = conn.Exec(t.Context(), "SELECT record_retire('audit', now()::date)")
	require.ErrorContains(t, err, "of the last 31 days are kept")

	v, err := c.Verify(t.Context())
	require.NoError(t, err)
	require.True(t, v.OK, "%+v", v)
	stop(t, one)

	// Without the owner's connection the schema has to be there, and is not made.
	r.options.MigrateURL, r.options.DatabaseURL = "", storetest.App(storetest.Empty(t))
	other, err := responder.New(r.options)
	require.NoError(t, err)
	require.ErrorContains(t, other.Start(t.Context()), "riposte migrate")
}
