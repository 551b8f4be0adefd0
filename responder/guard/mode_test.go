package guard_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/responder/guard"
	"riposte/responder/playbook"
)

func (d *desk) mode(m guard.Mode) {
	d.t.Helper()
	m.Playbook, m.Actor = "p", "user:jane"
	require.NoError(d.t, d.SetMode(d.t.Context(), m))
}

func TestModes(t *testing.T) {
	d := newDesk(t)
	observing := func(q *guard.Question) { q.Mode = playbook.Observe }
	require.Equal(t, "observe mode-observe", d.one(about(1, observing)).String())
	d.mode(guard.Mode{Mode: playbook.Enforce})
	require.Equal(t, "allow", d.one(about(1, observing)).String(), "what is set counts, up as well as down")
	d.mode(guard.Mode{Mode: playbook.Approve})
	asked := d.one(about(2))
	require.Equal(t, "approve mode-approve", asked.String())
	require.Equal(t, "allow", d.one(about(2, func(q *guard.Question) { q.Type = "collect_logs" })).String(), "evidence waits for nobody")
	d.mode(guard.Mode{Mode: playbook.Observe})
	require.Equal(t, "observe mode-observe", d.one(about(3)).String())
	require.NoError(t, d.answer(asked.ID, "tom", true))
	require.Equal(t, "allow", outcome{Verdict: d.release(asked.ID, about(2))}.String(), "who agrees means this one action, whatever the mode is now")
	d.mode(guard.Mode{})
	require.Equal(t, "allow", d.one(about(4)).String(), "the METADATA's again")

	planned := d.one(about(5))
	d.mode(guard.Mode{Mode: playbook.Observe, Reason: "too eager"})
	require.Equal(t, "refuse mode-observe", outcome{Verdict: d.release(planned.ID, about(5))}.String(), "what is not done yet is not done")
	require.Equal(t, "playbook.mode observe user:jane", d.text(`SELECT kind || ' ' || result || ' ' || actor FROM audit ORDER BY seq DESC LIMIT 1`))
	require.Contains(t, d.text(`SELECT concat_ws(' ', note, reason) FROM audit ORDER BY seq DESC LIMIT 1`), "too eager")
}

// Another responder learns of it; and if it has not yet, its Reserve has.
func TestModeOfAnotherResponder(t *testing.T) {
	d := newDesk(t)
	other := deskOn(t, d.store)
	d.mode(guard.Mode{Mode: playbook.Observe})
	require.Equal(t, guard.Allow, other.Judge(t.Context(), about(1)).Outcome)
	v := other.one(about(1))
	require.Equal(t, "observe mode-observe", v.String())
	require.Equal(t, "observed/", d.row(v.ID))
	require.NoError(t, other.Refresh(t.Context()))
	require.Equal(t, guard.Watch, other.Judge(t.Context(), about(1)).Outcome)
}

func TestCanary(t *testing.T) {
	d := newDesk(t)
	d.mode(guard.Mode{Mode: playbook.Enforce, Namespaces: []string{"shop", "bank"}, Labels: map[string]string{"app": "web"}})
	require.Equal(t, "allow", d.one(about(1)).String())
	v := d.one(about(2, func(q *guard.Question) { q.Pod.Labels = map[string]string{"app": "db"} }))
	require.Equal(t, "observe canary", v.String())
	require.Contains(t, v.Reason, "namespaces shop, bank; label app=web")
	require.Equal(t, "observe canary", d.one(about(3, func(q *guard.Question) {
		q.Pod.Labels = nil
		q.Alert.Riposte.Pod.Labels = map[string]string{"app": "web"}
	})).String(), "what the agent says of labels does not count")
	require.Equal(t, "observe canary", d.one(about(4, func(q *guard.Question) {
		q.Pod.Namespace, q.Target.Namespace, q.Alert.Riposte.Pod.Namespace = "other", "other", "other"
	})).String())
	host := container()
	require.Equal(t, "observe canary", d.one(host).String(), "what is in no namespace is in no canary")
}

func TestModeIsBounded(t *testing.T) {
	d := newDesk(t, limits(func(l *guard.Limits) {
		l.MaxMode, l.MaxModes = playbook.Approve, map[string]playbook.Mode{"q": playbook.Enforce, "r": playbook.Observe}
	}))
	require.Equal(t, "approve mode-approve", d.one(about(1)).String(), "the METADATA's mode is bounded too")
	r := about(2, func(q *guard.Question) { q.Playbook = "r" })
	require.Equal(t, "observe mode-observe", d.one(r).String())
	for name, m := range map[string]guard.Mode{
		"above the maximum":        {Playbook: "p", Mode: playbook.Enforce},
		"one's own above all":      {Playbook: "q", Mode: playbook.Enforce},
		"above one's own":          {Playbook: "r", Mode: playbook.Approve},
		"no mode":                  {Playbook: "p", Mode: "kill"},
		"a namespace without name": {Playbook: "p", Namespaces: []string{""}},
		"a long label":             {Playbook: "p", Labels: map[string]string{strings.Repeat("x", 400): "y"}},
		"a huge canary":            {Playbook: "p", Namespaces: make([]string, 101)},
	} {
		t.Run(name, func(t *testing.T) { require.ErrorIs(t, d.SetMode(t.Context(), m), guard.ErrMode) })
	}
}
