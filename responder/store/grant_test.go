package store_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"riposte/responder/audit"
	"riposte/responder/store"
	"riposte/responder/store/storetest"
)

// The owner need not be a superuser: one who owns the database and is a member of the
// application's role can do it all, and again at the next version.
func TestAnOrdinaryOwnerMigratesAndGrants(t *testing.T) {
	url := storetest.Empty(t)
	admin, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = admin.Close(t.Context()) })
	exec := func(sql string) {
		t.Helper()
		_, err := admin.Exec(t.Context(), sql)
		require.NoError(t, err, sql)
	}
	exec(`CREATE ROLE ordinary`)
	exec(`GRANT riposte_app TO ordinary`)
	exec(`DO $$ BEGIN EXECUTE format('ALTER DATABASE %I OWNER TO ordinary', current_database()); END $$`)
	exec(`GRANT CREATE ON SCHEMA public TO ordinary`) // PostgreSQL 14: the schema is the superuser's
	owner := url + "&options=-c%20role%3Dordinary"

	require.ErrorContains(t, store.Migrate(t.Context(), storetest.App(url)), "riposte migrate", "before that the application can do nothing")
	for range 2 {
		require.NoError(t, store.Migrate(t.Context(), owner))
		require.NoError(t, store.Grant(t.Context(), owner, "riposte_app"))
	}
	require.NoError(t, store.Migrate(t.Context(), storetest.App(url)), "there is nothing left to do")
	var tables int
	require.NoError(t, admin.QueryRow(t.Context(), `SELECT count(*) FROM pg_class c WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND relowner <> 'ordinary'::regrole`).Scan(&tables))
	require.Zero(t, tables)

	s, err := store.Open(t.Context(), storetest.App(url))
	require.NoError(t, err)
	t.Cleanup(s.Close)
	require.NoError(t, s.MakeMonths(t.Context()))
	require.NoError(t, s.InTx(t.Context(), func(tx store.Tx) error {
		return audit.Append(t.Context(), tx, audit.Entry{Cluster: "c", Kind: audit.Startup, Actor: "system:a", Note: "x"})
	}))
	_, err = s.RetireAlerts(t.Context(), time.Now().AddDate(0, 0, -90))
	require.NoError(t, err)

	for role, want := range map[string]string{"nobody_has_it": "there is no role", "Bad; DROP": "is not a name", "ordinary": "needs a role of its own"} {
		require.ErrorContains(t, store.Grant(t.Context(), owner, role), want)
	}
}

func TestRetiredMonthsAreDroppedByTheOwner(t *testing.T) {
	url := storetest.URL(t)
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	_, err = conn.Exec(t.Context(), `SELECT record_month('audit', '2020-01-01'), record_month('audit', '2020-02-01')`)
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), `SELECT record_retire('audit', '2020-02-15')`)
	require.NoError(t, err)
	gone, err := store.DropRetired(t.Context(), url)
	require.NoError(t, err)
	require.Equal(t, []string{"audit_2020_01"}, gone)
	gone, err = store.DropRetired(t.Context(), url)
	require.NoError(t, err)
	require.Empty(t, gone)
}
