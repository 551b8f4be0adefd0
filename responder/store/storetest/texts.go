package storetest

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"riposte/responder/store"
)

// Texts are the rows of a query for one text, nil if there are none.
func Texts(t testing.TB, s *store.Store, sql string, args ...any) []string {
	t.Helper()
	rows, err := s.Pool().Query(t.Context(), sql, args...)
	require.NoError(t, err)
	all, err := pgx.AppendRows([]string(nil), rows, pgx.RowTo[string])
	require.NoError(t, err)
	return all
}
