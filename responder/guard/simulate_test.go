package guard_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/responder/guard"
	"riposte/responder/playbook"
)

// small has limits that a short test reaches, with spans that no sum of the test's
// steps of 20 s comes near.
func small(o *guard.Options) {
	l := guard.DefaultLimits()
	span := 10*time.Minute + 10*time.Second
	l.Playbook, l.Workload, l.Namespace = guard.Budget{Count: 12, Window: span}, guard.Budget{Count: 4, Window: span}, guard.Budget{Count: 6, Window: span}
	l.Node, l.Cluster = guard.Budget{Count: 7, Window: span}, guard.Budget{Count: 20, Window: span}
	l.LoopSettle, l.LoopWindow = 50*time.Second, 30*time.Minute+10*time.Second
	l.CordonedNodes = 2
	o.Limits = l
}

// foresight is a guard that counts in memory.
type foresight struct {
	*guard.Assessor
	*guard.Simulation
}

func newForesight(t *testing.T, ready int, edit ...func(*guard.Options)) foresight {
	t.Helper()
	var o guard.Options
	for _, e := range edit {
		e(&o)
	}
	a, err := guard.NewAssessor(o, registry, ready)
	require.NoError(t, err)
	s, err := guard.NewSimulation(o, registry)
	require.NoError(t, err)
	return foresight{a, s}
}

func (f foresight) one(t *testing.T, at time.Time, q guard.Question, lasts time.Duration) string {
	t.Helper()
	v := f.Judge(at, q, f.Assess(t.Context(), at, q), lasts, time.Hour)
	return outcome{Verdict: v.Verdict}.String()
}

// The simulation says of each of many actions what the guard says that counts in
// Postgres, while hours pass.
func TestSimulationIsTheGuard(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, small)
			d.cluster.set(8, nil)
			f := newForesight(t, 8, small)
			r := rand.New(rand.NewPCG(seed, 1))
			began, aged := time.Now(), time.Duration(0)
			seen := map[string]int{}
			for i := range 150 {
				if r.IntN(4) == 0 {
					by := time.Duration(1+r.IntN(12)) * 20 * time.Second
					d.age(by)
					aged += by
				}
				q := about(i, func(q *guard.Question) {
					q.Playbook = fmt.Sprint("pb-", r.IntN(4))
					q.Pod.Namespace, q.Pod.Owner = fmt.Sprint("ns-", r.IntN(3)), fmt.Sprint("StatefulSet/db-", r.IntN(5))
					q.Target.Namespace, q.Alert.Riposte.Pod.Namespace = q.Pod.Namespace, q.Pod.Namespace
					node := fmt.Sprint("node-", r.IntN(4))
					q.Pod.Node, q.Target.Node, q.Alert.Riposte.Node = node, node, node
					q.Mode = []playbook.Mode{playbook.Observe, playbook.Approve, playbook.Enforce, playbook.Enforce, playbook.Enforce}[r.IntN(5)]
					q.RequiresApproval = r.IntN(8) == 0
				})
				if r.IntN(10) == 0 {
					q = cordon(fmt.Sprint("node-", i))
				}
				at := began.Add(aged + time.Since(began))
				want, got := d.one(q).String(), f.one(t, at, q, 0)
				require.Equal(t, want, got, "action %d at %s", i, aged)
				seen[got]++
			}
			require.Greater(t, len(seen), 5, "%v", seen)
		})
	}
}

func TestSimulationOfTime(t *testing.T) {
	f := newForesight(t, 100)
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	q := about(1, func(q *guard.Question) { q.Type = "isolate" })
	require.Equal(t, "allow", f.one(t, at, q, time.Minute))
	require.Equal(t, "joined", f.one(t, at.Add(59*time.Second), q, time.Minute), "it still holds")
	require.Equal(t, "refuse cooldown", f.one(t, at.Add(time.Minute), q, time.Minute), "it was lifted, a moment ago")
	require.Equal(t, "allow", f.one(t, at.Add(5*time.Minute), q, time.Minute))

	asked := about(2, func(q *guard.Question) { q.Mode = playbook.Approve })
	require.Equal(t, "approve mode-approve", f.one(t, at.Add(6*time.Minute), asked, 0))
	require.Equal(t, "joined", f.one(t, at.Add(7*time.Minute), asked, 0), "people are asked already")
	require.Equal(t, "approve mode-approve", f.one(t, at.Add(70*time.Minute), asked, 0), "nobody answered")

	require.NoError(t, f.Canary("pb", []string{"elsewhere"}, nil))
	require.Equal(t, "observe canary", f.one(t, at.Add(2*time.Hour), about(3, func(q *guard.Question) { q.Playbook = "pb" }), 0))
}
