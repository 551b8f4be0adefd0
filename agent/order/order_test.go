package order_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/agent/order"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func key(seed byte) (ed25519.PrivateKey, ed25519.PublicKey) {
	private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
	return private, private.Public().(ed25519.PublicKey)
}

func sample() order.Order {
	return order.Order{
		ID: "0192f0c1-1f2e-7c3d-8a4b-0123456789ab", Kind: order.Kill, Cluster: "prod", Node: "node.example",
		Target: order.Target{ContainerID: "c0ffee", CgroupID: 8123, StartNS: 99_000_000_001}, Reason: "<shell> & \"terminal\"",
		Issued: now, Expires: now.Add(time.Minute),
	}
}

func TestSignedOrderOpens(t *testing.T) {
	private, public := key(1)
	message, err := order.Sign(private, sample())
	require.NoError(t, err)
	got, err := order.Open(public, message, "prod", "node.example", now)
	require.NoError(t, err)
	require.Equal(t, sample(), got)
}

func TestOpenRefuses(t *testing.T) {
	private, public := key(1)
	_, stranger := key(2)
	message, err := order.Sign(private, sample())
	require.NoError(t, err)
	late := sample().Expires

	_, err = order.Open(stranger, message, "prod", "node.example", now)
	require.ErrorIs(t, err, order.ErrSignature)
	for _, at := range []time.Time{late, late.Add(time.Hour)} {
		o, err := order.Open(public, message, "prod", "node.example", at)
		require.ErrorIs(t, err, order.ErrExpired)
		require.Equal(t, sample().ID, o.ID, "a repeat of it may still get its receipt")
	}
	_, err = order.Open(public, message, "prod", "node", now)
	require.ErrorIs(t, err, order.ErrNotMine)
	_, err = order.Open(public, message, "staging", "node.example", late)
	require.ErrorIs(t, err, order.ErrNotMine)
	_, err = order.Open(public, []byte(strings.Repeat(" ", order.MaxBytes+1)), "prod", "node.example", now)
	require.ErrorContains(t, err, "over the limit")
	for _, junk := range []string{"", "{}", "null", "[]", `{"order":null,"signature":null}`, `{"order":{},"signature":"AA=="}`} {
		_, err = order.Open(public, []byte(junk), "prod", "node.example", now)
		require.Error(t, err, junk)
	}
}

func TestASignatureOverOtherBytesDoesNotCount(t *testing.T) {
	private, public := key(1)
	body, err := json.Marshal(sample())
	require.NoError(t, err)
	// The same key may sign other things: without the domain it is no order.
	message, err := json.Marshal(order.Signed{Order: body, Signature: ed25519.Sign(private, body)})
	require.NoError(t, err)
	_, err = order.Open(public, message, "prod", "node.example", now)
	require.ErrorIs(t, err, order.ErrSignature)
}

func TestEveryChangedByteIsNoticed(t *testing.T) {
	private, public := key(1)
	message, err := order.Sign(private, sample())
	require.NoError(t, err)
	for i := range message {
		for _, flip := range []byte{0x01, 0x20, 0x80} {
			changed := bytes.Clone(message)
			changed[i] ^= flip
			got, err := order.Open(public, changed, "prod", "node.example", now)
			if err == nil {
				// A few changes leave the same order and signature, such as the case of a key in the envelope.
				require.Equal(t, sample(), got, "byte %d: %s", i, changed)
			}
		}
	}
}

func TestReceiptJSON(t *testing.T) {
	b, err := json.Marshal(order.Receipt{OrderID: "1", Outcome: order.Gone})
	require.NoError(t, err)
	require.JSONEq(t, `{"order_id":"1","outcome":"gone"}`, string(b))
	require.Equal(t, "orders.prod.node_2Eexample", order.Subject("prod", "node.example"))
}
