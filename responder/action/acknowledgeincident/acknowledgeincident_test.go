package acknowledgeincident_test

import (
	"os"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"riposte/responder/action"
	"riposte/responder/action/acknowledgeincident"
	"riposte/responder/api/apitest"
	"riposte/responder/incident"
	"riposte/responder/store"
	"riposte/responder/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Run(m)) }

// The action writes one row for its beginning and one for its end, however often it
// is repeated, and the incident's state stays.
func TestAcknowledge(t *testing.T) {
	s := storetest.New(t)
	env := apitest.Start(t, s)
	env.Add(t, 1)
	env.Add(t, 2)
	a := acknowledgeincident.New(incident.Acknowledgements{Store: s})
	r := action.Request{ID: apitest.ActionID(1), Reason: "forty equal alerts\x00", AlertID: apitest.AlertID(1)}
	require.NoError(t, a.Check(r.Target, nil))
	require.ErrorContains(t, a.Check(r.Target, []byte(`{"until": "tomorrow"}`)), "until")
	text, err := a.Preview(t.Context(), r)
	require.NoError(t, err)
	require.Contains(t, text, "would acknowledge the incident of alert "+r.AlertID)

	first, err := a.Execute(t.Context(), r)
	require.NoError(t, err)
	require.Contains(t, first.Note, apitest.IncidentID(1))
	again, err := a.Execute(t.Context(), r)
	require.NoError(t, err)
	require.WithinDuration(t, first.VerifiedAt, again.VerifiedAt, time.Microsecond, "the first one's time, as the database rounds it")
	seen, err := a.Verify(t.Context(), r)
	require.NoError(t, err)
	require.True(t, seen.Equal(again.VerifiedAt))
	for range 2 {
		_, err = a.Undo(t.Context(), r)
		require.NoError(t, err)
	}

	rows, err := s.Pool().Query(t.Context(), "SELECT from_state || ' ' || to_state || ' ' || reason || ' by ' || actor FROM incident_history ORDER BY id")
	require.NoError(t, err)
	defer rows.Close()
	var got []string
	for rows.Next() {
		var line string
		require.NoError(t, rows.Scan(&line))
		got = append(got, line)
	}
	require.NoError(t, rows.Err())
	var by string
	require.NoError(t, s.Pool().QueryRow(t.Context(), "SELECT 'playbook:' || playbook || '@' || revision FROM actions WHERE id = $1", r.ID).Scan(&by))
	require.Equal(t, []string{
		"open open acknowledged by action " + r.ID + ": forty equal alerts\ufffd by " + by,
		"open open the acknowledgement by action " + r.ID + " is over by " + by,
	}, got)

	_, err = a.Execute(t.Context(), action.Request{ID: uuid.NewString()})
	require.ErrorIs(t, err, store.ErrNotFound)
}
