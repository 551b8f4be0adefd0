package store_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/responder/store"
	"riposte/responder/store/storetest"
)

func TestInTx(t *testing.T) {
	s := storetest.New(t)
	insert := func(node string, end func() error) error {
		return s.InTx(t.Context(), func(tx store.Tx) error {
			_, err := tx.Exec(t.Context(), `INSERT INTO agents VALUES ('c', $1, gen_random_uuid(), '{}', now())`, node)
			require.NoError(t, err)
			return end()
		})
	}
	no := errors.New("no")
	require.NoError(t, insert("kept", func() error { return nil }))
	require.ErrorIs(t, insert("refused", func() error { return no }), no)
	require.Panics(t, func() { _ = insert("panicked", func() error { panic("oh") }) })

	rows, err := s.Pool().Query(t.Context(), "SELECT node FROM agents")
	require.NoError(t, err)
	defer rows.Close()
	var nodes []string
	for rows.Next() {
		var n string
		require.NoError(t, rows.Scan(&n))
		nodes = append(nodes, n)
	}
	require.Equal(t, []string{"kept"}, nodes)
}

func TestOpenNamesTheTrouble(t *testing.T) {
	_, err := store.Open(t.Context(), "postgres://%zz")
	require.ErrorContains(t, err, "database URL")
	_, err = store.Open(t.Context(), "postgres:///x?host="+t.TempDir()+"&user=x")
	require.ErrorContains(t, err, "connect to the database")
	require.ErrorContains(t, store.Migrate(t.Context(), "postgres://%zz"), "database URL")
}

func TestPoolSize(t *testing.T) {
	url := storetest.URL(t)
	for suffix, want := range map[string]int32{"": 16, "&pool_max_conns=3": 3} {
		s, err := store.Open(t.Context(), url+suffix)
		require.NoError(t, err)
		require.Equal(t, want, s.Pool().Config().MaxConns)
		s.Close()
	}
}

// Replicas start together: each migrates, once it happens, all succeed.
func TestMigrateTogether(t *testing.T) {
	url := storetest.Empty(t)
	var group sync.WaitGroup
	errs := make([]error, 3)
	for i := range errs {
		group.Go(func() { errs[i] = store.Migrate(context.Background(), url+"&pool_max_conns=2") })
	}
	group.Wait()
	require.NoError(t, errors.Join(errs...))

	s, err := store.Open(t.Context(), url)
	require.NoError(t, err)
	defer s.Close()
	var jobs int
	require.NoError(t, s.Pool().QueryRow(t.Context(), "SELECT count(*) FROM river.river_job").Scan(&jobs))
	require.NoError(t, s.Pool().QueryRow(t.Context(), "SELECT count(*) FROM alerts").Scan(&jobs))
}

func TestMigrateRefusesANewerSchema(t *testing.T) {
	url := storetest.URL(t)
	s, err := store.Open(t.Context(), url)
	require.NoError(t, err)
	defer s.Close()
	_, err = s.Pool().Exec(t.Context(), "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, true)")
	require.NoError(t, err)
	require.ErrorContains(t, store.Migrate(t.Context(), url), "run the newer version")
}
