package access_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/responder/api/access"
	"riposte/responder/api/access/oidctest"
)

const consoleURL = "https://riposte.example.com"

func signingIn(t *testing.T, p *oidctest.Issuer, secret string) *access.Verifier {
	t.Helper()
	config, err := access.ParseConfig(fmt.Appendf(nil, `
oidc:
  issuer: %q
  audience: riposte
  console: {url: %q, client_id: console}
grants:
- {to: ["oidc:group:sre"], role: responder}
`, p.URL, consoleURL+"/"))
	require.NoError(t, err)
	config.OIDC.Console.ClientSecret = secret
	p.Register(oidctest.Client{ID: "console", Secret: secret, Redirect: consoleURL + access.CallbackPath, LoggedOut: consoleURL + "/"})
	return access.NewVerifier(access.Options{Config: config, Tokens: nobody})
}

func TestSignInThroughTheIssuer(t *testing.T) {
	for name, tc := range map[string]struct {
		secret string
		behave oidctest.Behaviour
	}{
		"a public client":                {},
		"a secret in the header":         {secret: "s3cret"},
		"a secret in the form":           {secret: "s3cret", behave: oidctest.Behaviour{Describe: map[string]any{"token_endpoint_auth_methods_supported": []string{"client_secret_post"}}}},
		"an issuer that names itself":    {behave: oidctest.Behaviour{NamesItself: true}},
		"several audiences, and azp":     {behave: oidctest.Behaviour{Claims: map[string]any{"aud": []string{"other", "console"}, "azp": "console"}}},
		"an issuer that ends no session": {behave: oidctest.Behaviour{Describe: map[string]any{"end_session_endpoint": "javascript:alert(1)"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := oidctest.New(t)
			p.Behave(tc.behave)
			v := signingIn(t, p, tc.secret)
			a, to, err := v.BeginSignIn()
			require.NoError(t, err)
			for _, secret := range []string{a.Verifier, tc.secret} {
				require.True(t, secret == "" || !strings.Contains(to, secret), "no secret goes through the browser")
			}
			who, err := v.FinishSignIn(t.Context(), a, p.Authorize(t, to))
			require.NoError(t, err)
			require.Equal(t, access.Person{User: "jane@example.com", Groups: []string{"sre"}}, who, "of her groups the one that a grant names")
			is, err := v.Identity(who)
			require.NoError(t, err)
			require.Equal(t, "oidc:jane@example.com", is.Name)
			require.NotEmpty(t, is.Scope(access.Responder))
			out := v.EndSession()
			if tc.behave.Describe["end_session_endpoint"] != nil {
				require.Empty(t, out)
				return
			}
			require.Equal(t, p.URL+"/logout?client_id=console&post_logout_redirect_uri="+url.QueryEscape(consoleURL+"/"), out)
		})
	}
}

// Each of them is somebody's attempt to be somebody else.
func TestSignInAttacks(t *testing.T) {
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	claims := func(name string, value any) oidctest.Behaviour {
		return oidctest.Behaviour{Claims: map[string]any{name: value}}
	}
	for name, tc := range map[string]struct {
		behave oidctest.Behaviour
		// twist changes the attempt or the answer before it is read.
		twist func(a *access.Attempt, answer url.Values)
		says  string
	}{
		"another state":       {twist: func(_ *access.Attempt, q url.Values) { q.Set("state", "x") }, says: "state"},
		"no state":            {twist: func(_ *access.Attempt, q url.Values) { q.Del("state") }, says: "state"},
		"no attempt":          {twist: func(a *access.Attempt, q url.Values) { *a = access.Attempt{}; q.Del("state") }, says: "state"},
		"two states":          {twist: func(_ *access.Attempt, q url.Values) { q.Add("state", "x") }, says: "twice"},
		"two codes":           {twist: func(_ *access.Attempt, q url.Values) { q.Add("code", "x") }, says: "twice"},
		"no code":             {twist: func(_ *access.Attempt, q url.Values) { q.Del("code") }, says: "no code"},
		"an invented code":    {twist: func(_ *access.Attempt, q url.Values) { q.Set("code", "x") }, says: "invalid_grant"},
		"another verifier":    {twist: func(a *access.Attempt, _ url.Values) { a.Verifier += "x" }, says: "code_verifier does not match"},
		"another issuer":      {twist: func(_ *access.Attempt, q url.Values) { q.Set("iss", "https://evil.example") }, says: "iss"},
		"no issuer named":     {behave: oidctest.Behaviour{NamesItself: true}, twist: func(_ *access.Attempt, q url.Values) { q.Del("iss") }, says: "iss"},
		"another nonce":       {behave: claims("nonce", "x"), says: "nonce"},
		"no nonce":            {behave: claims("nonce", nil), says: "nonce"},
		"another audience":    {behave: claims("aud", "riposte"), says: "audience"},
		"another party":       {behave: claims("azp", "other"), says: "azp"},
		"audiences, no azp":   {behave: claims("aud", []string{"console", "other"}), says: "azp"},
		"a token of another":  {behave: claims("iss", "https://evil.example"), says: "issue"},
		"an old token":        {behave: claims("exp", time.Now().Add(-time.Minute).Unix()), says: "expired"},
		"an unverified email": {behave: claims("email_verified", false), says: "not verified"},
		"another key":         {behave: oidctest.Behaviour{Key: other}, says: "signature"},
		"a shared secret":     {behave: oidctest.Behaviour{Key: []byte(strings.Repeat("k", 32))}, says: "HS256"},
		"tokens of two":       {behave: claims("at_hash", "AAAA"), says: "at_hash"},
		"refused":             {behave: oidctest.Behaviour{Deny: "access_denied", Says: "not\x1b[2J\u202e <b>you</b>"}, says: "access_denied: not [2J  <b>you</b>"},
		"refused at length":   {behave: oidctest.Behaviour{Deny: "server_error", Says: strings.Repeat("ä", 5000)}, says: "…"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := oidctest.New(t)
			p.Behave(tc.behave)
			v := signingIn(t, p, "")
			a, to, err := v.BeginSignIn()
			require.NoError(t, err)
			answer := p.Authorize(t, to)
			if tc.twist != nil {
				tc.twist(&a, answer)
			}
			who, err := v.FinishSignIn(t.Context(), a, answer)
			require.ErrorIs(t, err, access.ErrSignIn)
			require.ErrorContains(t, err, tc.says)
			require.Less(t, len(err.Error()), 400)
			require.Zero(t, who)
		})
	}
}

