package guard_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"riposte/responder/action"
	"riposte/responder/guard"
)

func TestReleaseOfWhatNobodyJudged(t *testing.T) {
	d := newDesk(t)
	require.Equal(t, "refuse not-judged", outcome{Verdict: d.release(uuid.NewString(), about(1))}.String())
	all := d.one(about(1))
	d.exec(`DELETE FROM guard_reservations`)
	require.Equal(t, "refuse not-judged", outcome{Verdict: d.release(all.ID, about(1))}.String(), "it has no place")
	notify := about(2, func(q *guard.Question) { q.Type = "notify" })
	require.Equal(t, "allow", outcome{Verdict: d.release(d.one(notify).ID, notify)}.String(), "it needs none")
	d.exec(`UPDATE guard_effects SET effect = '[]'`)
	require.Equal(t, "refuse not-judged", outcome{Verdict: d.release(all.ID, about(1))}.String())
}

// While the database is away nothing is done, and nothing ends either.
func TestReleaseWithoutADatabase(t *testing.T) {
	d := newDesk(t)
	all := d.one(about(1))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	v := d.Release(ctx, action.Request{ID: all.ID, Type: "delete_pod", Target: about(1).Target})
	require.Equal(t, "refuse guard-unavailable", outcome{Verdict: v}.String())
	require.True(t, v.Hold)
}

// A cluster that cannot be asked refuses, at the claim too.
func TestReleaseAsksTheClusterAgain(t *testing.T) {
	d := newDesk(t)
	all := d.one(about(1))
	d.cluster.set(0, errors.New("away"))
	require.Equal(t, "refuse workload-unknown", outcome{Verdict: d.release(all.ID, about(1))}.String())
}

func TestKillSwitchStopsWhatIsPlanned(t *testing.T) {
	for _, s := range []guard.Switch{{}, {Scope: guard.ScopeCluster, Name: "c"}, {Scope: guard.ScopePlaybook, Name: "p"}} {
		t.Run(string(s.Scope), func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			other := deskOn(t, d.store) // another replica, with a file of its own
			all := d.one(about(1))
			s.On, s.Actor, s.Reason = true, "user:jane", "so"
			require.NoError(t, d.Turn(t.Context(), s))
			for _, who := range []*desk{d, other} {
				v := who.release(all.ID, about(1))
				require.Equal(t, "refuse kill-switch", outcome{Verdict: v}.String())
				require.True(t, v.Hold)
				require.Equal(t, "refuse kill-switch", who.one(about(2)).String())
			}
			s.On = false
			require.NoError(t, other.Turn(t.Context(), s), "any replica turns it off")
			require.NoError(t, d.Refresh(t.Context()))
			for _, who := range []*desk{d, other} {
				require.Equal(t, "allow", outcome{Verdict: who.release(all.ID, about(1))}.String())
				require.Empty(t, who.Switches())
			}
		})
	}
}

func TestCounts(t *testing.T) {
	d := newDesk(t)
	d.one(about(1))
	d.one(about(1))
	d.one(about(2, func(q *guard.Question) { q.Pod.Owner = "Node/n" }))
	require.Equal(t, map[string]uint64{"allow": 1, "cooldown": 1, "mirror-pod": 1}, d.Counts())
}
