package nodes_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"riposte/agent/alert"
	agentbus "riposte/agent/bus"
	"riposte/agent/order"
	"riposte/agent/publish"
	"riposte/deploy/standalone/natsd/natsdtest"
	"riposte/deploy/standalone/nodes"
	"riposte/docs/doctest"
	"riposte/responder/bus"
)

// configured starts a server with a configuration file in dir.
func configured(t *testing.T, dir, text string) (*server.Server, *server.Options) {
	t.Helper()
	file := filepath.Join(dir, "nats-server.conf")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	s, o := natsdtest.Configured(t, file)
	require.Equal(t, o.JetStream, o.SyncAlways, "what is acknowledged is on disk")
	return s, o
}

// pair is a hub and a leaf server as docs/scaling.md lays them out: of each the folder of
// keys and the server.
type pair struct {
	hubDir, leafDir string
	hub, leaf       *server.Server
}

func startPair(t *testing.T) pair {
	t.Helper()
	p := pair{hubDir: t.TempDir(), leafDir: t.TempDir()}
	must(t, p.hubDir, "issue", "west", "--leaf", "--cluster", "prod")
	must(t, p.leafDir, "issue", node, "other.example", "--cluster", "prod")
	conf := doctest.Open(t, "docs/scaling.md", "conf").AllIn(t, "NATS: leaf servers", "conf")
	require.Len(t, conf, 2)
	here := strings.NewReplacer("0.0.0.0:4222", "127.0.0.1:-1", "0.0.0.0:7422", "127.0.0.1:-1", "/data", t.TempDir())
	var hub *server.Options
	p.hub, hub = configured(t, p.hubDir, here.Replace(conf[0].Text))
	seed, err := os.ReadFile(seedOf(t, p.hubDir, "west"))
	require.NoError(t, err)
	t.Setenv("LEAF_SEED", string(seed))
	p.leaf, _ = configured(t, p.leafDir, strings.Replace(here.Replace(conf[1].Text), "hub.example:7422", fmt.Sprintf("127.0.0.1:%d", hub.LeafNode.Port), 1))
	require.Eventually(t, func() bool { return p.hub.NumLeafNodes() == 1 }, 10*time.Second, time.Millisecond, "the leaf server has come to the hub")
	return p
}

// An agent on a leaf server gets its acknowledgement from the hub's stream, and its
// orders from the responder at the hub.
func TestAnAgentBehindALeafServer(t *testing.T) {
	p := startPair(t)
	seed, err := os.ReadFile(filepath.Join(p.hubDir, "responder.nk"))
	require.NoError(t, err)
	public, private, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	responder, err := bus.Connect(t.Context(), bus.Options{URL: p.hub.ClientURL(), Seed: seed, OrderKey: private})
	require.NoError(t, err)
	t.Cleanup(responder.Close)

	agent, err := agentbus.Connect(agentbus.Options{URL: p.leaf.ClientURL(), SeedFile: seedOf(t, p.leafDir, node), Cluster: "prod", Node: node})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, agent.Close()) })
	<-agent.Up()
	done := make(chan error, 2)
	told := func(err error) { done <- err }
	subject := alert.Subject("prod", node, alert.Critical)
	// That there is a stream takes a moment to get around. The outbox tries again, too.
	require.Eventually(t, func() bool {
		return agent.Publish(subject, "one", []byte(`{"rule":"one"}`), told) == nil && <-done == nil
	}, 10*time.Second, 10*time.Millisecond, "the hub's stream has it")
	require.True(t, agent.Batches())
	require.NoError(t, agent.PublishBatch([]publish.Packet{{Subject: subject, ID: "two", Body: []byte("{}")}, {Subject: subject, ID: "three", Body: []byte("{}")}}, told))
	require.NoError(t, <-done, "and batches, all or none")
	last, _, err := responder.Position(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 3, last)

	// The acknowledgement is the hub's own.
	nc, err := connect(t, p.leaf, seedOf(t, p.leafDir, node), alert.InboxPrefix("prod", node))
	require.NoError(t, err)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	ack, err := js.PublishMsg(t.Context(), &nats.Msg{Subject: subject, Data: []byte("{}")}, jetstream.WithExpectStream(alert.Stream))
	require.NoError(t, err)
	require.Equal(t, "hub", ack.Domain)

	require.NoError(t, agent.HandleOrders(func(_ context.Context, message []byte) []byte {
		o, err := order.Open(public, message, "prod", node, time.Now())
		if err != nil {
			t.Error(err)
			return nil
		}
		b, err := json.Marshal(order.Receipt{OrderID: o.ID, Outcome: order.Done})
		if err != nil {
			t.Error(err)
		}
		return b
	}))
	receipt, err := responder.SendOrder(t.Context(), order.Order{
		ID: "0199f000-0000-7000-8000-000000000001", Kind: order.Kill, Cluster: "prod", Node: node,
		Target: order.Target{ContainerID: "c", CgroupID: 1, StartNS: 2}, Issued: time.Now(), Expires: time.Now().Add(time.Minute),
	})
	require.NoError(t, err)
	require.Equal(t, order.Done, receipt.Outcome)

	beats := make(chan string, 8)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	go func() {
		ended <- responder.Heartbeats(ctx, func(_ context.Context, said map[string][]byte) {
			for subject := range said {
				beats <- subject
			}
		})
	}()
	go func() {
		ended <- agent.Heartbeat(ctx, 10*time.Millisecond, func() alert.Heartbeat { return alert.Heartbeat{Cluster: "prod", Node: node} })
	}()
	require.Equal(t, alert.HeartbeatSubject("prod", node), <-beats)
	stop()
	require.NoError(t, <-ended)
	require.NoError(t, <-ended)
}

