package server_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/responder/api/apitest"
	"riposte/responder/store/storetest"
)

func TestLift(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	e.Add(t, 0)
	e.Add(t, 1)
	jane := clientOf(t, e, apitest.JaneToken)
	_, err := e.Store.Pool().Exec(t.Context(), `UPDATE actions SET type = 'freeze_container', before_image = '{"a":1}', evidence = '[2]' WHERE id = $1`, apitest.ActionID(0))
	require.NoError(t, err)

	a, err := jane.Lift(t.Context(), apitest.ActionID(0)[24:], "false alarm")
	require.NoError(t, err)
	require.NotNil(t, a.LiftAt)
	require.Nil(t, a.LiftedAt)
	require.Equal(t, "user:jane", a.LiftBy)
	require.Equal(t, "false alarm", a.LiftReason)
	require.Empty(t, a.Before, "an action's images are shown when it alone is asked for")
	var queue string
	require.NoError(t, e.Store.Pool().QueryRow(t.Context(), `SELECT queue FROM river.river_job WHERE kind = 'lift' AND args->>'action' = $1`, apitest.ActionID(0)).Scan(&queue))
	require.Equal(t, "lift", queue)
	var entry string
	require.NoError(t, e.Store.Pool().QueryRow(t.Context(), `SELECT actor FROM audit WHERE kind = 'action.lift' AND action_id = $1`, apitest.ActionID(0)).Scan(&entry))
	require.Equal(t, "user:jane", entry)

	a, err = jane.Action(t.Context(), apitest.ActionID(0))
	require.NoError(t, err)
	require.JSONEq(t, `{"a":1}`, string(a.Before))
	require.JSONEq(t, `[2]`, string(a.Evidence))
	require.Empty(t, a.After)

	_, err = jane.Lift(t.Context(), apitest.ActionID(0), "again")
	requireCode(t, err, http.StatusConflict, "not_liftable")
	_, err = jane.Lift(t.Context(), apitest.ActionID(1), "a kill")
	requireCode(t, err, http.StatusConflict, "not_liftable")
	_, err = jane.Lift(t.Context(), apitest.ActionID(0), " ")
	requireCode(t, err, http.StatusBadRequest, "bad_body")
	_, err = jane.Lift(t.Context(), "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b", "nobody")
	requireCode(t, err, http.StatusNotFound, "not_found")
}
