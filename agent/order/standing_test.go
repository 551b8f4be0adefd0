package order_test

import (
	"crypto/ed25519"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/agent/alert"
	"riposte/agent/order"
)

// sealed signs a text as it is.
func sealed(t testing.TB, key ed25519.PrivateKey, domain, body string) []byte {
	t.Helper()
	compact, err := json.Marshal(json.RawMessage(body)) // as it stands in the envelope
	require.NoError(t, err)
	message, err := json.Marshal(order.Signed{Order: compact, Signature: ed25519.Sign(key, append([]byte(domain), compact...))})
	require.NoError(t, err)
	return message
}

func standing() order.Standing {
	critical := alert.Critical
	return order.Standing{
		Cluster: "prod", Serial: 7, Expires: now,
		Triggers: []order.Trigger{{Playbook: "p", Contain: order.Freeze, Rules: []string{"Shell"}, Tags: []string{"T1059"}, Sources: []string{"syscall"}, Priority: &critical}},
		Protect:  order.Protect{Namespaces: []string{"kube-system"}, Names: []string{"shop/db-*"}, Labels: map[string]string{"keep": "true"}},
	}
}

func TestStandingAndSwitchOpen(t *testing.T) {
	private, public := key(1)
	message, err := order.SignStanding(private, standing())
	require.NoError(t, err)
	got, err := order.OpenStanding(public, message, "prod")
	require.NoError(t, err)
	require.Equal(t, standing(), got)
	_, err = order.OpenSwitch(public, message, "prod")
	require.ErrorIs(t, err, order.ErrSignature, "one is not the other")
	_, err = order.Open(public, message, "prod", "n", now)
	require.ErrorIs(t, err, order.ErrSignature)

	s := order.Switch{Cluster: "prod", Serial: 9, On: true, Playbooks: []string{"p"}, Reason: "r", Actor: "a", At: now}
	message, err = order.SignSwitch(private, s)
	require.NoError(t, err)
	back, err := order.OpenSwitch(public, message, "prod")
	require.NoError(t, err)
	require.Equal(t, s, back)
	_, err = order.OpenSwitch(public, message, "staging")
	require.ErrorIs(t, err, order.ErrNotMine)
	_, err = order.OpenSwitch(public, []byte(strings.Repeat(" ", order.MaxStandingBytes+1)), "prod")
	require.ErrorContains(t, err, "over the limit")
}

func TestOpenStandingRefuses(t *testing.T) {
	private, public := key(1)
	for want, change := range map[string]func(*order.Standing){
		"another node":                     func(s *order.Standing) { s.Cluster = "staging" },
		"serial: is missing":               func(s *order.Standing) { s.Serial = 0 },
		"expires: is missing":              func(s *order.Standing) { s.Expires = time.Time{} },
		"triggers: there are":              func(s *order.Standing) { s.Triggers = make([]order.Trigger, order.MaxTriggers+1) },
		"triggers[0]: playbook":            func(s *order.Standing) { s.Triggers[0].Playbook = "" },
		`contain: "kill" is neither`:       func(s *order.Standing) { s.Triggers[0].Contain = order.Kill },
		"would fit every alert":            func(s *order.Standing) { s.Triggers[0] = order.Trigger{Playbook: "p", Contain: order.Cut} },
		"lease_ns":                         func(s *order.Standing) { s.Triggers[0].LeaseNS = int64(time.Hour) },
		`protect.names: "[" is no pattern`: func(s *order.Standing) { s.Protect.Names = []string{"["} },
	} {
		s := standing()
		change(&s)
		message, err := order.SignStanding(private, s)
		require.NoError(t, err)
		_, err = order.OpenStanding(public, message, "prod")
		require.ErrorContains(t, err, want)
	}
}

func TestTriggerMatches(t *testing.T) {
	tr := standing().Triggers[0]
	require.True(t, tr.Matches("Shell", "syscall", alert.Critical, []string{"x", "T1059"}))
	require.True(t, tr.Matches("Shell", "syscall", alert.Emergency, []string{"T1059"}))
	require.False(t, tr.Matches("Other", "syscall", alert.Critical, []string{"T1059"}))
	require.False(t, tr.Matches("Shell", "k8s_audit", alert.Critical, []string{"T1059"}))
	require.False(t, tr.Matches("Shell", "syscall", alert.Error, []string{"T1059"}))
	require.False(t, tr.Matches("Shell", "syscall", alert.Critical, []string{"T1000"}))
	require.False(t, tr.Matches("Shell", "syscall", alert.Critical, nil))
}
