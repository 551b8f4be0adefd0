package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/responder/store"
	"riposte/responder/store/storetest"
)

func TestIncidentActions(t *testing.T) {
	s := storetest.New(t)
	t0 := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	one, two := join(t, s, "one", 4, t0), join(t, s, "two", 4, t0)
	act := func(incident, kind string, at time.Time) {
		require.NoError(t, s.InTx(t.Context(), func(tx store.Tx) error {
			_, err := tx.Plan(t.Context(), []store.NewAction{{
				ID: newID(), DecisionID: newID(), AlertID: newID(), IncidentID: incident, Cluster: "c", Node: "n", Type: kind, Target: []byte("{}"), Params: []byte("{}"), EffectKey: newID(),
				Playbook: "p", Revision: "r", Mode: "observe", Reason: "why", State: "observed", PlannedNS: at.UnixNano(), ExpiresNS: at.UnixNano(),
			}})
			return err
		}))
	}
	act(one, "first", t0)
	act(one, "third", t0.Add(3*time.Second))
	act(one, "second", t0.Add(2*time.Second))
	act(two, "other", t0)

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
		seen := store.SeenOn{NodeKey: store.NodeKey{Cluster: "c", Node: node}, IncidentID: join(t, s, key, priority, at), Priority: priority, At: at}
		require.NoError(t, s.InTx(t.Context(), func(tx store.Tx) error { return tx.NoteNodes(t.Context(), []store.SeenOn{seen}) }))
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

	require.NoError(t, s.ForgetNodes(t.Context(), t0.Add(-90*time.Second)))
	got, err = s.NodeIncidents(t.Context(), []store.NodeKey{n1, n2}, time.Time{})
	require.NoError(t, err)
	require.Equal(t, []string{"b 2 1m0s"}, brief(got[n1]))
	require.Equal(t, []string{"both 3 1m0s"}, brief(got[n2]))
}
