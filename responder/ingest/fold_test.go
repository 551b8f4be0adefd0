package ingest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/agent/alert"
	"riposte/responder/audit"
	"riposte/responder/guard"
	"riposte/responder/ingest"
	"riposte/responder/playbook"
)

// Equal alerts are one row with a count, equal answers one decision, and the record
// says how many there were.
func TestEqualAlertsAreCounted(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *ingest.Options) { o.Guard = always(guard.Watch) })
	pid := func(n int) func(*alert.Alert) { return func(a *alert.Alert) { a.OutputFields["proc.pid"] = n } }
	first := anAlert(1, pid(1))
	b.handle(deliver(t, first), deliver(t, anAlert(2, pid(2))))
	b.handle(deliver(t, anAlert(3, pid(3))), deliver(t, anAlert(4, distinct)))
	require.Equal(t, 4, b.count("inbox"))
	require.Equal(t, 2, b.count("alerts"))
	require.Equal(t, 1, b.count("alerts WHERE id = $1::text::uuid AND count = 3 AND last_ns > received_ns", first.UUID))
	require.Equal(t, 1, b.count("incidents WHERE alerts = 4"))
	require.Equal(t, []string{"1", "3"}, b.texts("SELECT count::text FROM decisions ORDER BY count"))
	require.Equal(t, 2, b.count("actions WHERE state = 'observed'"))
	require.Equal(t, []string{
		"incident.opened", "alert", "alert.repeated", "decision", "action.observed", "alert.repeated", "alert", "decision", "action.observed",
	}, b.texts("SELECT kind FROM audit ORDER BY seq"))
	report, err := audit.Verify(t.Context(), b.store.Pool(), audit.Evidence{})
	require.NoError(t, err)
	require.True(t, report.OK)
}

// A repeated alert still acts: the first action may have ended without its effect.
func TestARepeatedAlertActsAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.handle(deliver(t, anAlert(1)))
	b.handle(deliver(t, anAlert(2)))
	require.Equal(t, []string{"planned"}, b.texts("SELECT state FROM actions"))
	_, err := b.store.Pool().Exec(t.Context(), "UPDATE actions SET state = 'failed'")
	require.NoError(t, err)
	b.handle(deliver(t, anAlert(3)))
	require.Equal(t, []string{"failed", "planned"}, b.texts("SELECT state FROM actions ORDER BY planned_ns"))
	require.Equal(t, 2, b.count("river.river_job"))
	require.Equal(t, 2, b.count("audit WHERE kind = 'action.intent'"))
	require.Equal(t, 1, b.count("decisions WHERE count = 3"))
}

// Another answer to an equal alert is another decision.
func TestAnotherAnswerIsAnotherDecision(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *ingest.Options) {
		o.Playbooks = answers(func(in playbook.Input) []playbook.Decision {
			if in.Incident.Alerts < 3 {
				return propose()(in)
			}
			return propose(killOwn)(in)
		})
	})
	for seq := range uint64(4) {
		b.handle(deliver(t, anAlert(seq+1)))
	}
	require.Equal(t, 1, b.count("alerts"))
	require.Equal(t, []string{"2", "2"}, b.texts("SELECT count::text FROM decisions ORDER BY decided_ns"))
	require.Equal(t, 1, b.count("actions"))
}

// After a person has closed an incident, the same attack is another one.
func TestAClosedIncidentTakesNoMore(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.handle(deliver(t, anAlert(1)))
	b.change("resolved")
	b.handle(deliver(t, anAlert(2)))
	require.Equal(t, []string{"open 1", "resolved 1"}, b.texts("SELECT state || ' ' || alerts FROM incidents ORDER BY state"))
	require.Equal(t, 2, b.count("alerts"))
}

// What happens after an incident was contained opens it again; what was underway does not.
func TestAnAttackThatGoesOn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	before := anAlert(2)
	b.handle(deliver(t, anAlert(1)))
	b.change("contained")
	b.handle(deliver(t, before))
	require.Equal(t, []string{"contained"}, b.texts("SELECT state FROM incidents"))
	b.handle(deliver(t, anAlert(3, func(a *alert.Alert) { a.Riposte.KernelTimeNS += 5e9 })))
	require.Equal(t, []string{"open"}, b.texts("SELECT state FROM incidents"))
	require.Equal(t, []string{" open", "open contained", "contained open"}, b.texts("SELECT from_state || ' ' || to_state FROM incident_history ORDER BY id"))
	require.Equal(t, 2, b.count("audit WHERE kind = 'incident.state'"))
}
