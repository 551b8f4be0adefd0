package store_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"riposte/responder/store"
	"riposte/responder/store/storetest"
)

func newID() string { return uuid.Must(uuid.NewV7()).String() }

// join adds one alert to an incident at a time and returns the incident's id.
func join(t *testing.T, s *store.Store, key string, priority int, at time.Time) (id string) {
	t.Helper()
	require.NoError(t, s.InTx(t.Context(), func(tx store.Tx) error {
		k := store.IncidentKey{Cluster: "c", Key: key}
		ids, err := tx.JoinIncidents(t.Context(), []store.Join{{IncidentKey: k, ID: newID(), Title: key, Priority: priority, Alerts: 1, FirstAt: at, LastAt: at}}, at.Add(-time.Hour))
		id = ids[k].ID
		return err
	}))
	return id
}

func TestIncidentsHaveAWindow(t *testing.T) {
	s := storetest.New(t)
	t0 := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	first := join(t, s, "k", 4, t0)
	require.Equal(t, first, join(t, s, "k", 2, t0.Add(59*time.Minute)))
	require.Equal(t, first, join(t, s, "k", 7, t0.Add(110*time.Minute)))
	require.NotEqual(t, first, join(t, s, "other", 2, t0))

	at := t0.Add(110*time.Minute + time.Hour + time.Second)
	around, err := s.Surroundings(t.Context(), store.Around{Keys: []store.IncidentKey{{Cluster: "c", Key: "k"}}, Idle: at.Add(-time.Hour)})
	require.NoError(t, err)
	require.Empty(t, around.Open, "its window is over")
	second := join(t, s, "k", 5, at)
	require.NotEqual(t, first, second)
	around, err = s.Surroundings(t.Context(), store.Around{Keys: []store.IncidentKey{{Cluster: "c", Key: "k"}, {Cluster: "d", Key: "k"}}, Idle: at.Add(-time.Hour)})
	require.NoError(t, err)
	require.Len(t, around.Open, 1)
	require.Equal(t, second, around.Open[store.IncidentKey{Cluster: "c", Key: "k"}].ID)

	var got string
	require.NoError(t, s.Pool().QueryRow(t.Context(), "SELECT state || ' ' || joinable || ' ' || alerts || ' ' || priority FROM incidents WHERE id = $1::text::uuid", first).Scan(&got))
	require.Equal(t, "open false 3 2", got)

	n, err := s.EndIdleIncidents(t.Context(), at)
	require.NoError(t, err)
	require.EqualValues(t, 1, n, "only the other one is idle")
}

func TestInbox(t *testing.T) {
	s := storetest.New(t)
	boot, now := newID(), time.Now()
	origin := func(seq uint64) store.Origin { return store.Origin{Cluster: "c", Node: "n", BootID: boot, Seq: seq} }
	arrive := func(at time.Time, seqs ...uint64) (fresh map[store.Origin]bool) {
		var all []store.Arrival
		for _, q := range seqs {
			all = append(all, store.Arrival{Origin: origin(q), AlertID: newID(), Received: at})
		}
		require.NoError(t, s.InTx(t.Context(), func(tx store.Tx) (err error) {
			fresh, err = tx.Arrive(t.Context(), all)
			return err
		}))
		return fresh
	}
	require.Equal(t, map[store.Origin]bool{origin(1): true, origin(2): true}, arrive(now.Add(-time.Hour), 2, 1))
	require.Equal(t, map[store.Origin]bool{origin(3): true}, arrive(now, 3, 2, 3))
	around, err := s.Surroundings(t.Context(), store.Around{Origins: []store.Origin{origin(1), origin(9), {Cluster: "x", Node: "n", BootID: boot, Seq: 1}}})
	require.NoError(t, err)
	require.Equal(t, map[store.Origin]bool{origin(1): true}, around.Seen)

	n, err := s.PruneInbox(t.Context(), now.Add(-time.Minute))
	require.NoError(t, err)
	require.EqualValues(t, 2, n)
	require.Len(t, arrive(now, 1, 2, 3), 2)
}

