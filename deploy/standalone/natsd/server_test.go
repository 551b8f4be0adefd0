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
	"riposte/deploy/standalone/natsd/natsdtest"
)

func start(t *testing.T) *natsdtest.Server {
	t.Helper()
	return natsdtest.Start(t, "c", "a", "a.b")
}

func connect(t *testing.T, s *natsdtest.Server, name, inbox string) (*nats.Conn, chan error) {
	t.Helper()
	refused := make(chan error, 8)
	return s.Connect(t, name, inbox, nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err })), refused
}

func TestNobodyEntersWithoutAKey(t *testing.T) {
	s := start(t)
	_, err := nats.Connect(s.URL())
	require.ErrorIs(t, err, nats.ErrAuthorization)
	s.Key(t, "stranger")
	opt, err := nats.NkeyOptionFromSeed(s.SeedFile("stranger"))
	require.NoError(t, err)
	_, err = nats.Connect(s.URL(), opt)
	require.ErrorIs(t, err, nats.ErrAuthorization)
}

func TestANodeSpeaksOnlyForItself(t *testing.T) {
	s := start(t)
	responder, _ := connect(t, s, natsdtest.Responder, alert.ResponderInboxPrefix)
	js, err := jetstream.New(responder)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err = js.CreateStream(ctx, jetstream.StreamConfig{Name: alert.Stream, Subjects: []string{"alerts.>"}})
	require.NoError(t, err)

	node, refused := connect(t, s, "a", alert.InboxPrefix("c", "a"))
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
	s := start(t)
	responder, _ := connect(t, s, natsdtest.Responder, alert.ResponderInboxPrefix)
	node, _ := connect(t, s, "a.b", alert.InboxPrefix("c", "a.b"))
	_, err := node.Subscribe(order.Subject("c", "a.b"), func(m *nats.Msg) { _ = m.Respond([]byte("receipt")) })
	require.NoError(t, err)
	require.NoError(t, node.Flush())
	answer, err := responder.Request(order.Subject("c", "a.b"), []byte("order"), 5*time.Second)
	require.NoError(t, err)
	require.Equal(t, "receipt", string(answer.Data))
}

func TestANodeHearsWhatStandsInItsClusterAlone(t *testing.T) {
	s := start(t)
	responder, _ := connect(t, s, natsdtest.Responder, alert.ResponderInboxPrefix)
	node, refused := connect(t, s, "a", alert.InboxPrefix("c", "a"))
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
	responder, err := natsd.Key(filepath.Join(t.TempDir(), "responder.nk"))
	require.NoError(t, err)
	_, err = natsd.Start(natsd.Options{Dir: t.TempDir(), Port: l.Addr().(*net.TCPAddr).Port, Responder: responder})
	require.ErrorContains(t, err, "NATS cannot listen on "+l.Addr().String())
}
