package bus_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"riposte/agent/alert"
	"riposte/deploy/standalone/natsd/natsdtest"
	"riposte/responder/bus"
)

// Position says what is in the stream and how far all of it is dealt with: a
// message that is held counts, those behind it do not.
func TestPosition(t *testing.T) {
	b := start(t)
	c := b.bus()
	last, done, err := c.Position(t.Context())
	require.NoError(t, err)
	require.Zero(t, last)
	require.Zero(t, done)
	b.publish(5)
	last, done, err = c.Position(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 5, last)
	require.Zero(t, done)

	var mu sync.Mutex
	var held []*bus.Message
	answered := make(chan struct{}, 5)
	background(t, func(ctx context.Context) error {
		return c.Alerts(ctx, func(_ context.Context, batch []*bus.Message) {
			for _, m := range batch {
				if string(m.Data()) == "2" { // the third
					mu.Lock()
					held = append(held, m)
					mu.Unlock()
				} else if err := m.Ack(); err != nil {
					t.Error(err)
				}
				answered <- struct{}{}
			}
		})
	})
	for range 5 {
		take(t, answered, "a message")
	}
	reach := func(want uint64) {
		t.Helper()
		require.Eventually(t, func() bool {
			last, done, err = c.Position(t.Context())
			return err == nil && last == 5 && done == want
		}, 10*time.Second, 10*time.Millisecond)
	}
	reach(2)
	mu.Lock()
	require.NoError(t, held[0].Ack())
	mu.Unlock()
	reach(5)
}

// Silence counts only while somebody listens.
func TestHearing(t *testing.T) {
	b := start(t)
	c := b.bus()
	require.True(t, c.Hearing().IsZero())
	stop := background(t, func(ctx context.Context) error {
		return c.Heartbeats(ctx, func(context.Context, map[string][]byte) {})
	})
	require.Eventually(t, func() bool { return !c.Hearing().IsZero() }, 10*time.Second, time.Millisecond)
	since := c.Hearing()
	b.Stop()
	require.Eventually(t, func() bool { return c.Hearing().IsZero() }, 10*time.Second, time.Millisecond)
	b.Again(t)
	require.Eventually(t, func() bool { return c.Hearing().After(since) }, 10*time.Second, time.Millisecond)
	stop()
	require.True(t, c.Hearing().IsZero())
}

// The stream takes atomic batches, with the node's own key.
func TestTheStreamTakesBatches(t *testing.T) {
	b := start(t)
	c := b.bus()
	node := b.node()
	message := func(seq string) *nats.Msg {
		return &nats.Msg{Subject: alert.Subject("prod", "n.1", alert.Critical), Data: []byte(seq), Header: nats.Header{
			"Nats-Batch-Id": {"batch"}, "Nats-Batch-Sequence": {seq}, jetstream.MsgIDHeader: {"n.1/b/" + seq},
		}}
	}
	require.NoError(t, node.PublishMsg(message("1")))
	require.NoError(t, node.PublishMsg(message("2")))
	require.NoError(t, node.Flush())
	last, _, err := c.Position(t.Context())
	require.NoError(t, err)
	require.Zero(t, last, "nothing before the commit")
	commit := message("3")
	commit.Header.Set("Nats-Batch-Commit", "1")
	answer, err := node.RequestMsg(commit, 10*time.Second)
	require.NoError(t, err)
	require.Contains(t, string(answer.Data), `"count":3`)
	last, _, err = c.Position(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 3, last)
}

// Replicas beyond what the server has are one clear error.
func TestReplicasThatThereAreNot(t *testing.T) {
	b := start(t)
	_, err := bus.Connect(t.Context(), bus.Options{URL: b.URL(), Seed: b.Seed(t, natsdtest.Responder), OrderKey: b.sign, StreamReplicas: 3})
	require.ErrorContains(t, err, "set up the stream ALERTS")
	require.ErrorContains(t, err, "replicas")
}
