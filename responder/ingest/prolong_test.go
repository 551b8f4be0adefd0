package ingest_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/responder/guard"
	"riposte/responder/ingest"
	"riposte/responder/playbook"
)

// A second decision makes the effect last as long as it asks for, and never shorter.
func TestJoiningProlongs(t *testing.T) {
	t.Parallel()
	hold := func(kind, ttl string) playbook.Proposal {
		return playbook.Proposal{Type: kind, Reason: "a shell", Target: killOwn.Target, TTL: ttl}
	}
	proposal := hold("do_held", "90m")
	outcome := guard.Allow
	b := setup(t, func(o *ingest.Options) {
		o.Actions = actions{"do_held": "container", "do_it": "container"}
		o.Playbooks = answers(func(in playbook.Input) []playbook.Decision { return propose(proposal)(in) })
		o.Guard = verdicts(func(guard.Question) guard.Verdict { return guard.Verdict{Outcome: outcome} })
	})
	seq := uint64(0)
	ask := func(kind, ttl string) (entries int, note string) {
		t.Helper()
		before := b.count("audit WHERE kind = 'action.prolonged'")
		seq++
		proposal = hold(kind, ttl)
		b.handle(deliver(t, anAlert(seq, distinct)))
		if all := b.texts("SELECT note FROM audit WHERE kind = 'action.prolonged' ORDER BY seq DESC LIMIT 1"); len(all) > 0 {
			note = all[0]
		}
		return b.count("audit WHERE kind = 'action.prolonged'") - before, note
	}
	number := func(column, kind string) int64 {
		t.Helper()
		n, err := strconv.ParseInt(b.texts("SELECT coalesce(" + column + ", 0)::text FROM actions WHERE type = '" + kind + "'")[0], 10, 64)
		require.NoError(t, err)
		return n
	}
	ttl := func() time.Duration { return time.Duration(number("ttl_ns", "do_held")) }
	left := func() time.Duration { return time.Until(time.Unix(0, number("lift_ns", "do_held"))) }
	set := func(sql string, args ...any) {
		t.Helper()
		_, err := b.store.Pool().Exec(t.Context(), "UPDATE actions SET "+sql, args...)
		require.NoError(t, err)
	}

	n, _ := ask("do_held", "90m")
	require.Zero(t, n)
	n, note := ask("do_held", "2h")
	require.Equal(t, 1, n)
	require.Equal(t, "it will hold for 2h0m0s", note)
	require.Equal(t, 2*time.Hour, ttl())
	for _, shorter := range []string{"90m", "2h", ""} { // without one it ends with its lease of an hour
		n, _ = ask("do_held", shorter)
		require.Zero(t, n, shorter)
	}
	require.Equal(t, 2*time.Hour, ttl())
	require.Equal(t, 1, b.count("actions"))
	require.Equal(t, 1, b.count("river.river_job"))

	// It is caused, and is to be lifted.
	now := time.Now()
	set("state = 'succeeded', executed_ns = $1, lift_ns = $2, renew_ns = $2", now.UnixNano(), now.Add(2*time.Hour).UnixNano())
	n, _ = ask("do_held", "1h")
	require.Zero(t, n)
	require.Equal(t, now.Add(2*time.Hour).UnixNano(), number("lift_ns", "do_held"))
	n, note = ask("do_held", "3h")
	require.Equal(t, 1, n)
	require.Contains(t, note, "it holds until 20")
	require.InDelta(t, 3*time.Hour, left(), float64(time.Minute))
	require.LessOrEqual(t, number("renew_ns", "do_held"), time.Now().UnixNano(), "its lease is renewed now")
	lift := number("lift_ns", "do_held")
	n, _ = ask("do_held", "3h")
	require.Zero(t, n, "hardly later: a flood of these writes nothing")
	require.Equal(t, lift, number("lift_ns", "do_held"))

	// Of people it is for people to decide; who is asked has not agreed yet.
	set("lift_by = 'user:jane'")
	n, _ = ask("do_held", "9h")
	require.Zero(t, n)
	set("lift_by = '', lift_holder = 'somebody', lift_ns = 1")
	n, _ = ask("do_held", "9h")
	require.Zero(t, n, "it is being lifted")
	set("lift_holder = ''")
	outcome = guard.Ask
	n, _ = ask("do_held", "9h")
	require.Zero(t, n, "nobody has agreed yet")
	outcome = guard.Allow
	n, _ = ask("do_held", "9h")
	require.Equal(t, 1, n)
	require.InDelta(t, 9*time.Hour, left(), float64(time.Minute))
	require.Equal(t, 1, b.count("actions"))

	// Without a ttl and a lease there is no end.
	n, _ = ask("do_it", "5m")
	require.Zero(t, n)
	set("state = 'succeeded', executed_ns = 1, lift_ns = $1, renew_ns = NULL WHERE type = 'do_it'", now.Add(5*time.Minute).UnixNano())
	n, note = ask("do_it", "")
	require.Equal(t, 1, n)
	require.Equal(t, "it holds until somebody lifts it", note)
	require.Zero(t, number("lift_ns", "do_it"))
	n, _ = ask("do_it", "9h")
	require.Zero(t, n)
	require.Zero(t, number("lift_ns", "do_it"))
	require.Equal(t, 4, b.count("audit WHERE kind = 'action.prolonged' AND actor = 'playbook:pb@r1' AND action_id IN (SELECT id FROM actions)"))
}

// Several decisions of one batch count as the longest of them.
func TestABatchProlongsOnce(t *testing.T) {
	t.Parallel()
	ttls := []string{"10m", "1h", "30m", "50m"}
	b := setup(t, func(o *ingest.Options) {
		o.Actions = actions{"do_it": "container"}
		o.Playbooks = answers(func(in playbook.Input) []playbook.Decision {
			p := playbook.Proposal{Type: "do_it", Reason: "a shell", Target: killOwn.Target, TTL: ttls[in.Alert.Riposte.Seq-1]}
			return propose(p)(in)
		})
	})
	var batch []*delivery
	for n := range ttls {
		batch = append(batch, deliver(t, anAlert(uint64(n+1), distinct)))
	}
	b.handle(batch...)
	require.Equal(t, []string{"3600000000000"}, b.texts("SELECT ttl_ns::text FROM actions"))
	require.Equal(t, []string{"it will hold for 1h0m0s"}, b.texts("SELECT note FROM audit WHERE kind = 'action.prolonged'"))
}
