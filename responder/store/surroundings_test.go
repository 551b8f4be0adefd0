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
		key := store.IncidentKey{Cluster: "c", Key: "one"}
		around, err := s.Surroundings(t.Context(), store.Around{Keys: []store.IncidentKey{key, key}, Actions: each})
		require.NoError(t, err)
		got := around.OfIncident
		for _, p := range got[one] {
			require.Equal(t, []string{"observed", "p"}, []string{p.State, p.Playbook})
			all = append(all, p.Type)
		}
		require.Empty(t, got[two])
		return all
	}
	require.Equal(t, []string{"third", "second", "first"}, names(20))
	require.Equal(t, []string{"third"}, names(1))
	around, err := s.Surroundings(t.Context(), store.Around{Actions: 1})
	require.NoError(t, err)
	require.Empty(t, around.OfIncident)
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
	around, err := s.Surroundings(t.Context(), store.Around{Nodes: []store.NodeKey{n1, n2, n1, {Cluster: "other", Node: "n1"}}, NodesSince: since})
	require.NoError(t, err)
	got := around.OnNode
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
	around, err = s.Surroundings(t.Context(), store.Around{Nodes: []store.NodeKey{n1, n2}})
	require.NoError(t, err)
	got = around.OnNode
	require.Equal(t, []string{"b 2 1m0s"}, brief(got[n1]))
	require.Equal(t, []string{"both 3 1m0s"}, brief(got[n2]))
}

// A new installation's tables have no statistics, and must do without while a flood
// fills them: each question walks its index, in its order, and stops.
func TestPlansOfTheSurroundings(t *testing.T) {
	s := storetest.New(t)
	text, now := []string{"a"}, time.Now()
	for name, c := range map[string]struct {
		sql   string
		args  []any
		index string
	}{
		"inbox":     {store.AroundInbox, []any{text, text, []string{newID()}, []int64{1}}, "inbox_pkey"},
		"incidents": {store.AroundIncidents, []any{text, text, now}, "incidents_joinable"},
		"actions":   {store.AroundActions, []any{text, text, now, 20}, "actions_incident"},
		"nodes":     {store.AroundNodes, []any{text, text, now, 200}, "incident_nodes_pkey"},
		"objects":   {store.AroundObjects, []any{text, 20}, "actions_object"},
	} {
		t.Run(name, func(t *testing.T) {
			var used []string
			planOf(t, s, c.sql, c.args).walk(func(n node) {
				require.NotContains(t, []string{"Seq Scan", "Bitmap Heap Scan"}, n.Type, n.Relation)
				if n.Index != "" {
					used = append(used, n.Index)
				}
			})
			require.Contains(t, used, c.index)
		})
	}
}

// A question that is planned anew for each batch costs more than its answer.
func TestSurroundingsArePlannedOnce(t *testing.T) {
	config := storetest.URL(t) + "&pool_max_conns=1" // the statements are its connection's
	s, err := store.Open(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	q := store.Around{
		Origins: []store.Origin{{Cluster: "c", Node: "n", BootID: newID(), Seq: 1}}, Keys: []store.IncidentKey{{Cluster: "c", Key: "k"}}, Idle: time.Now(),
		Nodes: []store.NodeKey{{Cluster: "c", Node: "n"}}, NodesSince: time.Now(), Objects: []string{"o"}, Actions: 20,
	}
	for range 8 { // from the sixth on PostgreSQL may keep a plan
		_, err := s.Surroundings(t.Context(), q)
		require.NoError(t, err)
	}
	var statements, kept int
	require.NoError(t, s.Pool().QueryRow(t.Context(), `SELECT count(*), count(*) FILTER (WHERE generic_plans = 3) FROM pg_prepared_statements
		WHERE statement LIKE '%(SELECT $1::text[])%' AND generic_plans + custom_plans = 8`).Scan(&statements, &kept))
	require.Equal(t, 5, statements)
	require.Equal(t, 5, kept)
}
