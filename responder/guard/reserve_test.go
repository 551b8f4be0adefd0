package guard_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/responder/action"
	"riposte/responder/guard"
	"riposte/responder/playbook"
)

func limits(edit func(*guard.Limits)) func(*guard.Options) {
	return func(o *guard.Options) { edit(&o.Limits) }
}

var three = guard.Budget{Count: 3, Window: 10 * time.Minute}

func TestBudgets(t *testing.T) {
	elsewhere := func(i int) func(*guard.Question) {
		return func(q *guard.Question) {
			q.Playbook = fmt.Sprint("other-", i)
			q.Pod.Namespace, q.Pod.Owner = fmt.Sprint("ns-", i), fmt.Sprint("StatefulSet/db-", i)
			q.Target.Namespace, q.Alert.Riposte.Pod.Namespace = q.Pod.Namespace, q.Pod.Namespace
			node := fmt.Sprint("node-", i)
			q.Pod.Node, q.Target.Node, q.Alert.Riposte.Node = node, node, node
		}
	}
	for rule, tt := range map[string]struct {
		limit func(*guard.Limits)
		same  func(q, like *guard.Question)
	}{
		"budget-playbook": {func(l *guard.Limits) { l.Playbook = three }, func(q, like *guard.Question) { q.Playbook = like.Playbook }},
		"budget-namespace": {func(l *guard.Limits) { l.Namespace = three }, func(q, like *guard.Question) {
			q.Pod.Namespace, q.Target.Namespace, q.Alert.Riposte.Pod.Namespace = "shop", "shop", "shop"
		}},
		"budget-workload": {func(l *guard.Limits) { l.Workload = three }, func(q, like *guard.Question) {
			q.Pod.Namespace, q.Target.Namespace, q.Alert.Riposte.Pod.Namespace, q.Pod.Owner = "shop", "shop", "shop", like.Pod.Owner
		}},
		"budget-node": {func(l *guard.Limits) { l.Node = three }, func(q, like *guard.Question) {
			q.Pod.Node, q.Target.Node, q.Alert.Riposte.Node = "n", "n", "n"
		}},
		"budget-cluster": {func(l *guard.Limits) { l.Cluster = three }, func(*guard.Question, *guard.Question) {}},
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, limits(tt.limit))
			like := about(0)
			same := func(i int) guard.Question {
				q := about(i, elsewhere(i))
				tt.same(&q, &like)
				return q
			}
			require.Equal(t, []string{"allow", "allow"}, verdicts(d.ask(same(1), same(2))), "two in one transaction")
			require.Equal(t, "allow", d.one(same(3)).String())
			over := d.one(same(4))
			require.Equal(t, "approve "+rule, over.String())
			require.Equal(t, "waiting/"+rule, d.row(over.ID))
			require.Contains(t, over.Reason, "3 in 10m0s")
			if rule != "budget-cluster" {
				require.Equal(t, "allow", d.one(about(9, elsewhere(9))).String(), "it is nobody else's budget")
			}
			d.age(11 * time.Minute)
			if rule != "budget-playbook" { // that one has stepped back
				require.Equal(t, "allow", d.one(same(5)).String(), "the window has passed")
			}
		})
	}
}

// A subject counts once, however many actions are about it, and what gathers or
// tells does not count at all.
func TestWhatCounts(t *testing.T) {
	d := newDesk(t, limits(func(l *guard.Limits) { l.Playbook, l.Cooldown = guard.Budget{Count: 1, Window: time.Hour}, 0 }))
	of := func(kind string, i int) guard.Question {
		return about(i, func(q *guard.Question) {
			q.Type = kind
			if registry[kind].Spec().Kind == action.KindContainer {
				q.Target = action.Target{Kind: action.KindContainer, Cluster: "c", Node: "n", ContainerID: "abc", CgroupID: 4, StartNS: 5}
			}
		})
	}
	require.Equal(t, []string{"allow", "allow", "allow"}, verdicts(d.ask(of("collect_logs", 1), of("freeze_container", 1), of("delete_pod", 1))))
	require.Equal(t, "allow", d.one(of("kill_container", 1)).String(), "the same pod")
	require.Equal(t, []string{"allow", "allow"}, verdicts(d.ask(of("notify", 2), of("collect_logs", 2))))
	require.Equal(t, "approve budget-playbook", d.one(of("freeze_container", 3)).String())
}

