package execute

import (
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"riposte/responder/store/storetest"
)

// River's own writes wait for no disk; everything else of the executor does.
func TestJobsDoNotWaitForTheDisk(t *testing.T) {
	c := storetest.New(t).Pool().Config()
	c.ConnConfig.RuntimeParams["synchronous_commit"] = "on"
	main, err := pgxpool.NewWithConfig(t.Context(), c)
	require.NoError(t, err)
	defer main.Close()
	jobs, err := jobPool(main)
	require.NoError(t, err)
	defer jobs.Close()
	var is string
	require.NoError(t, jobs.QueryRow(t.Context(), "SHOW synchronous_commit").Scan(&is))
	require.Equal(t, "off", is)
	require.NoError(t, main.QueryRow(t.Context(), "SHOW synchronous_commit").Scan(&is))
	require.Equal(t, "on", is)
}