// A node cannot speak for another on a leaf server either, and the leaf server for no
// other cluster.
func TestALeafServerKeepsNodesApart(t *testing.T) {
	p := startPair(t)
	heard, err := connect(t, p.hub, filepath.Join(p.hubDir, "responder.nk"), alert.ResponderInboxPrefix)
	require.NoError(t, err)
	js, err := jetstream.New(heard)
	require.NoError(t, err)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: alert.Stream, Subjects: []string{"alerts.>"}})
	require.NoError(t, err)
	published := func(s *server.Server, seed, inbox, subject string) error {
		nc, err := connect(t, s, seed, inbox)
		require.NoError(t, err)
		js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(300*time.Millisecond))
		require.NoError(t, err)
		_, err = js.PublishMsg(t.Context(), &nats.Msg{Subject: subject}, jetstream.WithRetryAttempts(0))
		return err
	}
	own := alert.InboxPrefix("prod", node)
	require.Eventually(t, func() bool {
		return published(p.leaf, seedOf(t, p.leafDir, node), own, alert.Subject("prod", node, alert.Error)) == nil
	}, 10*time.Second, 10*time.Millisecond, "a stream is heard of by leaf servers a moment later")
	require.Error(t, published(p.leaf, seedOf(t, p.leafDir, node), own, alert.Subject("prod", "other.example", alert.Error)))

	// Somebody who has broken into the leaf server has the leaf's key: they can speak for
	// the cluster's nodes, and for nobody else.
	west := seedOf(t, p.hubDir, "west")
	require.NoError(t, published(p.hub, west, own, alert.Subject("prod", node, alert.Error)))
	require.Error(t, published(p.hub, west, own, alert.Subject("test", node, alert.Error)))
	nc, err := connect(t, p.hub, west, own)
	require.NoError(t, err)
	for _, foreign := range []string{"alerts.>", "agents.>", "orders.test.*", "_INBOX.test.>", alert.ResponderInboxPrefix + ".>", ">"} {
		sub, err := nc.SubscribeSync(foreign)
		require.NoError(t, err)
		require.NoError(t, nc.Flush())
		require.Eventually(t, func() bool { return nc.LastError() != nil }, 5*time.Second, time.Millisecond, foreign)
		require.ErrorIs(t, nc.LastError(), nats.ErrPermissionViolation, foreign)
		_ = sub.Unsubscribe()
	}

	_, err = run(t, p.hubDir, "issue", "west", "--cluster", "prod")
	require.ErrorIs(t, err, nodes.ErrKnown)
	must(t, p.hubDir, "revoke", "west", "--cluster", "prod")
	_, err = run(t, p.hubDir, "issue", "west", "--cluster", "prod")
	require.ErrorContains(t, err, "take another name")
	// It does not come back; that its connection ends NATS leaves to a restart of the hub.
	require.NoError(t, p.hub.Reload())
	_, err = connect(t, p.hub, west, own)
	require.ErrorIs(t, err, nats.ErrAuthorization)
}