// What ended without an effect gives its place back; what may have had one does not.
func TestPlacesComeBack(t *testing.T) {
	for state, back := range map[string]bool{
		"refused": true, "failed": true, "expired": true, "cancelled": true, "rejected": true,
		"planned": false, "executing": false, "succeeded": false, "unknown": false,
	} {
		t.Run(state, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, limits(func(l *guard.Limits) { l.Node = guard.Budget{Count: 1, Window: time.Hour} }))
			first := d.one(about(1))
			d.exec(`UPDATE actions SET state = $2 WHERE id = $1`, first.ID, state)
			want := map[bool]string{true: "allow", false: "approve budget-node"}[back]
			require.Equal(t, want, d.one(about(2)).String())
		})
	}
}

// A transaction that is rolled back, as a crash does, reserves nothing.
func TestRollbackReservesNothing(t *testing.T) {
	d := newDesk(t, limits(func(l *guard.Limits) { l.Node = guard.Budget{Count: 1, Window: time.Hour} }))
	_, _, err := d.in([]guard.Question{about(1)}, func() error { return errAbandoned })
	require.ErrorIs(t, err, errAbandoned)
	require.Equal(t, "allow", d.one(about(2)).String())
}

func TestCooldown(t *testing.T) {
	d := newDesk(t)
	require.Equal(t, []string{"allow", "refuse cooldown"}, verdicts(d.ask(about(1), about(1))))
	again := d.one(about(1))
	require.Equal(t, "refuse cooldown", again.String())
	require.Equal(t, "refused/cooldown", d.row(again.ID))
	require.Equal(t, "allow", d.one(about(2)).String())
	d.age(6 * time.Minute)
	require.Equal(t, "allow", d.one(about(1)).String())
}

// A workload that offends again after a kill is a matter for people; the pods that
// the same attack took at the same time are not "again".
func TestLoopBreaker(t *testing.T) {
	d := newDesk(t, limits(func(l *guard.Limits) { l.LoopSettle, l.LoopWindow = time.Minute, 30*time.Minute }))
	require.Equal(t, []string{"allow", "allow"}, verdicts(d.ask(about(1), about(2))))
	d.age(2 * time.Minute)
	loop := d.one(about(3))
	require.Equal(t, "approve loop-breaker", loop.String())
	require.Equal(t, "waiting/loop-breaker", d.row(loop.ID))
	freeze := about(4, func(q *guard.Question) {
		q.Type = "freeze_container"
		q.Target = action.Target{Kind: action.KindContainer, Cluster: "c", Node: "n", ContainerID: "abc", CgroupID: 4, StartNS: 5}
	})
	require.Equal(t, "allow", d.one(freeze).String(), "to contain it is no kill")
	require.Equal(t, "allow", d.one(about(5, func(q *guard.Question) { q.Pod.Owner = "StatefulSet/db" })).String())
	d.age(30 * time.Minute)
	require.Equal(t, "allow", d.one(about(6)).String())
}

func TestReadyShare(t *testing.T) {
	d := newDesk(t, limits(func(l *guard.Limits) { l.ReadyShare = 30 }))
	d.cluster.set(10, nil)
	require.Equal(t, []string{"allow", "allow", "allow", "approve ready-share"}, verdicts(d.ask(about(1), about(2), about(3), about(4))))
	d.cluster.set(7, nil) // the three are gone
	require.Equal(t, "approve ready-share", d.one(about(5)).String(), "who was just killed still counts as ready before")
	d.age(2 * time.Minute)
	require.Equal(t, []string{"allow", "allow", "approve ready-share"}, verdicts(d.ask(about(6), about(7), about(8))))
	d.age(2 * time.Minute)
	d.cluster.set(1, nil)
	require.Equal(t, []string{"allow", "approve ready-share"}, verdicts(d.ask(about(9), about(10))), "at least one may go")
	standalone := about(11, func(q *guard.Question) { q.Pod.Owner = "" })
	d.cluster.set(0, errors.New("the API server is away"))
	require.Equal(t, "allow", d.one(standalone).String(), "it is nobody's replica")
	v := d.one(about(12))
	require.Equal(t, "refuse workload-unknown", v.String())
	require.Contains(t, v.Reason, "the API server is away")
}

