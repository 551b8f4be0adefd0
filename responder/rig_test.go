package responder_test

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"riposte/agent/alert"
	"riposte/agent/order"
	"riposte/deploy/standalone/natsd/natsdtest"
	"riposte/responder"
	"riposte/responder/api/client"
	"riposte/responder/store/storetest"
)

const (
	cluster = "test"
	node    = "node-1.example"
	token   = "a-token-for-tests-0123456789"
	killer  = "kill_container_on_critical"
)

// rig is what a responder stands on: a real NATS, a real database, keys.
type rig struct {
	options responder.Options
	// node is this rig's one node as NATS sees it.
	node *nats.Conn
	bus  *natsdtest.Server
	// order is what orders are signed with.
	order ed25519.PublicKey
}

// newKey makes an Ed25519 key and the files of its two halves.
func newKey(t testing.TB) (key ed25519.PrivateKey, private, public string) {
	t.Helper()
	open, key, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	pkix, err := x509.MarshalPKIXPublicKey(open)
	require.NoError(t, err)
	dir := t.TempDir()
	private, public = filepath.Join(dir, "key"), filepath.Join(dir, "pub")
	require.NoError(t, os.WriteFile(private, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), 0o600))
	require.NoError(t, os.WriteFile(public, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pkix}), 0o600))
	return key, private, public
}

func newRig(t testing.TB) *rig {
	t.Helper()
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	server := natsdtest.Start(t, cluster, node)
	key, orderKey, _ := newKey(t)
	require.NoError(t, os.WriteFile(file("token"), []byte(token+"\n"), 0o600))

	return &rig{
		node: server.Connect(t, node, alert.InboxPrefix(cluster, node)), bus: server, order: key.Public().(ed25519.PublicKey),
		options: responder.Options{
			Cluster: cluster, Instance: "test-1", Version: "1.2.3", DatabaseURL: storetest.Empty(t), NATS: server.URL(),
			NATSKeyFile: server.SeedFile(natsdtest.Responder), OrderKeyFile: orderKey, TokenFile: file("token"), Listen: "127.0.0.1:0",
			KillSwitchFile: file("kill-switch"),
		},
	}
}

// run starts a responder that the test's end stops, if the test did not.
func (r *rig) run(t testing.TB) (*responder.Responder, *client.Client) {
	t.Helper()
	one, err := responder.New(r.options)
	require.NoError(t, err)
	require.NoError(t, one.Start(t.Context()))
	t.Cleanup(func() { stop(t, one) })
	c, err := client.New("http://"+one.Addr(), token)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return one, c
}

// settle has the stream made, whose goroutines in the embedded server would
// otherwise pass for the responder's.
func (r *rig) settle(t testing.TB) {
	t.Helper()
	one, err := responder.New(r.options)
	require.NoError(t, err)
	require.NoError(t, one.Start(t.Context()))
	stop(t, one)
}

func stop(t testing.TB, r *responder.Responder) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	require.NoError(t, r.Stop(ctx))
}

// send publishes an alert as the node's agent does.
func (r *rig) send(t testing.TB, a *alert.Alert) {
	t.Helper()
	js, err := jetstream.New(r.node)
	require.NoError(t, err)
	b, err := json.Marshal(a)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err = js.PublishMsg(ctx, &nats.Msg{
		Subject: alert.Subject(cluster, node, a.Priority), Data: b, Header: nats.Header{jetstream.MsgIDHeader: {a.Riposte.MessageID()}},
	})
	require.NoError(t, err)
}

// obey answers the node's orders as an agent that really did them.
func (r *rig) obey(t testing.TB) <-chan order.Order {
	t.Helper()
	taken := make(chan order.Order, 64)
	sub, err := r.node.Subscribe(order.Subject(cluster, node), func(m *nats.Msg) {
		o, err := order.Open(r.order, m.Data, cluster, node, time.Now())
		if err != nil {
			t.Errorf("an order that no agent would take: %v", err)
			return
		}
		now := time.Now().UnixNano()
		b, err := json.Marshal(order.Receipt{OrderID: o.ID, Outcome: order.Done, ExecutedNS: now, VerifiedNS: now + 1, Processes: 2})
		if err != nil {
			t.Error(err)
			return
		}
		taken <- o
		if err := m.Respond(b); err != nil {
			t.Error(err)
		}
	})
	require.NoError(t, err)
	require.NoError(t, r.node.Flush())
	t.Cleanup(func() { _ = sub.Unsubscribe() })
	return taken
}

// critical is an alert about container, the seq-th of one agent's run.
func critical(seq uint64, container string) *alert.Alert {
	now := time.Now()
	return &alert.Alert{
		UUID: uuid.Must(uuid.NewV7()).String(), Time: now, Rule: "Shell in a container", Priority: alert.Critical, Source: "syscall",
		Hostname: node, Output: "a shell",
		Riposte: &alert.Riposte{
			Schema: alert.Schema, Cluster: cluster, Node: node, BootID: boot, Seq: seq, KernelTimeNS: now.Add(-2 * time.Millisecond).UnixNano(),
			AlertTimeNS: now.UnixNano(), Container: &alert.Container{ID: container, CgroupID: 42, StartNS: 7},
		},
	}
}

var boot = uuid.NewString()

// alertMessage is any data on this node's own subject.
func alertMessage(p alert.Priority, data, id string) *nats.Msg {
	return &nats.Msg{Subject: alert.Subject(cluster, node, p), Data: []byte(data), Header: nats.Header{jetstream.MsgIDHeader: {id}}}
}
