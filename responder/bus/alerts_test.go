package bus_test

import (
	"context"
	"crypto/ed25519"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"riposte/agent/alert"
	"riposte/deploy/standalone/natsd/natsdtest"
	"riposte/responder/bus"
)

func TestConnectNamesTheTrouble(t *testing.T) {
	b := start(t)
	good := bus.Options{URL: b.URL(), Seed: b.Seed(t, natsdtest.Responder), OrderKey: b.sign}
	for name, c := range map[string]struct {
		edit func(*bus.Options)
		want string
	}{
		"no key":      {func(o *bus.Options) { o.OrderKey = nil }, "the key that signs orders has 0 bytes"},
		"a bad seed":  {func(o *bus.Options) { o.Seed = []byte("x") }, "the responder's NATS seed"},
		"nobody":      {func(o *bus.Options) { o.URL = "nats://127.0.0.1:1" }, "connect to NATS at nats://127.0.0.1:1"},
		"a node's":    {func(o *bus.Options) { o.Seed = b.Seed(t, "n.1") }, "set up the stream ALERTS"},
		"a short key": {func(o *bus.Options) { o.OrderKey = ed25519.PrivateKey("short") }, "has 5 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			o := good
			c.edit(&o)
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			_, err := bus.Connect(ctx, o)
			require.ErrorContains(t, err, c.want)
		})
	}
}

// What waits comes in batches, in order, with all that the ingest wants to know.
func TestAlertsComeInBatches(t *testing.T) {
	b := start(t)
	c := b.bus()
	before := time.Now()
	b.publish(150)
	got := make(chan []*bus.Message, 200)
	first := make(chan struct{})
	stop := background(t, func(ctx context.Context) error {
		return c.Alerts(ctx, func(_ context.Context, batch []*bus.Message) {
			<-first // until all are there: what waits meanwhile makes full batches
			for _, m := range batch {
				require.NoError(t, m.Ack())
			}
			got <- batch
		})
	})
	time.AfterFunc(500*time.Millisecond, func() { close(first) })
	seen, largest := 0, 0
	for seen < 150 {
		batch := take(t, got, "a batch")
		largest = max(largest, len(batch))
		for _, m := range batch {
			require.Equal(t, strconv.Itoa(seen), string(m.Data()))
			require.Equal(t, alert.Subject("prod", "n.1", alert.Critical), m.Subject())
			require.WithinRange(t, m.ReceivedAt(), before, time.Now())
			seen++
		}
	}
	require.LessOrEqual(t, largest, bus.MaxBatch)
	require.Greater(t, largest, 1)
	stop()
	require.Eventually(t, func() bool { return b.left(t) == 0 }, 10*time.Second, 20*time.Millisecond, "an acknowledged message leaves the stream")
}

// left is how many messages the stream still has.
func (b *broker) left(t testing.TB) uint64 {
	t.Helper()
	return b.info(t).State.Msgs
}

func (b *broker) info(t testing.TB) *jetstream.StreamInfo {
	t.Helper()
	var info *jetstream.StreamInfo
	c := b.observer(t)
	require.EventuallyWithT(t, func(now *assertions) {
		s, err := c.Stream(t.Context(), alert.Stream)
		require.NoError(now, err)
		info = s.CachedInfo()
	}, 5*time.Second, 20*time.Millisecond)
	return info
}

// A responder that ends gives back at once what it holds; a Nak comes again, a
// Term does not.
func TestWhatIsNotAcknowledgedComesAgain(t *testing.T) {
	b := start(t)
	c := b.bus()
	b.publish(3)
	got := make(chan *bus.Message, 10)
	hold := func(ctx context.Context) error {
		return c.Alerts(ctx, func(_ context.Context, batch []*bus.Message) {
			for _, m := range batch {
				got <- m
			}
		})
	}
	stop := background(t, hold)
	held := []*bus.Message{take(t, got, "a message"), take(t, got, "a message"), take(t, got, "a message")}
	require.NoError(t, held[0].Nak(10*time.Millisecond))
	again := take(t, got, "the message that was not wanted")
	require.Equal(t, held[0].Data(), again.Data())
	require.NoError(t, again.Term("enough"))
	require.NoError(t, held[1].Nak(time.Hour))
	require.NoError(t, held[2].Ack())
	stop()
	require.EventuallyWithT(t, func(now *assertions) { require.EqualValues(now, 1, b.left(t)) }, 5*time.Second, 20*time.Millisecond)
}

func TestAlertsSurviveTheBroker(t *testing.T) {
	b := start(t)
	c := b.bus()
	b.publish(1)
	got := make(chan string, 10)
	background(t, func(ctx context.Context) error {
		return c.Alerts(ctx, func(_ context.Context, batch []*bus.Message) {
			for _, m := range batch {
				if m.Ack() == nil {
					got <- string(m.Data())
				}
			}
		})
	})
	take(t, got, "the first message")
	b.Stop()
	b.Again(t)
	b.publish(1)
	take(t, got, "the message after the restart")
	require.NotZero(t, c.Counts()["reconnects"])
}

func TestStreamIsBounded(t *testing.T) {
	b := start(t)
	b.bus()
	config := b.info(t).Config
	require.Equal(t, []string{"alerts.>"}, config.Subjects)
	require.Equal(t, jetstream.FileStorage, config.Storage)
	require.Equal(t, jetstream.DiscardNew, config.Discard)
	require.EqualValues(t, 64<<20, config.MaxBytes)
	require.Equal(t, bus.DefaultStreamAge, config.MaxAge)
	require.Less(t, int(config.MaxMsgSize), 512<<10)
	b.bus() // a second responder finds everything there
}

func TestNothingIsLeftRunning(t *testing.T) {
	b := start(t)
	work := func() {
		c, err := bus.Connect(t.Context(), bus.Options{URL: b.URL(), Seed: b.Seed(t, natsdtest.Responder), OrderKey: b.sign, StreamBytes: 64 << 20})
		require.NoError(t, err)
		stopAlerts := background(t, func(ctx context.Context) error { return c.Alerts(ctx, func(context.Context, []*bus.Message) {}) })
		stopBeats := background(t, func(ctx context.Context) error {
			return c.Heartbeats(ctx, func(context.Context, map[string][]byte) {})
		})
		stopAlerts()
		stopBeats()
		c.Close()
	}
	work() // the server, in this same process, starts goroutines for the stream and keeps them
	leak := goleak.IgnoreCurrent()
	work()
	goleak.VerifyNone(t, leak)
}

// BenchmarkAlerts measures how fast messages are taken and acknowledged.
func BenchmarkAlerts(b *testing.B) {
	broker := start(b)
	c := broker.bus()
	broker.publish(b.N)
	done := make(chan struct{})
	n := 0
	b.ResetTimer()
	stop := background(b, func(ctx context.Context) error {
		return c.Alerts(ctx, func(_ context.Context, batch []*bus.Message) {
			for _, m := range batch {
				_ = m.Ack()
			}
			if n += len(batch); n == b.N {
				close(done)
			}
		})
	})
	<-done
	for broker.left(b) > 0 {
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "alerts/s")
	stop()
}
