package bus_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"riposte/agent/alert"
	"riposte/agent/publish"
)

// Alone or in a batch, an alert names its trace.
func TestAnAlertNamesItsTrace(t *testing.T) {
	s := start(t)
	nc, stream := s.responder(t)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	config := stream.CachedInfo().Config
	config.AllowAtomicPublish = true
	_, err = js.UpdateStream(t.Context(), config)
	require.NoError(t, err)
	c := connect(t, s.options())
	acks := make(chan error, 1)
	done := func(err error) { acks <- err }
	subject := alert.Subject(cluster, node, alert.Critical)
	body, err := json.Marshal(&alert.Alert{UUID: uuid.Must(uuid.NewV7()).String(), Time: time.Now(), Riposte: &alert.Riposte{}})
	require.NoError(t, err)

	require.NoError(t, c.Publish(subject, "n1/b/1", body, done))
	require.NoError(t, wait(t, acks))
	require.NoError(t, c.PublishBatch([]publish.Packet{{Subject: subject, ID: "n1/b/2", Body: body}, {Subject: subject, ID: "n1/b/3", Body: []byte("{}")}}, done))
	require.NoError(t, wait(t, acks))
	consumer, err := stream.CreateConsumer(t.Context(), jetstream.ConsumerConfig{InactiveThreshold: time.Hour})
	require.NoError(t, err)
	for _, want := range []string{alert.TraceParent(body), alert.TraceParent(body), ""} {
		m, err := consumer.Next(jetstream.FetchMaxWait(10 * time.Second))
		require.NoError(t, err)
		require.Equal(t, want, m.Headers().Get(alert.HeaderTrace))
	}
	require.NotEmpty(t, alert.TraceParent(body))
}
