package bus_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"riposte/agent/alert"
	"riposte/agent/order"
	"riposte/responder/bus"
)

// hears subscribes as the node "n.1" does.
func (b *broker) hears(subject string) chan *nats.Msg {
	b.t.Helper()
	c, got := b.node(), make(chan *nats.Msg, 100)
	_, err := c.ChanSubscribe(subject, got)
	require.NoError(b.t, err)
	require.NoError(b.t, c.Flush())
	return got
}

func (b *broker) standing(got chan *nats.Msg) order.Standing {
	b.t.Helper()
	s, err := order.OpenStanding(b.verify, take(b.t.(*testing.T), got, "a standing order").Data, "prod")
	require.NoError(b.t, err)
	return s
}

func (b *broker) kill(got chan *nats.Msg) order.Switch {
	b.t.Helper()
	s, err := order.OpenSwitch(b.verify, take(b.t.(*testing.T), got, "a kill switch").Data, "prod")
	require.NoError(b.t, err)
	return s
}

func trigger(playbook string) order.Trigger {
	return order.Trigger{Playbook: playbook, Contain: order.Freeze, Rules: []string{"Shell"}}
}

func TestAgentsAreToldWhatStands(t *testing.T) {
	b := start(t)
	standings, switches := b.hears(order.StandingSubject("prod")), b.hears(order.SwitchSubject("prod"))
	a := bus.NewAnnouncer(b.bus(), "prod")
	background(t, a.Run)
	require.NoError(t, a.SetStanding(bus.Standing{Triggers: []order.Trigger{trigger("one")}, Protect: order.Protect{Namespaces: []string{"kube-system"}}}))
	first := b.standing(standings)
	require.Equal(t, "one", first.Triggers[0].Playbook)
	require.Equal(t, []string{"kube-system"}, first.Protect.Namespaces)
	require.Greater(t, time.Until(first.Expires), time.Hour)

	require.NoError(t, a.SetStanding(bus.Standing{Triggers: []order.Trigger{trigger("two")}}))
	second := b.standing(standings)
	require.Equal(t, "two", second.Triggers[0].Playbook)
	require.Greater(t, second.Serial, first.Serial)

	at := time.Now().UTC().Truncate(time.Second)
	a.SetStops([]bus.Stop{
		{Cluster: "prod", Reason: "drill", Actor: "me", At: at}, {Playbook: "two"}, {Cluster: "staging", Playbook: "three"},
	})
	on := b.kill(switches)
	require.True(t, on.On)
	require.Equal(t, "drill", on.Reason)
	require.Equal(t, at, on.At)
	require.Equal(t, []string{"two"}, on.Playbooks)
	a.SetStops(nil)
	off := b.kill(switches)
	require.False(t, off.On)
	require.Empty(t, off.Playbooks)
	require.Greater(t, off.Serial, on.Serial)
}

func TestAnAgentThatStartsIsToldAtItsFirstHeartbeat(t *testing.T) {
	b := start(t)
	standings, switches := b.hears(order.StandingSubject("prod")), b.hears(order.SwitchSubject("prod"))
	a := bus.NewAnnouncer(b.bus(), "another")
	background(t, a.Run)
	require.NoError(t, a.SetStanding(bus.Standing{}))
	a.SetStops(nil)
	node := b.node()
	beat := func(boot string) {
		require.NoError(t, node.Publish(alert.HeartbeatSubject("prod", "n.1"), []byte(`{"boot_id":"`+boot+`"}`)))
		require.NoError(t, node.Flush())
	}
	require.EventuallyWithT(t, func(now *assertions) { // until the subscription is there
		beat(time.Now().String())
		require.NotEmpty(now, standings)
	}, 20*time.Second, 300*time.Millisecond)
	serial := b.kill(switches).Serial
	for len(standings) > 0 {
		<-standings
	}
	beat("last")
	b.standing(standings)
	require.Equal(t, serial, b.kill(switches).Serial, "the switch is repeated as it was, so that no replica outbids another")
}

func TestWhatNoAgentWouldTakeIsAnError(t *testing.T) {
	b := start(t)
	a := bus.NewAnnouncer(b.bus(), "prod")
	melt := trigger("one")
	melt.Contain = "melt"
	require.ErrorContains(t, a.SetStanding(bus.Standing{Triggers: []order.Trigger{melt}}), "triggers[0]: contain")
	all := trigger("one")
	all.Rules = nil
	require.ErrorContains(t, a.SetStanding(bus.Standing{Triggers: []order.Trigger{all}}), "fit every alert")
	require.ErrorContains(t, a.SetStanding(bus.Standing{Triggers: make([]order.Trigger, order.MaxTriggers+1)}), "are allowed")
}

func TestLiftImmediate(t *testing.T) {
	b := start(t)
	c := b.bus()
	orders := make(chan order.Order, 1)
	b.agent(func(_ int, o order.Order) []byte { orders <- o; return receipt(o, order.Done) })
	a := &alert.Alert{UUID: "u", Riposte: &alert.Riposte{
		Cluster: "prod", Node: "n.1", Container: &alert.Container{ID: "c", CgroupID: 1, StartNS: 2},
	}}
	_, err := c.LiftImmediate(t.Context(), a, "observed")
	require.ErrorContains(t, err, "not contained")
	for kind, want := range map[string]order.Kind{"freeze": order.Thaw, "cut": order.Reconnect} {
		a.Riposte.Contained = &alert.Contained{Kind: kind, LeaseNS: int64(time.Minute)}
		r, err := c.LiftImmediate(t.Context(), a, "observed")
		require.NoError(t, err)
		require.Equal(t, order.Done, r.Outcome)
		o := <-orders
		require.Equal(t, want, o.Kind)
		require.Equal(t, order.HoldStanding, o.Of)
		require.Equal(t, order.Target{ContainerID: "c", CgroupID: 1, StartNS: 2}, o.Target)
	}
}