func TestCordonedNodes(t *testing.T) {
	d := newDesk(t, limits(func(l *guard.Limits) { l.CordonedNodes = 1 }))
	require.Equal(t, "refuse foreign-target", d.one(func() guard.Question { q := cordon("n"); q.Alert.Riposte.Node = "m"; return q }()).String())
	first := d.one(cordon("n1"))
	require.Equal(t, "approve two-person", first.String())
	require.Equal(t, `{two-person}`, d.text(`SELECT rules::text FROM approvals WHERE action_id = $1`, first.ID))
	d.cluster.set(0, nil, "n9")
	second := d.one(cordon("n2"))
	require.Equal(t, "approve two-person", second.String())
	require.Equal(t, `{two-person,cordoned-nodes}`, d.text(`SELECT rules::text FROM approvals WHERE action_id = $1`, second.ID))
	d.cluster.set(0, nil, "n3")
	third := d.one(cordon("n3"))
	require.Equal(t, `{two-person}`, d.text(`SELECT rules::text FROM approvals WHERE action_id = $1`, third.ID), "it is the one that is cordoned")
	d.cluster.set(0, errors.New("away"))
	require.Equal(t, "refuse nodes-unknown", d.one(cordon("n4")).String())
}

// A playbook that uses up its budget asks once and observes from then on, until
// somebody sets its mode.
func TestStepsBackByBudget(t *testing.T) {
	d := newDesk(t, limits(func(l *guard.Limits) { l.Playbook = three }))
	all, r, err := d.in([]guard.Question{about(1), about(2), about(3), about(4), about(5)}, nil)
	require.NoError(t, err)
	require.Equal(t, []string{"allow", "allow", "allow", "approve budget-playbook", "observe stepped-back"}, verdicts(all))
	require.Len(t, r.Entries, 1)
	require.Equal(t, "playbook.mode", string(r.Entries[0].Kind))
	require.Contains(t, r.Entries[0].Note, "playbook p steps back to observe, by budget-playbook: the budget of playbook p is used up: 3 in 10m0s")
	require.Equal(t, "allow", string(d.release(all[2].ID, about(3)).Outcome), "what was within the budget is done")
	require.Equal(t, "observe stepped-back", d.one(about(6)).String(), "Judge may not know yet, Reserve does")
	require.NoError(t, d.Refresh(t.Context()))
	require.Equal(t, guard.Watch, d.Judge(t.Context(), about(6)).Outcome)
	mode, row := d.ModeOf("p", playbook.Enforce)
	require.Equal(t, playbook.Observe, mode)
	require.Equal(t, "budget-playbook", row.SteppedBack)

	require.NoError(t, d.SetMode(t.Context(), guard.Mode{Playbook: "p", Actor: "user:jane", Reason: "looked at it"}))
	d.age(11 * time.Minute)
	require.Equal(t, "allow", d.one(about(7)).String())
}

func TestStepsBackByErrors(t *testing.T) {
	d := newDesk(t, limits(func(l *guard.Limits) { l.ErrorShare, l.ErrorActions = 50, 4 }))
	ended := func(from, to int, state string) {
		for i := from; i < to; i++ {
			d.exec(`UPDATE actions SET state = $2 WHERE id = $1`, d.one(about(i)).ID, state)
		}
	}
	ended(0, 3, "failed")
	waits := d.one(about(10))
	require.Equal(t, "allow", waits.String(), "three are too few to say")
	ended(3, 4, "unknown")
	v := d.one(about(11))
	require.Equal(t, "observe error-rate", v.String())
	require.Contains(t, v.Reason, "4 of its last 4 actions failed")
	require.Equal(t, "observed/", d.row(v.ID))
	require.Equal(t, "refuse stepped-back", outcome{Verdict: d.release(waits.ID, about(10))}.String(), "what was planned before is not done either")
	require.NoError(t, d.SetMode(t.Context(), guard.Mode{Playbook: "p", Actor: "user:jane"}))
	require.Equal(t, "allow", d.one(about(12)).String(), "what failed before the mode was set is forgiven")
}
