package nodes_test

import (
	"bytes"
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
	"riposte/deploy/standalone/natsd/natsdtest"
	"riposte/deploy/standalone/nodes"
)

// run runs the command on a folder of keys.
func run(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	c := nodes.New()
	c.SilenceErrors, c.SilenceUsage = true, true
	var out bytes.Buffer
	c.SetOut(&out)
	c.SetArgs(append(args, "--keys", dir))
	err := c.Execute()
	return out.String(), err
}

func must(t *testing.T, dir string, args ...string) string {
	t.Helper()
	out, err := run(t, dir, args...)
	require.NoError(t, err)
	return out
}

// start runs a NATS server with a configuration file that includes what the
// command wrote, as docs/nats.md says.
func start(t *testing.T, dir string) *server.Server {
	t.Helper()
	return natsdtest.Including(t, filepath.Join(dir, "users.conf"))
}

func connect(t *testing.T, s *server.Server, seed, inbox string) (*nats.Conn, error) {
	t.Helper()
	key, err := nats.NkeyOptionFromSeed(seed)
	require.NoError(t, err)
	nc, err := nats.Connect(s.ClientURL(), key, nats.CustomInboxPrefix(inbox), nats.NoReconnect(), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	if err == nil {
		t.Cleanup(nc.Close)
	}
	return nc, err
}

const node = "node-1.example"

func seedOf(t *testing.T, dir, name string) string {
	t.Helper()
	file := filepath.Join(dir, "seeds", "prod", alert.Token(name)+".nk")
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	return file
}

// A node's key opens its own subjects from its issue to its revocation, on a real
// server that reloads what the command wrote.
func TestAKeysLife(t *testing.T) {
	dir := t.TempDir()
	out := must(t, dir, "issue", node, "--cluster", "prod")
	require.Contains(t, out, "nats-server --signal reload")
	must(t, dir, "issue", "other", "--cluster", "prod")
	s := start(t, dir)
	responder, err := connect(t, s, filepath.Join(dir, "responder.nk"), alert.ResponderInboxPrefix)
	require.NoError(t, err)
	rjs, err := jetstream.New(responder)
	require.NoError(t, err)
	_, err = rjs.CreateStream(t.Context(), jetstream.StreamConfig{Name: alert.Stream, Subjects: []string{"alerts.>"}})
	require.NoError(t, err)

	inbox := alert.InboxPrefix("prod", node)
	publish := func(nc *nats.Conn, to string) error {
		js, err := jetstream.New(nc)
		require.NoError(t, err)
		_, err = js.PublishMsg(t.Context(), &nats.Msg{Subject: alert.Subject("prod", to, alert.Critical), Data: []byte("x")}, jetstream.WithRetryAttempts(0))
		return err
	}
	first := filepath.Join(t.TempDir(), "first.nk")
	seed, err := os.ReadFile(seedOf(t, dir, node))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(first, seed, 0o600))
	old, err := connect(t, s, first, inbox)
	require.NoError(t, err)
	require.NoError(t, publish(old, node))
	short, err := jetstream.New(old, jetstream.WithDefaultTimeout(200*time.Millisecond))
	require.NoError(t, err)
	_, err = short.Publish(t.Context(), alert.Subject("prod", "other", alert.Critical), []byte("forged"))
	require.Error(t, err, "another node's subject")

	// Rotated: both open. Then the old one is dropped and its connection is cut.
	must(t, dir, "rotate", node, "--cluster", "prod")
	require.NoError(t, s.Reload())
	fresh, err := connect(t, s, seedOf(t, dir, node), inbox)
	require.NoError(t, err)
	require.NoError(t, publish(fresh, node))
	require.NoError(t, publish(old, node))
	require.Contains(t, must(t, dir, "rotate", node, "--cluster", "prod", "--drop-old"), "1 old keys")
	require.NoError(t, s.Reload())
	require.Eventually(t, old.IsClosed, 10*time.Second, time.Millisecond)
	require.NoError(t, publish(fresh, node))
	_, err = connect(t, s, first, inbox)
	require.ErrorIs(t, err, nats.ErrAuthorization)

	must(t, dir, "revoke", node, "--cluster", "prod")
	require.NoError(t, s.Reload())
	require.Eventually(t, fresh.IsClosed, 10*time.Second, time.Millisecond)
	require.True(t, responder.IsConnected(), "nobody else notices")
	stream, err := rjs.Stream(t.Context(), alert.Stream)
	require.NoError(t, err)
	require.EqualValues(t, 4, stream.CachedInfo().State.Msgs)
	list := must(t, dir, "list")
	require.NotContains(t, list, node)
	require.Contains(t, list, "other")
	require.Equal(t, 3, bytes.Count([]byte(must(t, dir, "list", "--all")), []byte("prod")))
}

func TestMistakes(t *testing.T) {
	dir := t.TempDir()
	must(t, dir, "issue", node, "--cluster", "prod")
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"issue", node, "--cluster", "prod"}, "has a key already"},
		{[]string{"rotate", "nobody"}, "has no key"},
		{[]string{"revoke", "nobody"}, "has no key"},
		{[]string{"issue", "a\x1bb"}, "is no name"},
		{[]string{"issue", ""}, "is no name"},
		{[]string{"issue"}, "requires at least 1 arg"},
		{[]string{"issue", "new", "other", "new"}, "has a key already"},
		{[]string{"issue", "new", node, "--cluster", "prod"}, "has a key already"},
	} {
		_, err := run(t, dir, c.args...)
		require.ErrorContains(t, err, c.want)
	}
	require.NotContains(t, must(t, dir, "list"), "new", "all of them get a key, or none")
	out := must(t, dir, "issue", "new", "newer", "--cluster", "prod")
	require.Equal(t, 2, strings.Count(out, "Key U"), out)
	require.Equal(t, 3, strings.Count(must(t, dir, "list"), "prod"))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "nodes.json"), []byte("{"), 0o600))
	_, err := run(t, dir, "list")
	require.ErrorContains(t, err, "nodes.json")
}

// Names that would be something else in a configuration file or a subject.
func TestHostileNames(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"*", ">", `a" } ] } system_account: "SYS`, "a.b.c", "../../x", "ü", "a'b#c", "$SYS"} {
		must(t, dir, "issue", name, "--cluster", name)
	}
	o, err := server.ProcessConfigFile(filepath.Join(dir, "users.conf"))
	require.NoError(t, err)
	require.Len(t, o.Nkeys, 9)
	require.Empty(t, o.SystemAccount)
	for _, u := range o.Nkeys[1:] {
		for _, subject := range u.Permissions.Publish.Allow {
			require.Regexp(t, `^(alerts\.[a-z0-9A-F_-]+\.[a-z0-9A-F_-]+\.\*|agents\.[a-z0-9A-F_-]+\.[a-z0-9A-F_-]+)$`, subject)
		}
	}
	seeds, err := filepath.Glob(filepath.Join(dir, "seeds", "*", "*.nk"))
	require.NoError(t, err)
	require.Len(t, seeds, 8)
}
