package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"riposte/deploy/standalone/postgres"
	"riposte/responder/store"
	"riposte/responder/store/storetest"
)

func startIn(t *testing.T, dir string) *postgres.Server {
	t.Helper()
	s, err := postgres.Start(t.Context(), postgres.Options{Dir: dir, Throwaway: true})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Stop() })
	return s
}

// It is waited for until it takes connections, and no longer: what it refuses then is an
// error at once.
func TestAwaitADatabaseThatStartsLate(t *testing.T) {
	storetest.Empty(t) // says what to do where there is no PostgreSQL
	parent, err := os.MkdirTemp("", "riposte-late-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(parent) })
	require.NoError(t, os.Chmod(parent, 0o755)) // the server is another user
	dir := filepath.Join(parent, "postgres")
	early := startIn(t, dir)
	url := early.URL()
	require.NoError(t, early.Stop())

	reasons, done := make(chan error, 100), make(chan error, 1)
	go func() {
		done <- store.Await(t.Context(), url, time.Hour, func(reason error, left time.Duration) {
			if left <= 0 || left > time.Hour {
				reason = errors.Join(reason, errors.New("the time that is left: "+left.String()))
			}
			reasons <- reason
		})
	}()
	require.ErrorContains(t, <-reasons, "connect to the database")
	startIn(t, dir)
	require.NoError(t, <-done)
	require.NoError(t, store.Migrate(t.Context(), url))

	admin, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = admin.Close(t.Context()) })
	_, err = admin.Exec(t.Context(), "CREATE ROLE locked LOGIN PASSWORD 'right'")
	require.NoError(t, err)
	hba, err := os.OpenFile(filepath.Join(dir, "data", "pg_hba.conf"), os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = hba.WriteString("local all locked scram-sha-256\n")
	require.NoError(t, errors.Join(err, hba.Close()))
	_, err = admin.Exec(t.Context(), "SELECT pg_reload_conf()")
	require.NoError(t, err)
	locked := strings.Replace(url, "user=riposte", "user=locked", 1)
	require.Eventually(t, func() bool {
		return store.Await(t.Context(), locked+"&password=right", 0, nil) == nil
	}, time.Minute, 20*time.Millisecond, "the server reads its file again")

	for what, refused := range map[string]struct{ url, code string }{
		"a wrong password":    {locked + "&password=wrong", "28P01"},
		"an unknown database": {strings.Replace(url, "/riposte?", "/none?", 1), "3D000"},
		"an unknown role":     {strings.Replace(url, "user=riposte", "user=nobody", 1), "28000"},
	} {
		err := store.Await(t.Context(), refused.url, time.Hour, func(error, time.Duration) { t.Error("waits in spite of", what) })
		answer := (*pgconn.PgError)(nil)
		require.ErrorAs(t, err, &answer, what)
		require.Equal(t, refused.code, answer.Code, what)
	}
}

func TestAwaitEndsAtItsBoundWithTheReason(t *testing.T) {
	t.Parallel()
	url := "postgres://nobody@127.0.0.1:1/none?sslmode=disable"
	told := 0
	err := store.Await(t.Context(), url, time.Millisecond, func(error, time.Duration) { told++ })
	require.ErrorContains(t, err, "the database has not come up within 1ms: connect to the database")
	require.ErrorContains(t, err, "refused")
	require.LessOrEqual(t, told, 1)
	err = store.Await(t.Context(), url, 0, nil)
	require.ErrorContains(t, err, "refused")
	require.NotContains(t, err.Error(), "has not come up", "nobody has waited")
}
