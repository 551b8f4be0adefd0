package ingest_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/agent/alert"
	"riposte/responder/ingest"
	"riposte/responder/playbook"
)

// inputs are what the playbooks were told, in the order of the alerts' numbers.
func (b *bench) inputs() (all []playbook.Input) {
	b.t.Helper()
	for _, text := range b.texts("SELECT input FROM decisions ORDER BY (input::jsonb #>> '{alert,riposte,seq}')::bigint") {
		var in playbook.Input
		require.NoError(b.t, json.Unmarshal([]byte(text), &in))
		all = append(all, in)
	}
	return all
}

func ofPriority(p alert.Priority) func(*alert.Alert) {
	return func(a *alert.Alert) { a.Priority = p }
}

// A playbook is told of the incident's earlier actions on other containers of the
// same workload, and of its worst alert.
func TestAnIncidentsHistoryIsInTheInput(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.handle(deliver(t, anAlert(1, inPod)))
	b.handle(deliver(t, anAlert(2, inPod, inContainer("other"), ofPriority(alert.Notice))))
	b.handle(deliver(t, anAlert(3, inContainer("elsewhere"), ofPriority(alert.Notice))))
	got := b.inputs()
	require.Len(t, got, 3)
	require.Empty(t, got[0].Incident.History)
	require.Len(t, got[1].Incident.History, 1)
	past := got[1].Incident.History[0]
	require.Equal(t, []string{"kill_container", "planned", "pb"}, []string{past.Type, past.State, past.Playbook})
	require.Equal(t, "Critical", got[1].Incident.Priority, "the worst so far")
	require.Empty(t, got[2].Incident.History, "another incident")
	require.Equal(t, "Notice", got[2].Incident.Priority)
}

// A playbook is told of the node's other incidents, those of its own batch too; not
// of other nodes', of older ones and of its own.
func TestNeighboursAreInTheInput(t *testing.T) {
	t.Parallel()
	clock := time.Now()
	b := setup(t, func(o *ingest.Options) { o.Now = func() time.Time { return clock } })
	handle := func(all ...*alert.Alert) {
		var batch []*delivery
		for _, a := range all {
			d := deliver(t, a)
			d.received = clock
			batch = append(batch, d)
		}
		b.handle(batch...)
	}
	handle(anAlert(1, inContainer("old")))
	clock = clock.Add(ingest.NeighbourTime + time.Second)
	handle(anAlert(2, inContainer("a"), ofPriority(alert.Warning)), anAlert(3, inContainer("a"), ofPriority(alert.Error)),
		anAlert(4, inPod), anAlert(5, ofNode("n2"), inContainer("b")))
	handle(anAlert(6, inContainer("c")), anAlert(7, inContainer("c"), func(a *alert.Alert) { a.Riposte.Intake = "sidekick" }))

	neighbours := func(in playbook.Input) (all []string) {
		for _, n := range in.Neighbours {
			all = append(all, n.About+" "+n.Priority)
		}
		return all
	}
	const a, web = "node/n1/container/a Error", "owner/shop/ReplicaSet/web Critical"
	got := b.inputs()
	require.Len(t, got, 7)
	require.Empty(t, neighbours(got[1]), "the older one is no neighbour")
	require.Empty(t, neighbours(got[2]), "its own incident")
	require.Equal(t, []string{a}, neighbours(got[3]), "of its own batch, with the worst priority")
	require.Empty(t, neighbours(got[4]), "another node")
	require.ElementsMatch(t, []string{a, web}, neighbours(got[5]), "as the database has it")
	require.Empty(t, neighbours(got[6]), "nobody vouches for its node")
}

// What leaves nothing behind is done once in an incident, and again in the next.
func TestPeopleAreToldAgainInTheNextIncident(t *testing.T) {
	t.Parallel()
	clock := time.Now()
	tell := killOwn
	tell.Type = "tell_people"
	b := setup(t, func(o *ingest.Options) {
		o.Now = func() time.Time { return clock }
		o.Actions = actions{"tell_people": "container", "kill_container": "container"}
		o.Playbooks = propose(tell, killOwn)
	})
	for seq := uint64(1); seq <= 3; seq++ {
		if seq == 3 {
			clock = clock.Add(2 * time.Hour)
		}
		b.handle(deliver(t, anAlert(seq)))
		_, err := b.store.Pool().Exec(t.Context(), "UPDATE actions SET state = 'succeeded'")
		require.NoError(t, err)
	}
	require.Equal(t, 2, b.count("incidents"))
	require.Equal(t, 2, b.count("actions WHERE type = 'tell_people'"))
	require.Equal(t, 1, b.count("actions WHERE type = 'kill_container'"))
}
