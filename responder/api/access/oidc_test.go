package access_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/responder/api/access"
	"riposte/responder/api/access/oidctest"
)

func TestOIDC(t *testing.T) {
	p := oidctest.New(t)
	config, err := access.ParseConfig(fmt.Appendf(nil, `
oidc: {issuer: %q, audience: riposte}
grants:
- {to: ["oidc:group:sre"], role: responder, clusters: [prod]}
- {to: ["oidc:user:jane@example.com"], role: viewer}
- {to: ["oidc:user:root@example.com", "oidc:group:admins"], role: admin}
`, p.URL))
	require.NoError(t, err)
	now := time.Now()
	v := access.NewVerifier(access.Options{Config: config, Tokens: nobody, Now: func() time.Time { return now }})

	p.Down.Store(true)
	_, err = v.Verify(t.Context(), p.Sign(t, p.Key, nil))
	require.ErrorIs(t, err, access.ErrUnavailable)
	_, err = v.Verify(t.Context(), p.Sign(t, p.Key, nil))
	require.ErrorIs(t, err, access.ErrUnavailable)
	require.EqualValues(t, 1, p.Asks.Load(), "an issuer that is away is left alone for a while")
	p.Down.Store(false)
	now = now.Add(time.Minute)

	who, err := v.Verify(t.Context(), p.Sign(t, p.Key, nil))
	require.NoError(t, err)
	require.Equal(t, "oidc:jane@example.com", who.Name)
	require.Len(t, who.Scope(access.Viewer), 2)
	require.Equal(t, []string{"prod"}, who.Scope(access.Responder)[0].Clusters)
	require.Empty(t, who.Scope(access.Admin))
	require.False(t, who.Expires.IsZero())

	who, err = v.Verify(t.Context(), p.Sign(t, p.Key, map[string]any{"groups": "admins", "aud": []string{"other", "riposte"}}))
	require.NoError(t, err, "one group, and several audiences")
	require.True(t, who.Scope(access.Admin).All())
	who, err = v.Verify(t.Context(), p.Sign(t, p.Key, map[string]any{"email": "tom@example.com", "groups": nil}))
	require.NoError(t, err)
	require.Empty(t, who.Scope(access.Viewer), "known, and nobody gave him anything")

	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	good := p.Sign(t, p.Key, nil)
	parts := strings.Split(good, ".")
	admin := strings.Split(p.Sign(t, other, map[string]any{"email": "root@example.com"}), ".")
	for name, token := range map[string]string{
		"another key":             p.Sign(t, other, nil),
		"another audience":        p.Sign(t, p.Key, map[string]any{"aud": "grafana"}),
		"no audience":             p.Sign(t, p.Key, map[string]any{"aud": nil}),
		"over":                    p.Sign(t, p.Key, map[string]any{"exp": now.Add(-time.Minute).Unix()}),
		"another issuer":          p.Sign(t, p.Key, map[string]any{"iss": "https://evil.example"}),
		"an unverified address":   p.Sign(t, p.Key, map[string]any{"email_verified": false}),
		"an oddly verified one":   p.Sign(t, p.Key, map[string]any{"email_verified": "true"}),
		"no name":                 p.Sign(t, p.Key, map[string]any{"email": nil}),
		"a name with a line":      p.Sign(t, p.Key, map[string]any{"email": "a\nb"}),
		"a long name":             p.Sign(t, p.Key, map[string]any{"email": strings.Repeat("x", 300)}),
		"groups of another shape": p.Sign(t, p.Key, map[string]any{"groups": map[string]any{"a": 1}}),
		"a shared secret":         p.Sign(t, []byte(strings.Repeat("k", 32)), nil),
		"a changed payload":       parts[0] + "." + admin[1] + "." + parts[2],
		"no signature":            parts[0] + "." + parts[1] + ".",
		"no algorithm":            "eyJhbGciOiJub25lIn0." + parts[1] + ".",
		"nonsense":                "a.b.c",
	} {
		_, err := v.Verify(t.Context(), token)
		require.ErrorIs(t, err, access.ErrUnknown, name)
	}
}
