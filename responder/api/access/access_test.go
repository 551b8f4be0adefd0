package access_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/responder/api/access"
	"riposte/responder/store"
)

// nobody stores no tokens.
func nobody(context.Context, []byte) (store.TokenRow, error) {
	return store.TokenRow{}, store.ErrNotFound
}

func TestNobodyMayDoAnythingWithoutAGrant(t *testing.T) {
	for _, role := range []access.Role{access.Viewer, access.Responder, access.Approver, access.Admin} {
		require.Empty(t, access.Identity{Name: "x"}.Scope(role))
		require.Empty(t, access.Identity{Name: "x", Grants: []access.Grant{{}}}.Scope(role), "a grant of no role")
	}
	require.Empty(t, access.Identity{Grants: []access.Grant{{}}}.Scope(access.None))
	var none store.Scope
	require.False(t, none.All())
	require.False(t, none.Holds("c", ""))
	limited := store.Scope{{Clusters: []string{"c"}, Namespaces: []string{"n"}}}
	require.True(t, limited.Holds("c", "n"))
	require.False(t, limited.Holds("c", ""), "what is in no namespace")
	require.False(t, limited.Holds("d", "n"))
}

func TestConfigSaysWhatIsWrong(t *testing.T) {
	const oidc = "oidc: {issuer: 'https://idp.example', audience: riposte}\n"
	for text, says := range map[string]string{
		"oidc: {issuer: 'http://idp.example', audience: a}":                                             "no https address",
		"oidc: {issuer: '', audience: a}":                                                               "no https address",
		"oidc: {issuer: 'https://idp.example'}":                                                         "oidc.audience",
		"oidc: {issuer: 'https://idp.example', audience: a, secret: s}":                                 "field secret not found",
		"grants: [{to: ['oidc:user:a'], role: viewer}]":                                                 "grants[0]: to: \"oidc:user:a\": there is no oidc section",
		"grants: [{to: ['k8s:group:a'], role: viewer}]":                                                 "no kubernetes section",
		oidc + "grants: [{to: ['oidc:user:a'], role: root}]":                                            "grants[0]: role \"root\" is none of viewer, responder",
		oidc + "grants: [{to: ['oidc:user:a'], role: none}]":                                            "is none of viewer",
		oidc + "grants: [{to: [], role: viewer}]":                                                       "say to whom",
		oidc + "grants: [{to: ['jane'], role: viewer}]":                                                 "oidc:user:NAME",
		oidc + "grants: [{to: ['oidc:group:'], role: viewer}]":                                          "oidc:user:NAME",
		oidc + "grants: [{to: ['oidc:user:a'], role: viewer}, {to: ['oidc:user:a'], namespaces: ['']}]": "grants[1]",
		"[": "yaml",
	} {
		_, err := access.ParseConfig([]byte(text))
		require.ErrorContains(t, err, says, text)
	}
	c, err := access.ParseConfig(nil)
	require.NoError(t, err)
	require.Empty(t, c.Grants)
}

// The cluster vouches, and is asked once in a while only.
func TestTokenReview(t *testing.T) {
	config, err := access.ParseConfig([]byte(`
kubernetes: {audiences: [riposte]}
grants:
- {to: ["k8s:user:system:serviceaccount:shop:ci"], role: responder, namespaces: [shop]}
- {to: ["k8s:group:sre"], role: viewer}
`))
	require.NoError(t, err)
	now := time.Now()
	asked, away := 0, false
	v := access.NewVerifier(access.Options{
		Config: config, Tokens: nobody, Now: func() time.Time { return now },
		Review: func(_ context.Context, token string, audiences []string) (string, []string, bool, error) {
			asked++
			require.Equal(t, []string{"riposte"}, audiences)
			if away {
				return "", nil, false, errors.New("connection refused")
			}
			return "system:serviceaccount:shop:ci", []string{"sre", "other"}, token == "a.good.token", nil
		},
	})
	for range 5 {
		who, err := v.Verify(t.Context(), "a.good.token")
		require.NoError(t, err)
		require.Equal(t, "k8s:system:serviceaccount:shop:ci", who.Name)
		require.Equal(t, store.Scope{{Namespaces: []string{"shop"}}}, who.Scope(access.Responder))
		require.Len(t, who.Scope(access.Viewer), 2)
		require.Empty(t, who.Scope(access.Approver))
		_, err = v.Verify(t.Context(), "a.bad.token")
		require.ErrorIs(t, err, access.ErrUnknown)
	}
	require.Equal(t, 2, asked)
	away = true
	_, err = v.Verify(t.Context(), "a.good.token")
	require.NoError(t, err, "remembered")
	now = now.Add(time.Minute)
	_, err = v.Verify(t.Context(), "a.good.token")
	require.ErrorIs(t, err, access.ErrUnavailable, "not for long: nobody is let in on a guess")
	for i := range 1000 {
		_, err = v.Verify(t.Context(), strings.Repeat("x", i)+".y.z")
		require.ErrorIs(t, err, access.ErrUnavailable)
	}
	require.Less(t, asked, 50, "strangers cannot make us flood the API server")
	_, err = v.Verify(t.Context(), "opaque")
	require.ErrorIs(t, err, access.ErrUnknown)
}

func TestLimiter(t *testing.T) {
	now := time.Now()
	l := access.NewLimiter(0.5, 2, func() time.Time { return now })
	require.Zero(t, l.Wait("a"))
	require.Zero(t, l.Take("a"))
	require.Zero(t, l.Take("a"))
	require.Equal(t, 2*time.Second, l.Take("a"))
	require.Equal(t, 2*time.Second, l.Wait("a"))
	require.Zero(t, l.Take("b"))
	now = now.Add(2 * time.Second)
	require.Zero(t, l.Take("a"))
	require.NotZero(t, l.Take("a"))
	for i := range 10_000 { // what is not used is forgotten: memory is bounded
		l.Take(strings.Repeat("k", i%50) + string(rune(i)))
	}
	require.Zero(t, l.Take("a"))
}

func TestAddress(t *testing.T) {
	for remote, want := range map[string]string{
		"192.0.2.1:1234": "192.0.2.1", "[::ffff:192.0.2.1]:1": "192.0.2.1", "[2001:db8:1:2:3:4:5:6]:443": "2001:db8:1:2::/64",
		"[fe80::1%eth0]:1": "fe80::/64", "@": "@", "": "",
	} {
		require.Equal(t, want, access.Address(remote), remote)
	}
}

func TestTokensAreNotAlike(t *testing.T) {
	a, hash := access.NewToken()
	b, _ := access.NewToken()
	require.NotEqual(t, a, b)
	require.True(t, access.IsToken(a))
	require.Equal(t, hash, access.Hash(a))
}
