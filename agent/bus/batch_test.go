package bus_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"riposte/agent/alert"
	"riposte/agent/bus"
	"riposte/agent/publish"
	"riposte/deploy/logtest"
)

func packets(subject string, from, to int) (all []publish.Packet) {
	for i := from; i <= to; i++ {
		all = append(all, publish.Packet{Subject: subject, ID: fmt.Sprint("n1/b/", i), Body: []byte(strconv.Itoa(i))})
	}
	return all
}

func stored(t *testing.T, stream jetstream.Stream) uint64 {
	t.Helper()
	info, err := stream.Info(t.Context())
	require.NoError(t, err)
	return info.State.Msgs
}

// All of a batch is stored at once. A batch with a message that is stored already
// is refused whole, and the caller is told that it may try one by one.
func TestABatchIsAllOrNothing(t *testing.T) {
	s := start(t)
	nc, stream := s.responder(t)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	c := connect(t, s.options())
	subject := alert.Subject(cluster, node, alert.Critical)
	acks := make(chan error, 2)
	done := func(err error) { acks <- err }

	// The stream takes no batches.
	require.True(t, c.Batches())
	require.NoError(t, c.PublishBatch(packets(subject, 1, 3), done))
	require.ErrorIs(t, wait(t, acks), publish.ErrBatch)
	require.False(t, c.Batches(), "it is not tried again")
	require.Zero(t, stored(t, stream))

	config := stream.CachedInfo().Config
	config.AllowAtomicPublish = true
	_, err = js.UpdateStream(t.Context(), config)
	require.NoError(t, err)
	c = connect(t, s.options())
	require.NoError(t, c.PublishBatch(packets(subject, 1, 50), done))
	require.NoError(t, wait(t, acks))
	require.EqualValues(t, 50, stored(t, stream))
	require.NoError(t, c.PublishBatch(packets(subject, 50, 60), done))
	require.ErrorIs(t, wait(t, acks), publish.ErrBatch)
	require.EqualValues(t, 50, stored(t, stream))
	require.True(t, c.Batches(), "the next batch may go")
	require.NoError(t, c.PublishBatch(packets(subject, 51, 60), done))
	require.NoError(t, wait(t, acks))
	require.EqualValues(t, 60, stored(t, stream))
}

func TestABatchOnItsWayFailsWhenTheBusGoes(t *testing.T) {
	s := start(t)
	opt := s.options()
	opt.AckTimeout = time.Minute
	c := connect(t, opt)
	nc, _ := s.responder(t)
	// Somebody listens on this node's heartbeat subject and nobody answers.
	_, err := nc.SubscribeSync(alert.HeartbeatSubject(cluster, node))
	require.NoError(t, err)
	require.NoError(t, nc.Flush())
	acks := make(chan error, 1)
	require.NoError(t, c.PublishBatch(packets(alert.HeartbeatSubject(cluster, node), 1, 2), func(err error) { acks <- err }))
	s.Stop()
	require.Error(t, wait(t, acks))
	require.False(t, c.Batches())
	require.Error(t, c.PublishBatch(packets("x", 1, 2), func(error) { t.Error("called") }))
}

// A forbidden publish is said clearly, once, and is not waited for.
func TestAForbiddenPublishIsSaidClearly(t *testing.T) {
	s := start(t)
	_, stream := s.responder(t)
	var log logtest.Log
	opt := s.options()
	opt.AckTimeout = time.Minute
	opt.Log = slog.New(slog.NewTextHandler(&log, nil))
	c := connect(t, opt)
	foreign := alert.Subject(cluster, "other", alert.Critical)
	acks := make(chan error, 8)
	done := func(err error) { acks <- err }
	for range 3 {
		require.NoError(t, c.Publish(foreign, "x", []byte("one"), done))
		require.ErrorIs(t, wait(t, acks), bus.ErrForbidden)
	}
	require.NoError(t, c.PublishBatch(packets(foreign, 1, 5), done))
	require.ErrorIs(t, wait(t, acks), bus.ErrForbidden)
	require.Equal(t, 1, bytes.Count([]byte(log.String()), []byte("does not take this node's alerts")))
	require.Contains(t, log.String(), foreign)
	require.Zero(t, stored(t, stream))
	require.NoError(t, c.Publish(alert.Subject(cluster, node, alert.Critical), "y", []byte("one"), done))
	require.NoError(t, wait(t, acks), "its own subject is open")
}

// What has no acknowledgement is bounded, and beyond the bound Publish says so at
// once: it never waits for the server.
func TestPublishNeverStalls(t *testing.T) {
	s := start(t)
	nc, _ := s.responder(t)
	subject := alert.HeartbeatSubject(cluster, node) // nobody acknowledges there
	_, err := nc.Subscribe(subject, func(*nats.Msg) {})
	require.NoError(t, err)
	require.NoError(t, nc.Flush())
	opt := s.options()
	opt.AckTimeout = time.Minute
	c := connect(t, opt)
	n := 0
	for ; n < 10_000; n++ {
		if err = c.Publish(subject, fmt.Sprint("n1/b/", n), nil, func(error) {}); err != nil {
			break
		}
	}
	require.ErrorContains(t, err, "too many messages without an acknowledgement")
	require.Equal(t, 4095, n)
}
