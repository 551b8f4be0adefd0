package store_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/responder/store"
	"riposte/responder/store/storetest"
)

// addAlerts stores n different alerts of a node in an incident, the first at a time
// and the others a second later each, and returns their ids.
func addAlerts(t *testing.T, s *store.Store, incident, node string, priority, n int, at time.Time) (ids []string) {
	t.Helper()
	rows := make([]store.NewAlert, n)
	for i := range rows {
		rows[i] = store.NewAlert{
			ID: newID(), IncidentID: incident, Cluster: "c", Node: node, Rule: "r", Priority: priority, Source: "syscall", Output: "o", Binding: "none", Body: "{}",
			ReceivedNS: at.Add(time.Duration(i) * time.Second).UnixNano(), Fingerprint: fmt.Appendf(nil, "%s %d %d", node, at.UnixNano(), i), Count: 1,
		}
	}
	require.NoError(t, s.InTx(t.Context(), func(tx store.Tx) (err error) {
		ids, err = tx.AddAlerts(t.Context(), rows)
		return err
	}))
	return ids
}

func TestIncidentActions(t *testing.T) {
	s := storetest.New(t)
	t0 := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	one, two := join(t, s, "one", 4, t0), join(t, s, "two", 4, t0)
	act := func(alert, kind string, at time.Time) {
		decision := newID()
		_, err := s.Pool().Exec(t.Context(), `INSERT INTO decisions (id, alert_id, playbook, revision, mode, state, input, decided_ns) VALUES ($1, $2, 'p', 'r', 'observe', 'decided', '{}', 1)`, decision, alert)
		require.NoError(t, err)
		_, err = s.Pool().Exec(t.Context(), `INSERT INTO actions (id, decision_id, alert_id, cluster, node, type, target, effect_key, playbook, revision, mode, reason, state, planned_ns, expires_ns)
			VALUES ($1, $2, $3, 'c', 'n', $4, '{}', $5, 'p', 'r', 'observe', 'why', 'observed', $6, $6)`, newID(), decision, alert, kind, newID(), at.UnixNano())
		require.NoError(t, err)
	}
	mine := addAlerts(t, s, one, "n", 4, 2, t0)
	act(mine[0], "first", t0)
	act(mine[1], "third", t0.Add(3*time.Second))
	act(mine[0], "second", t0.Add(2*time.Second))
	act(addAlerts(t, s, two, "n", 4, 1, t0)[0], "other", t0)

	names := func(each int) (all []string) {
		got, err := s.IncidentActions(t.Context(), []string{one, one}, each)
		require.NoError(t, err)
		for _, p := range got[one] {
			require.Equal(t, []string{"observed", "p"}, []string{p.State, p.Playbook})
			all = append(all, p.Type)
		}
		require.Empty(t, got[two])
		return all
	}
	require.Equal(t, []string{"third", "second", "first"}, names(20))
	require.Equal(t, []string{"third"}, names(1))
	addAlerts(t, s, one, "n", 4, 100, t0.Add(time.Minute))
	require.Empty(t, names(20), "only the latest hundred alerts are looked at")
	got, err := s.IncidentActions(t.Context(), nil, 1)
	require.NoError(t, err)
	require.Empty(t, got)
}

func TestNodeIncidents(t *testing.T) {
	s := storetest.New(t)
	t0 := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	since := t0.Add(-10 * time.Minute)
	n1, n2 := store.NodeKey{Cluster: "c", Node: "n1"}, store.NodeKey{Cluster: "c", Node: "n2"}
	add := func(key, node string, priority int, at time.Time) {
		addAlerts(t, s, join(t, s, key, priority, at), node, priority, 1, at)
	}
	add("old", "n1", 2, t0.Add(-11*time.Minute))
	add("a", "n1", 5, t0.Add(-3*time.Minute))
	add("a", "n1", 4, t0.Add(-2*time.Minute))
	add("b", "n1", 2, t0.Add(-time.Minute))
	add("both", "n2", 3, t0.Add(-time.Minute))
	add("both", "n1", 6, t0.Add(-20*time.Minute)) // the incident goes on, this node's part of it is over
	got, err := s.NodeIncidents(t.Context(), []store.NodeKey{n1, n2, n1, {Cluster: "other", Node: "n1"}}, since)
	require.NoError(t, err)
	require.Len(t, got, 2)
	brief := func(all []store.NodeIncident) (out []string) {
		for _, i := range all {
			out = append(out, fmt.Sprintf("%s %d %s", i.Key, i.Priority, t0.Sub(i.LastAt)))
		}
		return out
	}
	require.Equal(t, []string{"b 2 1m0s", "a 4 2m0s"}, brief(got[n1]))
	require.Equal(t, []string{"both 3 1m0s"}, brief(got[n2]))
}

// Both questions are asked about every batch: they must not read a whole incident.
func TestTheSurroundingsAreReadByIndex(t *testing.T) {
	s := storetest.New(t)
	t0 := time.Now()
	addAlerts(t, s, join(t, s, "flood", 4, t0), "n", 4, 3000, t0)
	_, err := s.Pool().Exec(t.Context(), "ANALYZE alerts")
	require.NoError(t, err)
	rows, err := s.Pool().Query(t.Context(), `EXPLAIN SELECT id FROM alerts WHERE incident_id = (SELECT id FROM incidents LIMIT 1) ORDER BY received_ns DESC LIMIT 100`)
	require.NoError(t, err)
	defer rows.Close()
	var plan strings.Builder
	for rows.Next() {
		var line string
		require.NoError(t, rows.Scan(&line))
		plan.WriteString(line + "\n")
	}
	require.NoError(t, rows.Err())
	require.NotContains(t, plan.String(), "Seq Scan on alerts")
	require.Contains(t, plan.String(), "incident_id_received_ns", "the index of incident and time is in use: %s", plan.String())
}
