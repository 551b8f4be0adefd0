package ingest_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"riposte/agent/alert"
	agentbus "riposte/agent/bus"
	"riposte/agent/publish"
	"riposte/deploy/standalone/natsd/natsdtest"
	"riposte/deploy/standalone/postgres"
	"riposte/responder/bus"
	"riposte/responder/execute"
	"riposte/responder/guard"
	"riposte/responder/ingest"
	"riposte/responder/store"
	"riposte/responder/store/storetest"
)

// line is the real way from an agent's publish to the database's rows.
type line struct {
	t     testing.TB
	in    *ingest.Ingest
	store *store.Store
	bus   *bus.Bus
	js    jetstream.JetStream
	// url and seed let node n1's agent in.
	url, seed string
}

// newLine connects a database with a broker that node n1 may publish on.
func newLine(t testing.TB, url string) *line {
	t.Helper()
	l := &line{t: t}
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	server := natsdtest.Start(t, "prod", "n1")
	var err error
	l.store, err = store.Open(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(l.store.Close)
	l.in = ingest.New(ingest.Options{
		Store: l.store, Playbooks: propose(killOwn), Guard: always(guard.Watch), Actions: actions{"kill_container": "container"},
		Enqueue: execute.Enqueue, Cluster: "prod", Log: log,
	})
	l.url, l.seed = server.URL(), server.SeedFile("n1")
	_, sign, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	l.bus, err = bus.Connect(t.Context(), bus.Options{URL: server.URL(), Seed: server.Seed(t, natsdtest.Responder), OrderKey: sign, StreamBytes: 256 << 20, Log: log})
	require.NoError(t, err)
	t.Cleanup(l.bus.Close)

	l.js, err = jetstream.New(server.Connect(t, "n1", alert.InboxPrefix("prod", "n1")))
	require.NoError(t, err)
	return l
}

// publish sends an alert as the agent does; the subject is always n1's.
func (l *line) publish(all ...*alert.Alert) {
	l.t.Helper()
	for _, a := range all {
		data, err := json.Marshal(a)
		require.NoError(l.t, err)
		_, err = l.js.PublishAsync(alert.Subject("prod", "n1", a.Priority), data, jetstream.WithMsgID(a.Riposte.MessageID()))
		require.NoError(l.t, err)
	}
	select {
	case <-l.js.PublishAsyncComplete():
	case <-time.After(30 * time.Second):
		l.t.Fatal("the broker did not take the alerts")
	}
}

// run takes alerts until stop is called.
func (l *line) run(handle func(context.Context, []*bus.Message)) (stop func()) {
	ctx, cancel := context.WithCancel(l.t.Context())
	done := make(chan error, 1)
	go func() { done <- l.bus.Alerts(ctx, handle) }()
	var once atomic.Bool
	stop = func() {
		if once.Swap(true) {
			return
		}
		cancel()
		require.NoError(l.t, <-done)
	}
	l.t.Cleanup(stop)
	return stop
}

func (l *line) count(from string) (n int) {
	l.t.Helper()
	require.NoError(l.t, l.store.Pool().QueryRow(l.t.Context(), "SELECT count(*) FROM "+from).Scan(&n))
	return n
}

// alerts makes alerts of which no two are equal.
func alerts(from, to uint64, edit ...func(*alert.Alert)) (all []*alert.Alert) {
	for seq := from; seq <= to; seq++ {
		all = append(all, anAlert(seq, append(edit, distinct)...))
	}
	return all
}

func TestLine(t *testing.T) {
	t.Parallel()
	l := newLine(t, storetest.URL(t))
	all := alerts(1, 300)
	l.publish(all...)
	l.publish(all[:20]...) // the agent repeats what it is not sure of
	// A node that says it is another: on its own subject, because no other is open to it.
	l.publish(alerts(301, 303, ofNode("n2"))...)
	l.run(ingest.Batch[*bus.Message](l.in))
	require.Eventually(t, func() bool { return l.in.Counts()["stored"] == 300 && l.in.Counts()["rejected_foreign"] == 3 }, 30*time.Second, 10*time.Millisecond)
	require.Equal(t, 300, l.count("alerts"))
	require.Equal(t, 300, l.count("actions WHERE state = 'observed'"))
	require.Zero(t, l.count("alerts WHERE node = 'n2'"))
	require.Equal(t, 1, l.count("incidents WHERE alerts = 300"))
}

// lost is a message whose acknowledgement never gets to the broker, because the
// process was killed right after the commit.
type lost struct{ *bus.Message }

func (lost) Ack() error { return errors.New("killed") }

func TestKilledBetweenCommitAndAck(t *testing.T) {
	t.Parallel()
	l := newLine(t, storetest.URL(t))
	l.publish(alerts(1, 10)...)
	stop := l.run(func(ctx context.Context, batch []*bus.Message) {
		var all []ingest.Message
		for _, m := range batch {
			all = append(all, lost{m})
		}
		l.in.Handle(ctx, all)
	})
	require.Eventually(t, func() bool { return l.in.Counts()["stored"] == 10 }, 10*time.Second, 10*time.Millisecond)
	stop()
	before := l.count("audit")
	l.run(ingest.Batch[*bus.Message](l.in))
	require.Eventually(t, func() bool { return l.in.Counts()["duplicates"] == 10 }, 30*time.Second, 50*time.Millisecond, "the broker delivers again")
	require.Equal(t, 10, l.count("alerts"))
	require.Equal(t, 10, l.count("actions"))
	require.Equal(t, before, l.count("audit"))
}

// PostgreSQL stops while alerts come and starts again later: all are there, once.
func TestPostgresStopsAndStarts(t *testing.T) {
	t.Parallel()
	storetest.New(t)                                // skips, or fails under CI, where PostgreSQL is missing
	dir, err := os.MkdirTemp("", "riposte-ingest-") // the test's own folder is closed to the server's user
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	options := postgres.Options{Dir: dir, Throwaway: true}
	database, err := postgres.Start(t.Context(), options)
	require.NoError(t, err)
	t.Cleanup(func() { _ = database.Stop() })
	require.NoError(t, store.Migrate(t.Context(), database.URL()))
	l := newLine(t, database.URL())
	l.run(ingest.Batch[*bus.Message](l.in))

	l.publish(alerts(1, 100)...)
	require.Eventually(t, func() bool { return l.in.Counts()["stored"] > 0 }, 10*time.Second, time.Millisecond)
	require.NoError(t, database.Stop())
	l.publish(alerts(101, 300)...)
	require.Eventually(t, func() bool { return l.in.Counts()["waited"] > 0 }, 20*time.Second, 10*time.Millisecond)
	database, err = postgres.Start(t.Context(), options)
	require.NoError(t, err)

	require.Eventually(t, func() bool { return l.count("alerts") == 300 }, 60*time.Second, 50*time.Millisecond)
	require.Equal(t, 300, l.count("inbox"))
	require.Equal(t, 300, l.count("actions"))
	require.Equal(t, 300, l.count("audit WHERE kind = 'alert'"))
	require.Zero(t, l.in.Counts()["dead_letters"])
	require.Zero(t, l.in.Counts()["failed"])
}

// BenchmarkIngest measures the whole line with everything on one machine: from the
// agent's publish, acknowledged by a broker that syncs each message, to committed
// rows, with one decision, one observed action and three audit entries each. No
// two alerts are equal. Publishing and storing go on at the same time.
func BenchmarkIngest(b *testing.B) {
	const window = 256 // the spool's
	for name, size := range map[string]int{"one by one": 1, "in atomic batches": 64} {
		b.Run(name, func(b *testing.B) {
			l := newLine(b, storetest.URL(b))
			all := alerts(1, uint64(b.N))
			packets := make([]publish.Packet, len(all))
			for i, a := range all {
				body, err := a.MarshalJSON()
				require.NoError(b, err)
				packets[i] = publish.Packet{Subject: alert.Subject("prod", "n1", a.Priority), ID: a.Riposte.MessageID(), Body: body}
			}
			node := l.agent()
			slots := make(chan struct{}, window/size)
			done := func(err error) {
				if err != nil {
					b.Error(err)
				}
				<-slots
			}
			report := storetest.Cost(b)
			b.ResetTimer()
			stop := l.run(ingest.Batch[*bus.Message](l.in))
			for len(packets) > 0 {
				n := min(size, len(packets))
				slots <- struct{}{}
				if size == 1 {
					p := packets[0]
					require.NoError(b, node.Publish(p.Subject, p.ID, p.Body, done))
				} else {
					require.NoError(b, node.PublishBatch(packets[:n], done))
				}
				packets = packets[n:]
			}
			for l.in.Counts()["stored"] < uint64(b.N) {
				time.Sleep(time.Millisecond)
			}
			b.StopTimer()
			stop()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "alerts/s")
			report(b.N)
		})
	}
}

// agent is node n1's connection, as the agent has it.
func (l *line) agent() *agentbus.Conn {
	l.t.Helper()
	c, err := agentbus.Connect(agentbus.Options{URL: l.url, SeedFile: l.seed, Cluster: "prod", Node: "n1"})
	require.NoError(l.t, err)
	l.t.Cleanup(func() { require.NoError(l.t, c.Close()) })
	return c
}

// BenchmarkHandle measures the database's part alone. What a transaction costs beside
// its alerts shows in the small batches.
func BenchmarkHandle(b *testing.B) {
	for _, size := range []int{1, 16, bus.MaxBatch} {
		b.Run(fmt.Sprintf("batch=%d", size), func(b *testing.B) {
			bench := setup(b, func(o *ingest.Options) { o.Guard = always(guard.Watch) })
			var all []*delivery
			for _, a := range alerts(1, uint64(b.N)) {
				all = append(all, deliver(b, a))
			}
			report := storetest.Cost(b)
			b.ResetTimer()
			for batch := range slices.Chunk(all, size) {
				bench.handle(batch...)
			}
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "alerts/s")
			report(b.N)
		})
	}
}
