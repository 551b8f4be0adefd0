package bus_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"riposte/agent/alert"
	"riposte/agent/bus"
	"riposte/agent/order"
	"riposte/deploy/standalone/natsd"
	"riposte/deploy/standalone/natsd/natsdtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A node whose name has a dot, which must not reach another node's subject.
const cluster, node = "lab", "n1.example"

// server is a bus that can be stopped and started again in the same place.
type server struct{ *natsdtest.Server }

func start(t *testing.T) server {
	t.Helper()
	return server{natsdtest.Start(t, cluster, node)}
}

// responder connects as the other side and makes the stream.
func (s server) responder(t *testing.T) (*nats.Conn, jetstream.Stream) {
	t.Helper()
	nc := s.Connect(t, natsdtest.Responder, alert.ResponderInboxPrefix)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	stream, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: alert.Stream, Subjects: []string{"alerts.*.*.*"}})
	require.NoError(t, err)
	return nc, stream
}

func (s server) options() bus.Options {
	return bus.Options{URL: s.URL(), SeedFile: s.SeedFile(node), Cluster: cluster, Node: node, AckTimeout: 2 * time.Second}
}

func connect(t *testing.T, opt bus.Options) *bus.Conn {
	t.Helper()
	c, err := bus.Connect(opt)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

func wait[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(20 * time.Second):
		t.Fatal("nothing came within 20 s")
		panic("unreachable")
	}
}

func TestPublishIsAcknowledgedOnceStored(t *testing.T) {
	s := start(t)
	_, stream := s.responder(t)
	c := connect(t, s.options())
	acks := make(chan error, 3)
	done := func(err error) { acks <- err }
	subject := alert.Subject(cluster, node, alert.Critical)
	require.NoError(t, c.Publish(subject, "n1/b/1", []byte("one"), done))
	require.NoError(t, c.Publish(subject, "n1/b/2", []byte("two"), done))
	require.NoError(t, c.Publish(subject, "n1/b/1", []byte("one"), done))
	for range 3 {
		require.NoError(t, wait(t, acks))
	}
	info, err := stream.Info(t.Context())
	require.NoError(t, err)
	require.Equal(t, uint64(2), info.State.Msgs, "a repeat is stored once")
	consumer, err := stream.CreateConsumer(t.Context(), jetstream.ConsumerConfig{InactiveThreshold: time.Hour})
	require.NoError(t, err)
	m, err := consumer.Next(jetstream.FetchMaxWait(10 * time.Second))
	require.NoError(t, err)
	require.Equal(t, subject, m.Subject())
	require.Equal(t, "n1/b/1", m.Headers().Get("Nats-Msg-Id"))
	require.Equal(t, "one", string(m.Data()))
}

func TestPublishWithoutAStreamIsAnError(t *testing.T) {
	s := start(t)
	c := connect(t, s.options())
	acks := make(chan error, 1)
	require.NoError(t, c.Publish(alert.Subject(cluster, node, alert.Critical), "n1/b/1", []byte("one"), func(err error) { acks <- err }))
	require.Error(t, wait(t, acks))
}

func TestPublishForAnotherNodeIsNeverAcknowledged(t *testing.T) {
	s := start(t)
	_, stream := s.responder(t)
	opt := s.options()
	opt.AckTimeout = 100 * time.Millisecond
	c := connect(t, opt)
	acks := make(chan error, 1)
	require.NoError(t, c.Publish(alert.Subject(cluster, "other", alert.Critical), "x", []byte("one"), func(err error) { acks <- err }))
	require.Error(t, wait(t, acks))
	info, err := stream.Info(t.Context())
	require.NoError(t, err)
	require.Zero(t, info.State.Msgs)
}

func TestOrdersAreAnswered(t *testing.T) {
	s := start(t)
	nc, _ := s.responder(t)
	c := connect(t, s.options())
	release := make(chan struct{})
	require.NoError(t, c.HandleOrders(func(ctx context.Context, message []byte) []byte {
		if string(message) == "slow" {
			select {
			case <-release:
			case <-ctx.Done():
			}
		}
		return append([]byte("receipt of "), message...)
	}))
	subject := order.Subject(cluster, node)
	slow := make(chan string, 1)
	go func() {
		m, err := nc.Request(subject, []byte("slow"), 20*time.Second)
		if err != nil {
			slow <- err.Error()
			return
		}
		slow <- string(m.Data)
	}()
	var m *nats.Msg
	require.Eventually(t, func() (ok bool) { // until the server has the subscription
		var err error
		m, err = nc.Request(subject, []byte("quick"), 5*time.Second)
		return err == nil
	}, 10*time.Second, time.Millisecond)
	require.Equal(t, "receipt of quick", string(m.Data), "a slow order holds no other one up")
	close(release)
	if got := wait(t, slow); got != nats.ErrNoResponders.Error() {
		require.Equal(t, "receipt of slow", got)
	}
}

