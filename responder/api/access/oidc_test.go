package access_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"riposte/responder/api/access"
)

// idp is an OpenID Connect issuer: it serves its description and its keys, and signs.
type idp struct {
	*httptest.Server
	key  *ecdsa.PrivateKey
	down atomic.Bool
	asks atomic.Int32
}

func newIDP(t *testing.T) *idp {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	p := &idp{key: key}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.asks.Add(1)
		var answer any
		switch {
		case p.down.Load():
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		case r.URL.Path == "/.well-known/openid-configuration":
			answer = map[string]any{"issuer": p.URL, "jwks_uri": p.URL + "/keys", "id_token_signing_alg_values_supported": []string{"ES256"}}
		case r.URL.Path == "/keys":
			answer = jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "1", Algorithm: "ES256", Use: "sig"}}}
		default:
			http.NotFound(w, r)
			return
		}
		_ = json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(p.Close)
	return p
}

// sign makes a token of good claims with some changed.
func (p *idp) sign(t *testing.T, key any, change map[string]any) string {
	t.Helper()
	claims := map[string]any{
		"iss": p.URL, "aud": "riposte", "sub": "1234", "exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix(),
		"email": "jane@example.com", "email_verified": true, "groups": []string{"sre", "all"},
	}
	maps.Copy(claims, change)
	alg := jose.ES256
	if _, ok := key.([]byte); ok {
		alg = jose.HS256
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, (&jose.SignerOptions{}).WithHeader("kid", "1"))
	require.NoError(t, err)
	b, err := json.Marshal(claims)
	require.NoError(t, err)
	signed, err := signer.Sign(b)
	require.NoError(t, err)
	token, err := signed.CompactSerialize()
	require.NoError(t, err)
	return token
}

func TestOIDC(t *testing.T) {
	p := newIDP(t)
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

	p.down.Store(true)
	_, err = v.Verify(t.Context(), p.sign(t, p.key, nil))
	require.ErrorIs(t, err, access.ErrUnavailable)
	_, err = v.Verify(t.Context(), p.sign(t, p.key, nil))
	require.ErrorIs(t, err, access.ErrUnavailable)
	require.EqualValues(t, 1, p.asks.Load(), "an issuer that is away is left alone for a while")
	p.down.Store(false)
	now = now.Add(time.Minute)

	who, err := v.Verify(t.Context(), p.sign(t, p.key, nil))
	require.NoError(t, err)
	require.Equal(t, "oidc:jane@example.com", who.Name)
	require.Len(t, who.Scope(access.Viewer), 2)
	require.Equal(t, []string{"prod"}, who.Scope(access.Responder)[0].Clusters)
	require.Empty(t, who.Scope(access.Admin))
	require.False(t, who.Expires.IsZero())

	who, err = v.Verify(t.Context(), p.sign(t, p.key, map[string]any{"groups": "admins", "aud": []string{"other", "riposte"}}))
	require.NoError(t, err, "one group, and several audiences")
	require.True(t, who.Scope(access.Admin).All())
	who, err = v.Verify(t.Context(), p.sign(t, p.key, map[string]any{"email": "tom@example.com", "groups": nil}))
	require.NoError(t, err)
	require.Empty(t, who.Scope(access.Viewer), "known, and nobody gave him anything")

	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	good := p.sign(t, p.key, nil)
	parts := strings.Split(good, ".")
	admin := strings.Split(p.sign(t, other, map[string]any{"email": "root@example.com"}), ".")
	for name, token := range map[string]string{
		"another key":             p.sign(t, other, nil),
		"another audience":        p.sign(t, p.key, map[string]any{"aud": "grafana"}),
		"no audience":             p.sign(t, p.key, map[string]any{"aud": nil}),
		"over":                    p.sign(t, p.key, map[string]any{"exp": now.Add(-time.Minute).Unix()}),
		"another issuer":          p.sign(t, p.key, map[string]any{"iss": "https://evil.example"}),
		"an unverified address":   p.sign(t, p.key, map[string]any{"email_verified": false}),
		"an oddly verified one":   p.sign(t, p.key, map[string]any{"email_verified": "true"}),
		"no name":                 p.sign(t, p.key, map[string]any{"email": nil}),
		"a name with a line":      p.sign(t, p.key, map[string]any{"email": "a\nb"}),
		"a long name":             p.sign(t, p.key, map[string]any{"email": strings.Repeat("x", 300)}),
		"groups of another shape": p.sign(t, p.key, map[string]any{"groups": map[string]any{"a": 1}}),
		"a shared secret":         p.sign(t, []byte(strings.Repeat("k", 32)), nil),
		"a changed payload":       parts[0] + "." + admin[1] + "." + parts[2],
		"no signature":            parts[0] + "." + parts[1] + ".",
		"no algorithm":            "eyJhbGciOiJub25lIn0." + parts[1] + ".",
		"nonsense":                "a.b.c",
	} {
		_, err := v.Verify(t.Context(), token)
		require.ErrorIs(t, err, access.ErrUnknown, name)
	}
}
