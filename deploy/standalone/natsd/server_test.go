package natsd_test

import (
	"context"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"riposte/agent/alert"
	"riposte/agent/order"
	"riposte/deploy/standalone/natsd"
)

type keys struct{ dir string }

func (k keys) file(name string) string { return filepath.Join(k.dir, name+".nk") }

func (k keys) public(t *testing.T, name string) string {
	t.Helper()
	public, err := natsd.Key(k.file(name))
	require.NoError(t, err)
	return public
}

func start(t *testing.T) (*natsd.Server, keys) {
	t.Helper()
	k := keys{t.TempDir()}
	s, err := natsd.Start(natsd.Options{
		Dir: t.TempDir(), Responder: k.public(t, "responder"),
		Nodes: []natsd.Node{{Cluster: "c", Name: "a", Key: k.public(t, "a")}, {Cluster: "c", Name: "a.b", Key: k.public(t, "a.b")}},
	})
	require.NoError(t, err)
	t.Cleanup(s.Stop)
	return s, k
}

func connect(t *testing.T, s *natsd.Server, seed, inbox string) (*nats.Conn, chan error) {
	t.Helper()
	opt, err := nats.NkeyOptionFromSeed(seed)
	require.NoError(t, err)
	refused := make(chan error, 8)
	c, err := nats.Connect(s.URL(), opt, nats.CustomInboxPrefix(inbox), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err }))
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c, refused
}

func TestNobodyEntersWithoutAKey(t *testing.T) {
	s, _ := start(t)
	_, err := nats.Connect(s.URL())
	require.ErrorIs(t, err, nats.ErrAuthorization)
	stranger := keys{t.TempDir()}
	stranger.public(t, "x")
	opt, err := nats.NkeyOptionFromSeed(stranger.file("x"))
	require.NoError(t, err)
	_, err = nats.Connect(s.URL(), opt)
	require.ErrorIs(t, err, nats.ErrAuthorization)
}

func TestANodeSpeaksOnlyForItself(t *testing.T) {
	s, k := start(t)
	responder, _ := connect(t, s, k.file("responder"), alert.ResponderInboxPrefix)
	js, err := jetstream.New(responder)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err = js.CreateStream(ctx, jetstream.StreamConfig{Name: alert.Stream, Subjects: []string{"alerts.>"}})
	require.NoError(t, err)

	node, refused := connect(t, s, k.file("a"), alert.InboxPrefix("c", "a"))
	own, err := jetstream.New(node)
	require.NoError(t, err)
	_, err = own.Publish(ctx, alert.Subject("c", "a", alert.Critical), []byte("{}"))
	require.NoError(t, err, "a node may publish its own alerts and gets the acknowledgement")

	// A name with a dot must not be reachable from the node whose name is its first part.
	for _, foreign := range []string{
		alert.Subject("c", "a.b", alert.Critical), "alerts.c.a.b.critical", alert.HeartbeatSubject("c", "a.b"),
		order.Subject("c", "a"), order.StandingSubject("c"), order.SwitchSubject("c"), "$JS.API.STREAM.DELETE." + alert.Stream, "_INBOX_responder.x",
	} {
		require.NoError(t, node.Publish(foreign, []byte("{}")))
		require.NoError(t, node.Flush())
		select {
		case err := <-refused:
			require.ErrorContains(t, err, "ermissions Violation", foreign)
		case <-ctx.Done():
			t.Fatalf("publishing on %s was not refused", foreign)
		}
	}
	for _, foreign := range []string{order.Subject("c", "a.b"), "orders.>", "alerts.>", alert.InboxPrefix("c", "a.b") + ".>", "_INBOX_responder.>", ">"} {
		_, err := node.SubscribeSync(foreign)
		require.NoError(t, err)
		require.NoError(t, node.Flush())
		select {
		case err := <-refused:
			require.ErrorContains(t, err, "ermissions Violation", foreign)
		case <-ctx.Done():
			t.Fatalf("subscribing to %s was not refused", foreign)
		}
	}
}

func TestANodeAnswersItsOrder(t *testing.T) {
	s, k := start(t)
	responder, _ := connect(t, s, k.file("responder"), alert.ResponderInboxPrefix)
	node, _ := connect(t, s, k.file("a.b"), alert.InboxPrefix("c", "a.b"))
	_, err := node.Subscribe(order.Subject("c", "a.b"), func(m *nats.Msg) { _ = m.Respond([]byte("receipt")) })
	require.NoError(t, err)
	require.NoError(t, node.Flush())
	answer, err := responder.Request(order.Subject("c", "a.b"), []byte("order"), 5*time.Second)
	require.NoError(t, err)
	require.Equal(t, "receipt", string(answer.Data))
}

func TestANodeHearsWhatStandsInItsClusterAlone(t *testing.T) {
	s, k := start(t)
	responder, _ := connect(t, s, k.file("responder"), alert.ResponderInboxPrefix)
	node, refused := connect(t, s, k.file("a"), alert.InboxPrefix("c", "a"))
	for _, subject := range []string{order.StandingSubject("c"), order.SwitchSubject("c")} {
		got, err := node.SubscribeSync(subject)
		require.NoError(t, err)
		require.NoError(t, node.Flush())
		require.NoError(t, responder.Publish(subject, []byte("news")))
		_, err = got.NextMsg(5 * time.Second)
		require.NoError(t, err, subject)
	}
	for _, subject := range []string{order.StandingSubject("d"), order.SwitchSubject("d"), "standing.*", "switch.>"} {
		_, err := node.SubscribeSync(subject)
		require.NoError(t, err)
		require.NoError(t, node.Flush())
		select {
		case err := <-refused:
			require.ErrorContains(t, err, "ermissions Violation", subject)
		case <-time.After(10 * time.Second):
			t.Fatalf("hearing %s was not refused", subject)
		}
	}
}

func TestABusyPortIsNamed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	k := keys{t.TempDir()}
	_, err = natsd.Start(natsd.Options{Dir: t.TempDir(), Port: l.Addr().(*net.TCPAddr).Port, Responder: k.public(t, "r")})
	require.ErrorContains(t, err, "NATS cannot listen on "+l.Addr().String())
}
