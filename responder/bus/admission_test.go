package bus_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/require"

	"riposte/agent/alert"
	"riposte/agent/order"
	"riposte/deploy/standalone/natsd"
	"riposte/deploy/standalone/natsd/natsdtest"
	"riposte/responder/bus"
)

// asking is a real server that asks a responder who an agent is.
func asking(t *testing.T) (url string, b *bus.Bus, account []byte) {
	t.Helper()
	dir := t.TempDir()
	user, err := natsd.Key(filepath.Join(dir, "responder.nk"))
	require.NoError(t, err)
	seed, err := os.ReadFile(filepath.Join(dir, "responder.nk"))
	require.NoError(t, err)
	pair, err := nkeys.CreateAccount()
	require.NoError(t, err)
	account, err = pair.Seed()
	require.NoError(t, err)
	public, err := pair.PublicKey()
	require.NoError(t, err)
	auth := filepath.Join(dir, "nats-auth.conf")
	require.NoError(t, os.WriteFile(auth, natsd.CalloutConfig(user, public), 0o600))
	s := natsdtest.Including(t, auth)
	var sign [64]byte
	b, err = bus.Connect(t.Context(), bus.Options{URL: s.ClientURL(), Seed: seed, OrderKey: sign[:], StreamBytes: 64 << 20, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	require.NoError(t, err)
	t.Cleanup(b.Close)
	return s.ClientURL(), b, account
}

func connect(t *testing.T, url, node, token string) (*nats.Conn, chan error, error) {
	t.Helper()
	wrong := make(chan error, 16)
	nc, err := nats.Connect(url, nats.Token(token), nats.CustomInboxPrefix(alert.InboxPrefix("prod", node)), nats.NoReconnect(), nats.Timeout(10*time.Second),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { wrong <- err }))
	if err == nil {
		t.Cleanup(nc.Close)
	}
	return nc, wrong, err
}

// An agent that the cluster vouches for speaks for its own node and for no other one,
// and nobody else comes in.
func TestAdmission(t *testing.T) {
	url, b, account := asking(t)
	var away atomic.Bool
	background(t, func(ctx context.Context) error {
		return b.Admit(ctx, bus.AdmissionOptions{Seed: account, Cluster: "prod", Node: func(_ context.Context, token string) (string, string, error) {
			switch {
			case away.Swap(false):
				return "", "", errors.New("the API server is away")
			case token == "good":
				return "n.1", "", nil
			}
			return "", "it is nobody's", nil
		}})
	})
	require.Eventually(t, func() bool { // the subscription may be a moment later
		_, _, err := connect(t, url, "n.1", "good")
		return err == nil
	}, 30*time.Second, 10*time.Millisecond)

	nc, wrong, err := connect(t, url, "n.1", "good")
	require.NoError(t, err)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	_, err = js.Publish(t.Context(), alert.Subject("prod", "n.1", alert.Critical), []byte("{}"))
	require.NoError(t, err, "its own alerts")
	orders, err := nc.SubscribeSync(order.Subject("prod", "n.1"))
	require.NoError(t, err)
	require.NoError(t, nc.Flush())
	require.Empty(t, wrong)
	require.NotNil(t, orders)

	for _, subject := range []string{alert.Subject("prod", "n_2e1", alert.Critical), alert.Subject("prod", "other", alert.Critical), order.Subject("prod", "n.1"), bus.AdmissionSubject, "$JS.API.STREAM.DELETE.ALERTS"} {
		require.NoError(t, nc.Publish(subject, []byte("x")))
		require.ErrorIs(t, <-wrong, nats.ErrPermissionViolation, subject)
	}
	for _, subject := range []string{order.Subject("prod", "other"), "alerts.>", bus.AdmissionSubject, ">"} {
		_, err := nc.SubscribeSync(subject)
		require.NoError(t, err)
		require.ErrorIs(t, <-wrong, nats.ErrPermissionViolation, subject)
	}

	for name, token := range map[string]string{"nobody's": "bad", "none": ""} {
		_, _, err := connect(t, url, "n.1", token)
		require.ErrorIs(t, err, nats.ErrAuthorization, name)
	}
	require.Equal(t, uint64(2), b.Counts()["admissions_refused"])

	// While it cannot be told nobody is let in, and nobody is told that they are nobody.
	away.Store(true)
	_, _, err = connect(t, url, "n.1", "good")
	require.Error(t, err)
	require.Equal(t, uint64(1), b.Counts()["admissions_failed"])
	_, _, err = connect(t, url, "n.1", "good")
	require.NoError(t, err)
	require.Equal(t, uint64(2), b.Counts()["admissions_refused"])
}

func TestAdmissionNeedsAnAccountsKey(t *testing.T) {
	_, b, _ := asking(t)
	user, err := nkeys.CreateUser()
	require.NoError(t, err)
	seed, err := user.Seed()
	require.NoError(t, err)
	require.ErrorContains(t, b.Admit(t.Context(), bus.AdmissionOptions{Seed: seed}), "no account's")
	require.ErrorContains(t, b.Admit(t.Context(), bus.AdmissionOptions{Seed: []byte("junk")}), "the key that lets agents in")
}
