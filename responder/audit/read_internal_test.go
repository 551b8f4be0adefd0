package audit

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"riposte/responder/store/storetest"
)

// A record that nobody has analyzed yet would be sorted, on disk, before its first row came.
func TestRowsAreReadAlongTheKey(t *testing.T) {
	tx, err := storetest.New(t).Pool().Begin(t.Context())
	require.NoError(t, err)
	defer tx.Rollback(t.Context()) //nolint:errcheck // it only reads
	plan := func() string {
		rows, err := tx.Query(t.Context(), "EXPLAIN "+selectRows+rowOrder)
		require.NoError(t, err)
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		return strings.Join(lines, "\n")
	}
	require.Contains(t, plan(), "Sort  (cost")
	_, err = tx.Exec(t.Context(), inOrder)
	require.NoError(t, err)
	require.NotContains(t, plan(), "Sort  (cost")
	require.Contains(t, plan(), "pkey")
}