func TestPlanAndHistory(t *testing.T) {
	s := storetest.New(t)
	incident, alert, decision := join(t, s, "k", 2, time.Now()), newID(), newID()
	var ns int64
	action := func(state, effect string) store.NewAction {
		ns++
		return store.NewAction{
			ID: newID(), DecisionID: decision, AlertID: alert, Cluster: "c", Node: "n", Type: "kill", Target: json.RawMessage(`{"kind":"\u0000"}`),
			Object: "object " + effect, EffectKey: effect, Playbook: "pb\x00", Mode: "enforce", State: state, PlannedNS: ns,
		}
	}
	a, b, c, d := action("planned", "z"), action("planned", "y"), action("planned", "z"), action("refused", "z")
	var fates []store.Planned
	require.NoError(t, s.InTx(t.Context(), func(tx store.Tx) (err error) {
		_, err = tx.AddAlerts(t.Context(), []store.NewAlert{{ID: alert, IncidentID: incident, Cluster: "c", Node: "n", Rule: "r\x00", Binding: "none", Body: "{}"}})
		require.NoError(t, err)
		_, err = tx.AddDecisions(t.Context(), []store.NewDecision{{ID: decision, AlertID: alert, State: "decided"}})
		require.NoError(t, err)
		fates, err = tx.Plan(t.Context(), []store.NewAction{a, b, c, d})
		return err
	}))
	require.Equal(t, []store.Planned{{}, {}, {Joined: a.ID}, {}}, fates)

	// In one batch what needs no approval goes first; later it takes a waiting one's place.
	asks, acts, later := action("waiting", "x"), action("planned", "x"), action("waiting", "w")
	overtakes := action("planned", "w")
	plan := func(all ...store.NewAction) {
		require.NoError(t, s.InTx(t.Context(), func(tx store.Tx) (err error) {
			fates, err = tx.Plan(t.Context(), all)
			return err
		}))
	}
	plan(asks, later, acts)
	require.Equal(t, []store.Planned{{Joined: acts.ID}, {}, {}}, fates)
	plan(overtakes)
	require.Equal(t, []store.Planned{{Superseded: later.ID}}, fates)
	plan()
	require.Empty(t, fates)

	around, err := s.Surroundings(t.Context(), store.Around{Objects: []string{"object z", "object y", "object z", "object v", ""}, Actions: 1})
	require.NoError(t, err)
	history := around.OfObject
	require.Len(t, history, 2)
	require.Equal(t, []store.Past{{Type: "kill", State: "refused", Playbook: "pb\uFFFD", At: time.Unix(0, d.PlannedNS).UTC()}}, history["object z"])
	require.Len(t, history["object y"], 1)
}

func TestErrorsAreToldApart(t *testing.T) {
	s := storetest.New(t)
	ask := func(sql string) error {
		_, err := s.Pool().Exec(t.Context(), sql)
		require.Error(t, err)
		return fmt.Errorf("ask: %w", err)
	}
	require.True(t, store.Fault(ask("SELECT 1/0")))
	require.True(t, store.Fault(ask("INSERT INTO inbox (seq) VALUES (0)")))
	require.False(t, store.Fault(ask("SELECT * FROM nowhere")), "a missing table is not the message's fault")
	require.True(t, store.Refused(ask("SELECT * FROM nowhere")))
	require.False(t, store.Fault(ask("SELECT pg_terminate_backend(pg_backend_pid())")))
	require.True(t, store.Conflict(fmt.Errorf("x: %w", &pgconn.PgError{Code: "40P01"})))
	require.False(t, store.Conflict(nil))
	require.False(t, store.Unsent(ask("SELECT pg_terminate_backend(pg_backend_pid())")))
	require.False(t, store.Unsent(ask("SELECT 1/0")))
	_, err := store.Open(t.Context(), "postgres://127.0.0.1:1/none")
	require.True(t, store.Unsent(err) && !store.Fault(err) && !store.Refused(err))
	s.Close()
	err = ask("SELECT 1")
	require.False(t, store.Fault(err) || store.Refused(err))
}

func TestText(t *testing.T) {
	for in, want := range map[string]string{"": "", "äöü": "äöü", "a\x00b": "a\uFFFDb", "a\xff\xfeb": "a\uFFFDb"} {
		require.Equal(t, want, store.Text(in))
	}
	require.False(t, strings.ContainsRune(store.Text("\x00"), 0))
}

func TestAnOlderHeartbeatChangesNothing(t *testing.T) {
	s := storetest.New(t)
	now := time.Now()
	save := func(body string, at time.Time) {
		beat := store.Beat{RunKey: store.RunKey{Cluster: "c", Node: "n", BootID: newID()}, Seq: 1, Body: []byte(body)}
		require.NoError(t, s.SaveBeats(t.Context(), []store.Beat{beat}, at))
	}
	save("new", now)
	save("old", now.Add(-time.Second))
	var body string
	require.NoError(t, s.Pool().QueryRow(t.Context(), "SELECT body FROM agents").Scan(&body))
	require.Equal(t, "new", body)
}
