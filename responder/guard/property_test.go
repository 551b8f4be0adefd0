package guard_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/responder/guard"
	"riposte/responder/store"
	"riposte/responder/store/storetest"
)

// Many responders plan, crash, fail and approve at once, and no budget is ever
// exceeded by what nobody agreed to.
func TestNoBudgetIsExceeded(t *testing.T) {
	const responders, rounds = 4, 12
	s := storetest.New(t)
	small := limits(func(l *guard.Limits) {
		l.Playbook = guard.Budget{Count: 1000, Window: time.Hour} // the one that steps back has a test of its own
		l.Workload, l.Namespace = guard.Budget{Count: 4, Window: time.Hour}, guard.Budget{Count: 6, Window: time.Hour}
		l.Node, l.Cluster = guard.Budget{Count: 7, Window: time.Hour}, guard.Budget{Count: 15, Window: time.Hour}
		l.ReadyShare, l.Cooldown = 30, 0
	})
	seed := uint64(time.Now().UnixNano())
	t.Log("seed", seed)
	watch, stop := make(chan struct{}), make(chan struct{})
	go func() { // every commit in between must hold too
		defer close(watch)
		for {
			select {
			case <-stop:
				return
			default:
				if err := exceeded(t, s); err != nil {
					t.Error(err)
					return
				}
			}
		}
	}()
	var wg sync.WaitGroup
	for r := range responders {
		d := deskOn(t, s, small)
		d.cluster.set(10, nil)
		random := rand.New(rand.NewPCG(seed, uint64(r)))
		wg.Go(func() {
			for range rounds {
				if err := d.round(random); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	close(stop)
	<-watch
	require.NoError(t, exceeded(t, s))
	used := map[string]string{}
	for _, scope := range []string{"workload", "namespace", "node", "cluster"} {
		var most int
		require.NoError(t, s.Pool().QueryRow(t.Context(), counted, scope).Scan(&most))
		used[scope] = strconv.Itoa(most)
	}
	t.Log("most used at the end", used)
	require.Equal(t, "15", used["cluster"], "the budgets were used up, else this shows nothing")
}

// round plans a few actions about random pods; it may crash before the commit, or
// the actions may fail afterwards.
func (d *desk) round(random *rand.Rand) error {
	var batch []guard.Question
	for range 1 + random.IntN(6) {
		batch = append(batch, about(random.IntN(60), func(q *guard.Question) {
			ns, node := fmt.Sprint("ns-", random.IntN(3)), fmt.Sprint("node-", random.IntN(3))
			q.Pod.Owner = fmt.Sprint("ReplicaSet/web-", random.IntN(2))
			q.Pod.Namespace, q.Target.Namespace, q.Alert.Riposte.Pod.Namespace = ns, ns, ns
			q.Pod.Node, q.Target.Node, q.Alert.Riposte.Node = node, node, node
		}))
	}
	var end func() error
	if random.IntN(5) == 0 {
		end = func() error { return errAbandoned }
	}
	all, _, err := d.in(batch, end)
	if err != nil && !errors.Is(err, errAbandoned) {
		return err
	}
	for i, o := range all {
		if err != nil || o.Outcome != guard.Allow {
			continue
		}
		if v := d.release(o.ID, batch[i]); v.Outcome != guard.Allow {
			return fmt.Errorf("what was reserved is not let through: %s: %s", v.Rule, v.Reason)
		}
		state := []string{"executing", "succeeded", "unknown", "failed"}[random.IntN(4)]
		if _, err := d.store.Pool().Exec(d.t.Context(), `UPDATE actions SET state = $2 WHERE id = $1`, o.ID, state); err != nil {
			return err
		}
	}
	return nil
}

const counted = `SELECT coalesce(max(n), 0) FROM (SELECT count(DISTINCT r.subject) AS n FROM guard_reservations r JOIN actions a ON a.id = r.action_id
	WHERE r.scope = $1 AND a.state IN ('planned', 'executing', 'succeeded', 'unknown') GROUP BY r.cluster, r.name) x`

// exceeded counts by itself what is reserved.
func exceeded(t *testing.T, s *store.Store) error {
	for scope, most := range map[string]int{"workload": 3, "namespace": 6, "node": 7, "cluster": 15} { // 30 % of ten replicas is narrower than a workload's budget
		var n int
		if err := s.Pool().QueryRow(t.Context(), counted, scope).Scan(&n); err != nil {
			return err
		}
		if n > most {
			return fmt.Errorf("%d count in one %s, %d may", n, scope, most)
		}
	}
	return nil
}

// The limits may get narrower between the plan and the effect.
func TestLimitsAtTheClaim(t *testing.T) {
	d := newDesk(t)
	all := d.ask(about(1), about(2), about(3))
	narrow := deskOn(t, d.store, limits(func(l *guard.Limits) { l.Node = guard.Budget{Count: 2, Window: time.Hour} }))
	for i, want := range []string{"allow", "allow", "refuse budget-node"} {
		require.Equal(t, want, outcome{Verdict: narrow.release(all[i].ID, about(i+1))}.String())
		require.Equal(t, "allow", outcome{Verdict: d.release(all[i].ID, about(i+1))}.String())
	}
}