func TestACodeIsGoodOnce(t *testing.T) {
	p := oidctest.New(t)
	v := signingIn(t, p, "")
	a, to, err := v.BeginSignIn()
	require.NoError(t, err)
	answer := p.Authorize(t, to)
	_, err = v.FinishSignIn(t.Context(), a, answer)
	require.NoError(t, err)
	_, err = v.FinishSignIn(t.Context(), a, answer)
	require.ErrorIs(t, err, access.ErrSignIn)
	require.ErrorContains(t, err, "was used")
}

func TestSignInWithAnIssuerThatIsAway(t *testing.T) {
	p := oidctest.New(t)
	v := signingIn(t, p, "")
	a, to, err := v.BeginSignIn()
	require.NoError(t, err)
	answer := p.Authorize(t, to)
	p.Down.Store(true)
	_, err = v.FinishSignIn(t.Context(), a, answer)
	require.ErrorIs(t, err, access.ErrUnavailable)
	require.NotContains(t, err.Error(), answer.Get("code"))

	v = signingIn(t, p, "")
	_, _, err = v.BeginSignIn()
	require.ErrorIs(t, err, access.ErrUnavailable)
	require.Empty(t, v.EndSession())
}

// An issuer whose description is of no use for people's sign-in still signs tokens.
func TestAnIssuerWithoutAPage(t *testing.T) {
	for name, endpoints := range map[string]map[string]any{
		"no page":         {"authorization_endpoint": nil},
		"a script":        {"authorization_endpoint": "javascript:alert(1)"},
		"a page in clear": {"authorization_endpoint": "http://idp.example.com/authorize"},
		"no token":        {"token_endpoint": ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := oidctest.New(t)
			p.Behave(oidctest.Behaviour{Describe: endpoints})
			v := signingIn(t, p, "")
			_, _, err := v.BeginSignIn()
			require.ErrorContains(t, err, "endpoint")
			who, err := v.Verify(t.Context(), p.Sign(t, p.Key, nil))
			require.NoError(t, err)
			require.Equal(t, "oidc:jane@example.com", who.Name)
		})
	}
}

func TestConsoleConfig(t *testing.T) {
	parse := func(console string) (access.Config, error) {
		return access.ParseConfig([]byte("oidc: {issuer: https://idp.example.com, audience: riposte, console: {" + console + "}}"))
	}
	c, err := parse("url: https://riposte.example.com/")
	require.NoError(t, err)
	require.Equal(t, access.Console{
		URL: "https://riposte.example.com", ClientID: "riposte", Scopes: []string{"openid", "profile", "email"}, Session: 8 * time.Hour,
	}, *c.OIDC.Console)
	c, err = parse("url: https://riposte.example.com, client_id: c, client_secret_file: /f, scopes: [openid, groups], session: 1h")
	require.NoError(t, err)
	require.Equal(t, access.Console{
		URL: "https://riposte.example.com", ClientID: "c", ClientSecretFile: "/f", Scopes: []string{"openid", "groups"}, Session: time.Hour,
	}, *c.OIDC.Console)
	for console, says := range map[string]string{
		"":                                  "oidc.console.url",
		"url: http://riposte.example.com":   "no https address",
		"url: https://me:pw@example.com":    "no https address",
		"url: https://example.com/riposte":  "without a path",
		"url: 'https://example.com?a=b'":    "without a path",
		"url: https://e.com, session: 13h":  "oidc.console.session",
		"url: https://e.com, session: 1s":   "oidc.console.session",
		"url: https://e.com, scopes: [a b]": "one word",
		"url: https://e.com, secret: s":     "field secret not found",
	} {
		_, err := parse(console)
		require.ErrorContains(t, err, says, console)
	}
}