func TestCloseEndsAnOrderInWork(t *testing.T) {
	s := start(t)
	nc, _ := s.responder(t)
	c := connect(t, s.options())
	began := make(chan struct{})
	require.NoError(t, c.HandleOrders(func(ctx context.Context, _ []byte) []byte {
		close(began)
		<-ctx.Done()
		return []byte("ended")
	}))
	inbox, err := nc.SubscribeSync(nc.NewInbox())
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		require.NoError(t, nc.PublishRequest(order.Subject(cluster, node), inbox.Subject, nil))
		select {
		case <-began:
			return true
		case <-time.After(100 * time.Millisecond):
			return false
		}
	}, 10*time.Second, time.Millisecond)
	require.NoError(t, c.Close())
	for {
		m, err := inbox.NextMsg(5 * time.Second)
		if errors.Is(err, nats.ErrNoResponders) {
			continue // from before the server had the subscription
		}
		require.NoError(t, err)
		if string(m.Data) == "ended" {
			return
		}
	}
}

func TestHeartbeat(t *testing.T) {
	s := start(t)
	nc, _ := s.responder(t)
	beats := make(chan *nats.Msg, 16)
	_, err := nc.ChanSubscribe(alert.HeartbeatSubject(cluster, node), beats)
	require.NoError(t, err)
	require.NoError(t, nc.Flush())
	c := connect(t, s.options())
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- c.Heartbeat(ctx, 50*time.Millisecond, func() alert.Heartbeat { return alert.Heartbeat{Cluster: cluster, Node: node, Seq: 7} })
	}()
	for range 3 {
		var h alert.Heartbeat
		require.NoError(t, json.Unmarshal(wait(t, beats).Data, &h))
		require.Equal(t, uint64(7), h.Seq)
	}
	cancel()
	require.NoError(t, wait(t, ended))
}

func TestItWaitsForTheBusAndComesBack(t *testing.T) {
	s := start(t)
	s.Stop()
	c := connect(t, s.options())
	require.Error(t, c.Publish(alert.Subject(cluster, node, alert.Critical), "1", nil, func(error) { t.Error("called") }))
	require.NoError(t, c.HandleOrders(func(context.Context, []byte) []byte { return []byte("here") }))
	for range 2 {
		s.Again(t)
		wait(t, c.Up())
		nc, _ := s.responder(t)
		acks := make(chan error, 1)
		require.NoError(t, c.Publish(alert.Subject(cluster, node, alert.Critical), "1", nil, func(err error) { acks <- err }))
		require.NoError(t, wait(t, acks))
		require.Eventually(t, func() bool {
			m, err := nc.Request(order.Subject(cluster, node), nil, 5*time.Second)
			return err == nil && string(m.Data) == "here"
		}, 10*time.Second, time.Millisecond, "orders come again after a return")
		s.Stop()
	}
}

// In a fresh installation agents come before the responders, whom the server asks who they are.
func TestItWaitsForWhomTheServerAsks(t *testing.T) {
	dir := t.TempDir()
	responder, err := natsd.Key(filepath.Join(dir, "responder.nk"))
	require.NoError(t, err)
	account, err := nkeys.CreateAccount()
	require.NoError(t, err)
	public, err := account.PublicKey()
	require.NoError(t, err)
	auth := filepath.Join(dir, "nats-auth.conf")
	require.NoError(t, os.WriteFile(auth, natsd.CalloutConfig(responder, public), 0o600))
	s := natsdtest.Including(t, auth)

	token := filepath.Join(dir, "token")
	require.NoError(t, os.WriteFile(token, []byte("a pod's"), 0o600))
	c := connect(t, bus.Options{URL: s.ClientURL(), TokenFile: token, Cluster: cluster, Node: node, AckTimeout: 2 * time.Second})
	require.False(t, c.Connected())
}

func TestAMessageOnItsWayFailsWhenTheBusGoes(t *testing.T) {
	s := start(t)
	opt := s.options()
	opt.AckTimeout = time.Minute
	c := connect(t, opt)
	acks := make(chan error, 1)
	// Nobody answers on this node's heartbeat subject, so no acknowledgement comes.
	nc, _ := s.responder(t)
	_, err := nc.Subscribe(alert.HeartbeatSubject(cluster, node), func(*nats.Msg) {})
	require.NoError(t, err)
	require.NoError(t, nc.Flush())
	require.NoError(t, c.Publish(alert.HeartbeatSubject(cluster, node), "1", nil, func(err error) { acks <- err }))
	s.Stop()
	require.Error(t, wait(t, acks))
}

func TestWrongSettingsAreOneClearError(t *testing.T) {
	s := start(t)
	s.Key(t, "stranger")
	junk := s.SeedFile("junk")
	require.NoError(t, os.WriteFile(junk, []byte("hello\n"), 0o600))
	for want, change := range map[string]func(*bus.Options){
		"does not know the key":                func(o *bus.Options) { o.SeedFile = s.SeedFile("stranger") },
		"does not hold an nkey seed":           func(o *bus.Options) { o.SeedFile = junk },
		"no such file":                         func(o *bus.Options) { o.SeedFile = s.SeedFile("missing") },
		`"localhost" is not like nats://`:      func(o *bus.Options) { o.URL = "localhost" },
		`"nats://%zz" is not like nats://`:     func(o *bus.Options) { o.URL = "nats://%zz" },
		"is it the key of node \"n1.example\"": func(o *bus.Options) { o.SeedFile = s.SeedFile("stranger") },
	} {
		opt := s.options()
		change(&opt)
		_, err := bus.Connect(opt)
		require.ErrorContains(t, err, want)
	}
}
