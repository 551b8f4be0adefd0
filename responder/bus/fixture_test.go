package bus_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"riposte/agent/alert"
	"riposte/deploy/standalone/natsd/natsdtest"
	"riposte/responder/bus"
)

// broker is a real server with a node "n.1" in the cluster "prod".
type broker struct {
	*natsdtest.Server
	t testing.TB
	// verify is the public half of the key that signs orders.
	verify ed25519.PublicKey
	sign   ed25519.PrivateKey
}

func start(t testing.TB) *broker {
	t.Helper()
	b := &broker{Server: natsdtest.Start(t, "prod", "n.1"), t: t}
	var err error
	b.verify, b.sign, err = ed25519.GenerateKey(nil)
	require.NoError(t, err)
	return b
}

func (b *broker) bus() *bus.Bus {
	b.t.Helper()
	c, err := bus.Connect(b.t.Context(), bus.Options{
		URL: b.URL(), Seed: b.Seed(b.t, natsdtest.Responder), OrderKey: b.sign, StreamBytes: 64 << 20,
		Log: slog.New(slog.NewTextHandler(b.t.Output(), nil)),
	})
	require.NoError(b.t, err)
	b.t.Cleanup(c.Close)
	return c
}

// node is a connection with the node's key, as the agent's is.
func (b *broker) node() *nats.Conn {
	b.t.Helper()
	return b.Connect(b.t, "n.1", alert.InboxPrefix("prod", "n.1"), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
}

// publish writes n messages into the stream and waits for the acknowledgements.
func (b *broker) publish(n int) {
	b.t.Helper()
	c := b.node()
	js, err := jetstream.New(c)
	require.NoError(b.t, err)
	for i := range n {
		data, err := json.Marshal(i)
		require.NoError(b.t, err)
		_, err = js.Publish(b.t.Context(), alert.Subject("prod", "n.1", alert.Critical), data)
		require.NoError(b.t, err)
	}
}

// run runs f until its context is cancelled, and waits for it.
func background(t testing.TB, f func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		select {
		case err := <-done:
			require.NoError(t, err)
		case <-time.After(10 * time.Second):
			t.Fatal("it did not stop")
		}
	}
	t.Cleanup(stop)
	return stop
}

func take[T any](t *testing.T, from <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(20 * time.Second):
		t.Fatalf("%s did not come", what)
		panic("unreachable")
	}
}
