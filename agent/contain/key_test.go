package contain_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/agent/contain"
)

func TestReadKeys(t *testing.T) {
	public, _, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	block := func(key any) string {
		der, err := x509.MarshalPKIXPublicKey(key)
		require.NoError(t, err)
		return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	}
	name := filepath.Join(t.TempDir(), "key")
	successor, _, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	for _, c := range []struct{ content, want string }{
		{block(public), ""},
		{block(public) + block(&other.PublicKey), "orders are signed with Ed25519"},
		{base64.StdEncoding.EncodeToString(public) + "\n", ""},
		{block(&other.PublicKey), "orders are signed with Ed25519"},
		{base64.StdEncoding.EncodeToString(public[:31]), "holds no Ed25519 public key"},
		{"", "holds no Ed25519 public key"},
		{"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "asn1"},
	} {
		require.NoError(t, os.WriteFile(name, []byte(c.content), 0o600))
		got, err := contain.ReadKeys(name)
		if c.want == "" {
			require.NoError(t, err)
			require.Equal(t, contain.Keys{public}, got)
		} else {
			require.ErrorContains(t, err, c.want)
		}
	}
	require.NoError(t, os.WriteFile(name, []byte(block(public)+block(successor)), 0o600))
	both, err := contain.ReadKeys(name)
	require.NoError(t, err)
	require.Equal(t, contain.Keys{public, successor}, both, "while one takes the other's place")
	_, err = contain.ReadKeys(name + "x")
	require.ErrorIs(t, err, os.ErrNotExist)
}
