package ingest_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/agent/alert"
	"riposte/responder/action"
	"riposte/responder/action/killcontainer"
	"riposte/responder/execute"
	"riposte/responder/guard"
	"riposte/responder/ingest"
	"riposte/responder/playbook"
)

// counting is a bench with the real guard, which lets one node have two targets.
func counting(t *testing.T) *bench {
	t.Helper()
	l := guard.DefaultLimits()
	l.Node = guard.Budget{Count: 2, Window: time.Hour}
	g, err := guard.New(guard.Options{Limits: l, Deadline: time.Minute})
	require.NoError(t, err)
	registry := action.NewRegistry(killcontainer.New(nil))
	b := setup(t, func(o *ingest.Options) {
		o.Guard, o.Actions = g, registry
		o.Playbooks = answers(func(in playbook.Input) []playbook.Decision {
			c := in.Alert.Riposte.Container
			kill := playbook.Proposal{Type: "kill_container", Reason: "a shell", Target: playbook.Target{Kind: "container", ContainerID: c.ID, CgroupID: c.CgroupID, StartNS: c.StartNS}}
			return propose(kill)(in)
		})
	})
	require.NoError(t, g.Open(t.Context(), guard.Parts{Store: b.store, Home: "prod", Actions: registry, Enqueue: execute.Enqueue}))
	return b
}

func inContainer(id string) func(*alert.Alert) {
	return func(a *alert.Alert) { a.Riposte.Container.ID = id }
}

// Alerts about one container take one place, however many they are; the third
// container's waits for people, with a question, and is not executed.
func TestBudgetInABatch(t *testing.T) {
	b := counting(t)
	var batch []*delivery
	for i, id := range []string{"a1", "a1", "a1", "a2", "a1", "a3", "a3"} {
		batch = append(batch, deliver(t, anAlert(uint64(i+1), inContainer(id))))
	}
	b.handle(batch...)
	require.Equal(t, []string{"a1 planned ", "a2 planned ", "a3 waiting budget-node"},
		b.texts(`SELECT target->>'container_id' || ' ' || state || ' ' || refused_by FROM actions ORDER BY 1`))
	require.Equal(t, 2, b.count(`guard_reservations WHERE scope = 'node'`))
	require.Equal(t, []string{"{budget-node}"}, b.texts(`SELECT rules::text FROM approvals`))
	require.Equal(t, 2, b.count(`river.river_job`))
	require.Equal(t, []string{"1", "2", "4"}, b.texts(`SELECT count::text FROM decisions ORDER BY 1`), "equal answers to equal alerts are counted")
	require.Equal(t, []string{"planned", "planned", "waiting"}, b.texts(`SELECT result FROM audit WHERE kind = 'action.intent' ORDER BY 1`))
	require.Equal(t, []string{"true"}, b.texts(`SELECT (expires_ns - planned_ns > 50 * 60 * 1e9)::text FROM actions WHERE state = 'waiting'`), "people have an hour")

	b.handle(deliver(t, anAlert(8, inContainer("a3"))))
	require.Equal(t, 3, b.count(`actions`), "it joins what waits")
	require.Equal(t, 1, b.count(`approvals`))
}

// Whoever alarms again and again cannot take a question from people's hands: what
// they answered stays. When there is room at last, nobody needs to be asked.
func TestTheQuestionStays(t *testing.T) {
	b := counting(t)
	for i, id := range []string{"a1", "a2", "a3"} {
		b.handle(deliver(t, anAlert(uint64(i+1), inContainer(id))))
	}
	const waiting = `SELECT id::text || ' ' || state || ' ' || refused_by || ' ' || note FROM actions WHERE target->>'container_id' = 'a3' ORDER BY planned_ns`
	before := b.texts(waiting)
	require.Len(t, before, 1)
	_, err := b.store.Pool().Exec(t.Context(), `INSERT INTO approval_votes (action_id, actor, agrees, comment) SELECT action_id, 'user:jane', true, '' FROM approvals`)
	require.NoError(t, err)
	b.handle(deliver(t, anAlert(4, inContainer("a3"))), deliver(t, anAlert(5, inContainer("a3"))))
	require.Equal(t, before, b.texts(waiting))
	require.Equal(t, 1, b.count(`approval_votes`))
	require.Equal(t, []string{"3"}, b.texts(`SELECT d.count::text FROM decisions d JOIN actions a ON a.decision_id = d.id JOIN approvals p ON p.action_id = a.id`), "both join it")
	require.Zero(t, b.count(`audit WHERE result = 'cancelled'`))

	_, err = b.store.Pool().Exec(t.Context(), `UPDATE actions SET state = 'failed' WHERE target->>'container_id' = 'a1'`)
	require.NoError(t, err)
	b.handle(deliver(t, anAlert(6, inContainer("a3"))))
	require.Equal(t, []string{"cancelled", "planned"}, b.texts(`SELECT state FROM actions WHERE target->>'container_id' = 'a3' ORDER BY planned_ns`))
}

// What the guard refuses while it counts is in the record with its rule.
func TestRefusedWhileCounting(t *testing.T) {
	b := counting(t)
	b.handle(deliver(t, anAlert(1, inContainer("a1"))))
	_, err := b.store.Pool().Exec(t.Context(), `UPDATE actions SET state = 'unknown'`) // so that the next one does not join it
	require.NoError(t, err)
	b.handle(deliver(t, anAlert(2, inContainer("a1"))))
	require.Equal(t, 1, b.count(`actions WHERE state = 'refused' AND refused_by = 'cooldown'`))
	require.Equal(t, 1, b.count(`audit WHERE kind = 'action.refused' AND note LIKE '%cooldown: kill_container was done%'`))
	require.Equal(t, 1, b.count(`guard_effects`))
}
