package bus_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"riposte/agent/alert"
	"riposte/agent/order"
	"riposte/deploy/standalone/natsd/natsdtest"
	"riposte/responder/bus"
)

type assertions = assert.CollectT

// observer reads the stream's state with the responder's key.
func (b *broker) observer(t testing.TB) jetstream.JetStream {
	t.Helper()
	js, err := jetstream.New(b.Connect(t, natsdtest.Responder, alert.ResponderInboxPrefix))
	require.NoError(t, err)
	return js
}

func killOrder(ttl time.Duration) order.Order {
	return order.Order{
		ID: "0199f000-0000-7000-8000-000000000001", Kind: order.Kill, Cluster: "prod", Node: "n.1",
		Target: order.Target{ContainerID: "c", CgroupID: 1, StartNS: 2}, Issued: time.Now(), Expires: time.Now().Add(ttl),
	}
}

// agent answers orders as a node would, with answer deciding what it says to the
// nth one.
func (b *broker) agent(answer func(n int, o order.Order) []byte) {
	b.t.Helper()
	c := b.node()
	n := 0
	_, err := c.Subscribe(order.Subject("prod", "n.1"), func(m *nats.Msg) {
		o, err := order.Open(b.verify, m.Data, "prod", "n.1", time.Now())
		if err != nil {
			b.t.Errorf("the order is no good: %v", err)
			return
		}
		n++
		if data := answer(n, o); data != nil {
			_ = m.Respond(data)
		}
	})
	require.NoError(b.t, err)
	require.NoError(b.t, c.Flush())
}

func receipt(o order.Order, outcome order.Outcome) []byte {
	data, err := json.Marshal(order.Receipt{OrderID: o.ID, Outcome: outcome, ExecutedNS: 5})
	if err != nil {
		panic(err)
	}
	return data
}

func TestOrderAndReceipt(t *testing.T) {
	b := start(t)
	c := b.bus()
	b.agent(func(_ int, o order.Order) []byte { return receipt(o, order.Done) })
	r, err := c.SendOrder(t.Context(), killOrder(time.Minute))
	require.NoError(t, err)
	require.Equal(t, order.Receipt{OrderID: killOrder(0).ID, Outcome: order.Done, ExecutedNS: 5}, r)
	require.Zero(t, c.Counts()["orders_repeated"])
}

func TestOrderIsRepeated(t *testing.T) {
	b := start(t)
	c := b.bus()
	b.agent(func(n int, o order.Order) []byte {
		if n < 3 {
			return nil // lost
		}
		return receipt(o, order.Gone)
	})
	r, err := c.SendOrder(t.Context(), killOrder(time.Minute))
	require.NoError(t, err)
	require.Equal(t, order.Gone, r.Outcome)
	require.EqualValues(t, 2, c.Counts()["orders_repeated"])
}

// The agent starts after the order was sent for the first time.
func TestOrderWaitsForTheAgent(t *testing.T) {
	b := start(t)
	c := b.bus()
	result := make(chan error, 1)
	go func() {
		_, err := c.SendOrder(t.Context(), killOrder(time.Minute))
		result <- err
	}()
	require.Eventually(t, func() bool { return c.Counts()["orders_repeated"] > 0 }, 10*time.Second, 10*time.Millisecond)
	b.agent(func(_ int, o order.Order) []byte { return receipt(o, order.Done) })
	require.NoError(t, take(t, result, "the receipt"))
}

func TestOrderExpires(t *testing.T) {
	b := start(t)
	c := b.bus()
	_, err := c.SendOrder(t.Context(), killOrder(400*time.Millisecond))
	require.ErrorIs(t, err, bus.ErrNoReceipt)
	require.ErrorContains(t, err, "no agent listens there")

	b.agent(func(int, order.Order) []byte { return nil })
	ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
	defer cancel()
	_, err = c.SendOrder(ctx, killOrder(time.Minute))
	require.ErrorIs(t, err, bus.ErrNoReceipt)
	require.ErrorContains(t, err, "has not answered")
}

// Only what is certainly this order's receipt ends the wait.
func TestBadReceipts(t *testing.T) {
	b := start(t)
	c := b.bus()
	other := killOrder(0)
	other.ID = "another"
	b.agent(func(n int, o order.Order) []byte {
		return [][]byte{[]byte("{"), make([]byte, 32<<10), receipt(other, order.Done), receipt(o, "perhaps"), receipt(o, order.Refused)}[min(n-1, 4)]
	})
	r, err := c.SendOrder(t.Context(), killOrder(time.Minute))
	require.NoError(t, err)
	require.Equal(t, order.Refused, r.Outcome)
	require.EqualValues(t, 4, c.Counts()["receipts_bad"])
}

func TestOversizeOrderIsNotSent(t *testing.T) {
	b := start(t)
	o := killOrder(time.Minute)
	o.Reason = string(make([]byte, order.MaxBytes))
	_, err := b.bus().SendOrder(t.Context(), o)
	require.ErrorContains(t, err, "are allowed")
}

func TestHeartbeats(t *testing.T) {
	b := start(t)
	c := b.bus()
	got := make(chan string, 10)
	background(t, func(ctx context.Context) error {
		return c.Heartbeats(ctx, func(_ context.Context, said map[string][]byte) {
			for subject, data := range said {
				got <- subject + " " + string(data)
			}
		})
	})
	node := b.node()
	subject := alert.HeartbeatSubject("prod", "n.1")
	require.EventuallyWithT(t, func(now *assertions) { // until the subscription is there
		require.NoError(now, node.Publish(subject, []byte("hello")))
		select {
		case s := <-got:
			require.Equal(now, subject+" hello", s)
		case <-time.After(50 * time.Millisecond):
			require.Fail(now, "nothing yet")
		}
	}, 10*time.Second, time.Millisecond)
}
