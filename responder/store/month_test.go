package store_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"riposte/responder/store"
	"riposte/responder/store/storetest"
)

// idAt is a UUIDv7 of a time.
func idAt(at time.Time) string {
	u := uuid.Must(uuid.NewV7())
	for i, ms := 5, at.UnixMilli(); i >= 0; i, ms = i-1, ms>>8 {
		u[i] = byte(ms)
	}
	return u.String()
}

func TestRecordID(t *testing.T) {
	now := time.Now()
	for name, id := range map[string]string{
		"now": idAt(now), "a week in the spool": idAt(now.Add(-7 * 24 * time.Hour)), "a clock that is a little fast": idAt(now.Add(10 * time.Minute)),
	} {
		require.Equal(t, id, store.RecordID(id, now), name)
	}
	for name, id := range map[string]string{
		"the year 9999": idAt(time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)), "1970": idAt(time.Unix(1, 0)), "another version": uuid.NewString(), "no id": "x",
		"a month ago": idAt(now.AddDate(0, -1, 0)), "tomorrow": idAt(now.Add(24 * time.Hour)),
	} {
		got := store.RecordID(id, now)
		require.NotEqual(t, id, got, name)
		require.EqualValues(t, 7, uuid.MustParse(got).Version(), name)
	}
}

// Equal alerts of two months are two rows, and whole months go.
func TestMonths(t *testing.T) {
	s := storetest.New(t)
	require.NoError(t, s.MakeMonths(t.Context()))
	count := func(of string) (n int) {
		require.NoError(t, s.Pool().QueryRow(t.Context(), "SELECT count(*) FROM "+of).Scan(&n))
		return n
	}
	month := store.Month(time.Now())
	incident := uuid.NewString()
	add := func(at time.Time) (alert string) {
		require.NoError(t, s.InTx(t.Context(), func(tx store.Tx) error {
			ids, err := tx.AddAlerts(t.Context(), []store.NewAlert{{
				ID: idAt(at), IncidentID: incident, Cluster: "c", Node: "n", Rule: "r", Binding: "none", Body: "{}", ReceivedNS: at.UnixNano(), Fingerprint: []byte("f"), Count: 1,
			}})
			if err != nil {
				return err
			}
			alert = ids[0]
			_, err = tx.AddDecisions(t.Context(), []store.NewDecision{{ID: uuid.NewString(), AlertID: alert, Playbook: "p", State: "decided", Input: "{}", Digest: []byte("d"), Count: 1}})
			return err
		}))
		return alert
	}
	first, last := month.Add(-2*time.Hour), month.Add(2*time.Hour)
	require.Equal(t, add(first), add(first.Add(time.Hour)))
	require.NotEqual(t, add(first), add(last))
	require.Equal(t, 2, count("alerts WHERE count IN (1, 3)"))
	require.Equal(t, 2, count("decisions d JOIN alerts a ON a.id = d.alert_id AND a.month = d.month"))

	_, err := s.RetireAlerts(t.Context(), time.Now())
	require.ErrorContains(t, err, "of the last 8 days are kept")
	// A year ago there was an alert too.
	old := month.AddDate(-1, 0, 0)
	for _, table := range []string{"alerts", "decisions"} {
		_, err := s.Pool().Exec(t.Context(), "SELECT record_month($1, $2::date)", table, old)
		require.NoError(t, err)
	}
	add(old.Add(time.Hour))
	require.Equal(t, 3, count("alerts"))
	gone, err := s.RetireAlerts(t.Context(), time.Now().AddDate(0, 0, -90))
	require.NoError(t, err)
	require.Equal(t, []string{old.Format("decisions_2006_01"), old.Format("alerts_2006_01")}, gone)
	require.Equal(t, 2, count("alerts"))
	require.Equal(t, 0, count("pg_class WHERE relname = '"+old.Format("alerts_2006_01")+"'"))
	gone, err = s.RetireAlerts(t.Context(), time.Now().AddDate(0, 0, -90))
	require.NoError(t, err)
	require.Empty(t, gone)
}

// What is long is compressed by lz4, in months that are made later too.
func TestLongTextsAreCompressed(t *testing.T) {
	s := storetest.New(t)
	_, err := s.Pool().Exec(t.Context(), "SELECT record_month(parent, '2031-02-01') FROM unnest(ARRAY['alerts', 'decisions']) AS parent")
	require.NoError(t, err)
	long := strings.Repeat("a long command line ", 1000)
	require.NoError(t, s.InTx(t.Context(), func(tx store.Tx) error {
		for _, at := range []time.Time{time.Now(), time.Date(2031, 2, 3, 0, 0, 0, 0, time.UTC)} {
			ids, err := tx.AddAlerts(t.Context(), []store.NewAlert{{ID: idAt(at), IncidentID: newID(), Binding: "none", Body: long, Fingerprint: []byte("f"), Count: 1}})
			if err != nil {
				return err
			}
			if _, err := tx.AddDecisions(t.Context(), []store.NewDecision{{ID: newID(), AlertID: ids[0], State: "decided", Input: long, Digest: []byte("d"), Count: 1}}); err != nil {
				return err
			}
		}
		return nil
	}))
	var alerts, decisions int
	require.NoError(t, s.Pool().QueryRow(t.Context(), `SELECT (SELECT count(*) FROM alerts WHERE pg_column_compression(body) = 'lz4'),
		(SELECT count(*) FROM decisions WHERE pg_column_compression(input) = 'lz4')`).Scan(&alerts, &decisions))
	require.Equal(t, 2, alerts)
	require.Equal(t, 2, decisions)
}
