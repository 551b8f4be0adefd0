package order_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/agent/alert"
	"riposte/agent/order"
)

// FuzzOpen gives bytes to everything that opens a message. What opens was signed by
// the key, whatever the bytes around it are.
func FuzzOpen(f *testing.F) {
	private, public := key(1)
	o := sample()
	o.Kind, o.Lease, o.Of = order.Freeze, now.Add(time.Hour), "x"
	critical := alert.Critical
	signedOrder, err := order.Sign(private, o)
	require.NoError(f, err)
	signedStanding, err := order.SignStanding(private, order.Standing{
		Cluster: "prod", Serial: 1, Expires: now, Protect: order.Protect{Names: []string{"a-*"}, Labels: map[string]string{"a": "b"}},
		Triggers: []order.Trigger{{Playbook: "p", Contain: order.Cut, Priority: &critical}},
	})
	require.NoError(f, err)
	signedSwitch, err := order.SignSwitch(private, order.Switch{Cluster: "prod", Serial: 1, On: true})
	require.NoError(f, err)
	for _, seed := range [][]byte{signedOrder, signedStanding, signedSwitch, []byte("{}"), []byte(`{"order":{},"signature":""}`), nil} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		if got, err := order.Open(public, message, "prod", "node.example", now); err == nil {
			require.Equal(t, o, got)
		}
		if s, err := order.OpenStanding(public, message, "prod"); err == nil {
			require.EqualValues(t, 1, s.Serial)
		}
		if s, err := order.OpenSwitch(public, message, "prod"); err == nil {
			require.True(t, s.On)
		}
	})
}

// FuzzSigned signs whatever comes, so that it gets past the signature: no shape is a
// panic, and a standing order that opens can be asked.
func FuzzSigned(f *testing.F) {
	private, public := key(1)
	for _, seed := range []string{
		`{"cluster":"prod","serial":1,"expires":"2026-01-01T00:00:00Z","triggers":[{"playbook":"p","contain":"freeze","rules":["r"]}]}`,
		`{"cluster":"prod","serial":1,"expires":"2026-01-01T00:00:00Z","triggers":[{"playbook":"p","contain":"cut","priority":"critical","lease_ns":-1}]}`,
		`{"cluster":"prod","serial":1,"expires":"2026-01-01T00:00:00Z","protect":{"names":["[","a/*"]}}`,
		`{"cluster":"prod","serial":18446744073709551615,"on":true}`, `null`, `[]`, `{"triggers":null,"labels":{}}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !json.Valid([]byte(text)) {
			return
		}
		message, err := order.SignStanding(private, order.Standing{})
		require.NoError(t, err)
		if s, err := order.OpenStanding(public, sealed(t, private, "riposte/standing/1\n", text), "prod"); err == nil {
			require.NotZero(t, s.Serial)
			for _, tr := range s.Triggers {
				require.True(t, tr.Contain.Held())
				tr.Matches("r", "syscall", alert.Critical, []string{"x"})
			}
		}
		if s, err := order.OpenSwitch(public, sealed(t, private, "riposte/switch/1\n", text), "prod"); err == nil {
			require.NotZero(t, s.Serial)
		}
		_, err = order.OpenStanding(public, message, "prod")
		require.Error(t, err)
	})
}
