package ingest_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/agent/alert"
	"riposte/responder/guard"
	"riposte/responder/ingest"
	"riposte/responder/playbook"
)

// witness keeps what it is told.
type witness struct {
	stored  []ingest.Stored
	left    map[ingest.Leaving][]string
	batches []int
}

func (w *witness) Stored(s ingest.Stored) { w.stored = append(w.stored, s) }
func (w *witness) Left(why ingest.Leaving, priority string) {
	w.left[why] = append(w.left[why], priority)
}
func (w *witness) Batch(messages int, _ time.Duration) { w.batches = append(w.batches, messages) }

func witnessed(t *testing.T, edit ...func(*ingest.Options)) (*bench, *witness) {
	t.Helper()
	w := &witness{left: map[ingest.Leaving][]string{}}
	edit = append(edit, func(o *ingest.Options) { o.Observer = w })
	return setup(t, edit...), w
}

func TestWhatBecomesOfAlertsIsTold(t *testing.T) {
	b, w := witnessed(t)
	first, equal := anAlert(1, inPod), anAlert(2, inPod)
	one := deliver(t, first)
	b.handle(one, deliver(t, equal))
	b.handle(one)
	b.handle(&delivery{subject: "alerts.prod.n1.error", data: []byte("no alert"), received: time.Now()}, &delivery{subject: "nonsense", data: []byte("{}"), received: time.Now()})
	require.Equal(t, []int{2, 1, 2}, w.batches)
	require.Equal(t, map[ingest.Leaving][]string{ingest.Duplicate: {"critical"}, ingest.Dead: {"error", "unknown"}}, w.left)
	require.Len(t, w.stored, 2)

	s := w.stored[0]
	require.Equal(t, first.UUID, s.Alert.UUID)
	require.Equal(t, first.UUID, s.Row)
	require.False(t, s.Repeated())
	require.Equal(t, playbook.Bound, s.Binding)
	require.Equal(t, "shop", s.Namespace)
	require.Equal(t, b.texts("SELECT id::text FROM incidents")[0], s.IncidentID)
	require.Equal(t, one.received, s.Received)
	require.False(t, s.Decided.Before(s.Received))
	require.False(t, s.Committed.Before(s.Decided))
	require.Equal(t, []ingest.Evaluated{{Playbook: "pb", Revision: "r1", Mode: "enforce", State: "decided"}}, s.Evaluated)
	require.Equal(t, "kill_container", s.Planned[0].Type)
	require.Equal(t, "planned", s.Planned[0].State)
	require.Equal(t, b.texts("SELECT id::text FROM actions")[0], s.Planned[0].ID)
	require.Len(t, s.Planned, 2)
	require.Equal(t, ingest.Planned{ID: s.Planned[0].ID, Type: "kill_container", Playbook: "pb", State: "joined"}, s.Planned[1], "the equal alert's action joins")

	require.True(t, w.stored[1].Repeated())
	require.Equal(t, first.UUID, w.stored[1].Row)
	require.Empty(t, w.stored[1].Planned)
}

func TestARefusalIsTold(t *testing.T) {
	b, w := witnessed(t, func(o *ingest.Options) {
		o.Guard = always(guard.Refuse)
		o.Playbooks = answers(func(in playbook.Input) []playbook.Decision {
			all := propose(killOwn)(in)
			return append(all, playbook.Decision{Playbook: "slow", Revision: "r2", Mode: playbook.Observe, Input: all[0].Input, Refusal: "too late", Late: true, Took: time.Second})
		})
	})
	b.handle(deliver(t, anAlert(1)))
	require.Equal(t, "refused", w.stored[0].Planned[0].State)
	require.Equal(t, "test-rule", w.stored[0].Planned[0].Rule)
	require.Equal(t, ingest.Evaluated{Playbook: "slow", Revision: "r2", Mode: "observe", State: "refused", Late: true, Took: time.Second}, w.stored[0].Evaluated[1])
}

// Two responders hold the same message: one of them tells of it as stored.
func TestADuplicateOfAnotherResponderIsTold(t *testing.T) {
	b, w := witnessed(t)
	a := anAlert(1)
	other := ingest.New(b.Options)
	b.Playbooks = answers(func(in playbook.Input) []playbook.Decision {
		ingest.Batch[*delivery](other)(t.Context(), []*delivery{deliver(t, a)})
		return propose(killOwn)(in)
	})
	b.handle(deliver(t, a))
	require.Len(t, w.stored, 1)
	require.Equal(t, []string{alert.Critical.Token()}, w.left[ingest.Duplicate])
}
