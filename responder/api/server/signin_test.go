package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/responder/api"
	"riposte/responder/api/access"
	"riposte/responder/api/access/oidctest"
	"riposte/responder/api/apitest"
	"riposte/responder/api/client"
	"riposte/responder/api/server"
	"riposte/responder/store/storetest"
)

// consoleURL is the console's address as the issuer and the browser know it.
const consoleURL = "http://localhost:7411"

// browser keeps cookies, and finds the API at the console's address.
type browser struct {
	*http.Client
	t *testing.T
}

func newBrowser(t *testing.T, e *apitest.Env) browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	at, err := url.Parse(e.URL)
	require.NoError(t, err)
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		if address == "localhost:7411" {
			address = at.Host
		}
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
	transport := &http.Transport{DialContext: dial}
	t.Cleanup(transport.CloseIdleConnections)
	return browser{&http.Client{Jar: jar, Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, t}
}

// ask is a request of one of the console's own pages.
func (b browser) ask(method, address, body string) (*http.Response, string) {
	b.t.Helper()
	if strings.HasPrefix(address, "/") {
		address = consoleURL + address
	}
	req, err := http.NewRequestWithContext(b.t.Context(), method, address, strings.NewReader(body))
	require.NoError(b.t, err)
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	if method != http.MethodGet {
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Origin", consoleURL)
	}
	res, err := b.Do(req)
	require.NoError(b.t, err)
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	require.NoError(b.t, err)
	return res, string(got)
}

// begin returns where the browser is sent.
func (b browser) begin(back string) string {
	b.t.Helper()
	res, body := b.ask("POST", "/api/v1/signin", fmt.Sprintf(`{"return_to":%q}`, back))
	require.Equal(b.t, http.StatusOK, res.StatusCode, body)
	var begun api.SignInBegun
	require.NoError(b.t, json.Unmarshal([]byte(body), &begun))
	return begun.Location
}

// answer is the address with which the issuer sends the browser back.
func (b browser) answer(back string) string {
	b.t.Helper()
	res, body := b.ask("GET", b.begin(back), "")
	require.Equal(b.t, http.StatusFound, res.StatusCode, body)
	return res.Header.Get("Location")
}

// come takes the issuer's answer back, and returns why that failed.
func (b browser) come(answer, back string) (failure string) {
	b.t.Helper()
	res, _ := b.ask("GET", answer, "")
	require.Equal(b.t, http.StatusSeeOther, res.StatusCode)
	require.Equal(b.t, consoleURL+back, res.Header.Get("Location"))
	return b.failure()
}

func (b browser) failure() string {
	b.t.Helper()
	_, body := b.ask("GET", "/api/v1/signin", "")
	var how api.SignIn
	require.NoError(b.t, json.Unmarshal([]byte(body), &how))
	require.NotEmpty(b.t, how.Issuer)
	return how.Failure
}

// withIssuer is an API whose people sign in with an issuer: sre may respond.
func withIssuer(t *testing.T) (*apitest.Env, *oidctest.Issuer) {
	t.Helper()
	p := oidctest.New(t)
	p.Register(oidctest.Client{ID: "riposte", Secret: "s3cret", Redirect: consoleURL + access.CallbackPath, LoggedOut: consoleURL + "/"})
	config, err := access.ParseConfig(fmt.Appendf(nil, `
oidc: {issuer: %q, audience: riposte, console: {url: %q, session: 1h}}
grants:
- {to: ["oidc:group:sre"], role: responder}
`, p.URL, consoleURL))
	require.NoError(t, err)
	config.OIDC.Console.ClientSecret = "s3cret"
	return apitest.StartWith(t, storetest.New(t), server.Options{Access: config}), p
}

func logins(t *testing.T, e *apitest.Env, kind string) []api.AuditEntry {
	t.Helper()
	p, err := newClient(t, e).Audit(t.Context(), client.AuditFilter{Kind: kind})
	require.NoError(t, err)
	return p.Items
}

func TestSignInWithTheIssuer(t *testing.T) {
	e, p := withIssuer(t)
	b := newBrowser(t, e)
	const page = "/?action=1#a"
	require.Empty(t, b.come(b.answer(page), page))

	res, body := b.ask("GET", "/api/v1/session", "")
	require.Equal(t, http.StatusOK, res.StatusCode)
	var who api.Identity
	require.NoError(t, json.Unmarshal([]byte(body), &who))
	require.Equal(t, "oidc:jane@example.com", who.Name)
	require.Equal(t, []api.Grant{{Role: "responder"}}, who.Grants)
	require.WithinDuration(t, time.Now().Add(time.Hour), *who.ExpiresAt, 5*time.Minute)

	// She may what her group may, from the console's own pages.
	res, body = b.ask("PUT", "/api/v1/guard/kill-switch", `{"on":true,"reason":"a drill"}`)
	require.Equal(t, http.StatusOK, res.StatusCode, body)
	res, body = b.ask("PUT", "/api/v1/guard/kill-switch", `{"on":false}`)
	requireProblem(t, res, body, http.StatusForbidden, "forbidden")
	elsewhere, err := http.NewRequestWithContext(t.Context(), "PUT", consoleURL+"/api/v1/guard/kill-switch", strings.NewReader(`{"on":true}`))
	require.NoError(t, err)
	elsewhere.Header.Set("Origin", "https://evil.example")
	refused, err := b.Do(elsewhere)
	require.NoError(t, err)
	require.NoError(t, refused.Body.Close())
	require.Equal(t, http.StatusForbidden, refused.StatusCode)

	res, body = b.ask("DELETE", "/api/v1/session", "")
	require.Equal(t, http.StatusOK, res.StatusCode, body)
	var out api.SignedOut
	require.NoError(t, json.Unmarshal([]byte(body), &out))
	res, body = b.ask("GET", out.Location, "")
	require.Equal(t, consoleURL+"/", res.Header.Get("Location"), body)
	require.EqualValues(t, 1, p.Ended.Load(), "the issuer forgot her too")
	res, body = b.ask("GET", "/api/v1/status", "")
	requireProblem(t, res, body, http.StatusUnauthorized, "no_token")

	in := logins(t, e, "login")
	require.Len(t, in, 1)
	require.Equal(t, "user:oidc:jane@example.com", in[0].Actor)
	require.Contains(t, in[0].Note, p.URL)
	require.Equal(t, "user:oidc:jane@example.com", logins(t, e, "logout")[0].Actor)
}

func TestTheSignInsCookies(t *testing.T) {
	e, _ := withIssuer(t)
	b := newBrowser(t, e)
	check := func(res *http.Response, name string, site http.SameSite) *http.Cookie {
		t.Helper()
		for _, c := range res.Cookies() {
			if c.Name == name && c.MaxAge > 0 {
				require.True(t, c.HttpOnly)
				require.Equal(t, site, c.SameSite)
				return c
			}
		}
		t.Fatalf("no cookie %s", name)
		return nil
	}
	res, body := b.ask("POST", "/api/v1/signin", `{"return_to":"/"}`)
	attempt := check(res, "riposte_signin", http.SameSiteLaxMode)
	require.LessOrEqual(t, attempt.MaxAge, 600)
	require.False(t, attempt.Secure, "localhost in clear")
	var begun api.SignInBegun
	require.NoError(t, json.Unmarshal([]byte(body), &begun))
	to, err := url.Parse(begun.Location)
	require.NoError(t, err)
	require.NotContains(t, attempt.Value, to.Query().Get("state"), "it is sealed")
	res, _ = b.ask("GET", begun.Location, "")
	callback := res.Header.Get("Location")

	req, err := http.NewRequestWithContext(t.Context(), "GET", callback, nil)
	require.NoError(t, err)
	req.Header.Set("X-Forwarded-Proto", "https")
	res, err = b.Do(req)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	session := check(res, "riposte_session", http.SameSiteStrictMode)
	require.True(t, session.Secure, "the browser is connected by TLS to a proxy")
	require.InDelta(t, 3600, session.MaxAge, 5)
	require.NotContains(t, session.Value, "jane")

	// Nobody makes one, changes one, or uses one for what it is not.
	for name, value := range map[string]string{
		"changed": session.Value[:len(session.Value)-4] + "AAAA", "empty": "s.", "the attempt's": "s." + attempt.Value, "cut": session.Value[:20],
	} {
		res, body := do(t, "GET", e.URL+"/api/v1/status", "", "Cookie: riposte_session="+value)
		requireProblem(t, res, body, http.StatusUnauthorized, "no_session")
		require.NotContains(t, body, "jane", name)
	}
}

// Nobody is signed in by these, and the record tells it.
func TestSignInsThatFail(t *testing.T) {
	for name, tc := range map[string]struct {
		behave oidctest.Behaviour
		twist  func(b browser, answer string) string
		// lost: the browser does not know any more from where it began.
		lost bool
		says string
	}{
		"another state": {twist: func(_ browser, s string) string { return strings.Replace(s, "state=", "state=x", 1) }, says: "state"},
		"another browser": {twist: func(b browser, s string) string {
			b.Jar.SetCookies(&url.URL{Scheme: "http", Host: "localhost:7411"}, []*http.Cookie{{Name: "riposte_signin", Path: "/", MaxAge: -1}})
			return s
		}, lost: true, says: "not begun in this browser"},
		"a made-up attempt": {twist: func(b browser, s string) string {
			b.Jar.SetCookies(&url.URL{Scheme: "http", Host: "localhost:7411"}, []*http.Cookie{{Name: "riposte_signin", Path: "/", Value: "AAAA"}})
			return s
		}, lost: true, says: "not begun in this browser"},
		"a later attempt":  {twist: func(b browser, s string) string { b.begin("/x"); return s }, says: "state"},
		"a wrong nonce":    {behave: oidctest.Behaviour{Claims: map[string]any{"nonce": "x"}}, says: "nonce"},
		"a wrong audience": {behave: oidctest.Behaviour{Claims: map[string]any{"aud": "grafana"}}, says: "audience"},
		"expired":          {behave: oidctest.Behaviour{Claims: map[string]any{"exp": 1}}, says: "expired"},
		"another issuer":   {twist: func(_ browser, s string) string { return s + "&iss=https%3A%2F%2Fevil.example" }, says: "iss"},
		"refused there":    {behave: oidctest.Behaviour{Deny: "access_denied", Says: "<img src=x>\x1b"}, says: "the issuer says access_denied: <img src=x> "},
		"nobody's groups":  {behave: oidctest.Behaviour{Claims: map[string]any{"groups": []string{"all"}}}, says: "oidc:jane@example.com may do nothing here"},
		"an odd name":      {behave: oidctest.Behaviour{Claims: map[string]any{"email": "a\nb"}}, says: "none that can stand in the record"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, p := withIssuer(t)
			p.Behave(tc.behave)
			b := newBrowser(t, e)
			answer := b.answer("/x")
			if tc.twist != nil {
				answer = tc.twist(b, answer)
			}
			back := "/x"
			if tc.lost {
				back = "/"
			}
			require.Contains(t, b.come(answer, back), tc.says)
			res, body := b.ask("GET", "/api/v1/session", "")
			requireProblem(t, res, body, http.StatusUnauthorized, "no_token")
			in := logins(t, e, "login")
			require.Len(t, in, 1)
			require.Equal(t, "refused", in[0].Result)
			require.Contains(t, in[0].Note, tc.says)
		})
	}
}

func TestAnAnswerIsGoodOnce(t *testing.T) {
	e, _ := withIssuer(t)
	b := newBrowser(t, e)
	answer := b.answer("/x")
	kept := b.Jar.Cookies(&url.URL{Scheme: "http", Host: "localhost:7411"})
	require.Empty(t, b.come(answer, "/x"))
	require.Contains(t, b.come(answer, "/"), "not begun in this browser", "the attempt is over")
	thief := newBrowser(t, e)
	thief.Jar.SetCookies(&url.URL{Scheme: "http", Host: "localhost:7411"}, kept)
	require.Contains(t, thief.come(answer, "/x"), "invalid_grant")
}

func TestSignInNeverLeadsElsewhere(t *testing.T) {
	e, _ := withIssuer(t)
	b := newBrowser(t, e)
	for _, back := range []string{
		"", "https://evil.example", "//evil.example", "///evil.example", `/\evil.example`, `\\evil.example`, "/\t/evil.example", "javascript:alert(1)", ".evil.example", "@evil.example",
		"/api/v1/alerts", "/x/../api/v1/alerts", "/signin/callback?code=x", "/" + strings.Repeat("a", 2000), "/a\r\nSet-Cookie: a=b", "/%zz",
	} {
		body, err := json.Marshal(api.SignInAttempt{ReturnTo: back})
		require.NoError(t, err)
		res, text := b.ask("POST", "/api/v1/signin", string(body))
		requireProblem(t, res, text, http.StatusBadRequest, "bad_body")
	}
}

func TestSignInIsBegunOnTheConsolesPageAlone(t *testing.T) {
	e, _ := withIssuer(t)
	body := `{"return_to":"/"}`
	res, text := do(t, "POST", e.URL+"/api/v1/signin", body, "Content-Type: application/json", "Origin: https://evil.example")
	requireProblem(t, res, text, http.StatusForbidden, "cross_origin")
	res, text = do(t, "POST", e.URL+"/api/v1/signin", body, "Content-Type: application/json", "Origin: "+e.URL)
	requireProblem(t, res, text, http.StatusForbidden, "cross_origin")
	require.Contains(t, text, consoleURL, "the cookie would not come back from elsewhere")

	none := apitest.Start(t, storetest.New(t))
	res, text = do(t, "GET", none.URL+"/api/v1/signin", "")
	require.Equal(t, "{}\n", text)
	require.Equal(t, http.StatusOK, res.StatusCode)
	res, text = do(t, "POST", none.URL+"/api/v1/signin", body, "Content-Type: application/json")
	requireProblem(t, res, text, http.StatusNotFound, "no_issuer")
	res, _ = do(t, "GET", none.URL+access.CallbackPath+"?code=x", "")
	require.Equal(t, http.StatusNotFound, res.StatusCode)
}

func TestSignInsAreBounded(t *testing.T) {
	e, p := withIssuer(t)
	server.StopClock(e.Server)
	b := newBrowser(t, e)
	for range server.AttemptBurst {
		b.begin("/")
	}
	res, body := b.ask("POST", "/api/v1/signin", `{"return_to":"/"}`)
	requireProblem(t, res, body, http.StatusTooManyRequests, "too_many_requests")
	asked := p.Asks.Load()
	require.Contains(t, b.come(consoleURL+access.CallbackPath+"?code=x&state=x", "/"), "too many sign-ins")
	require.Equal(t, asked, p.Asks.Load(), "the issuer is left alone")

	// What strangers do fills no record.
	stranger := newBrowser(t, e)
	for range 3 * server.BurstsPerMinute {
		require.NotEmpty(t, stranger.come(consoleURL+access.CallbackPath, "/"))
	}
	require.Len(t, logins(t, e, "login"), server.BurstsPerMinute)
}

func TestSignInWhileTheIssuerIsAway(t *testing.T) {
	e, p := withIssuer(t)
	b := newBrowser(t, e)
	p.Down.Store(true)
	res, body := b.ask("POST", "/api/v1/signin", `{"return_to":"/"}`)
	requireProblem(t, res, body, http.StatusServiceUnavailable, "not_checked")
	require.Contains(t, body, "the issuer cannot be asked now")
	// A token is as good as ever.
	require.NotEmpty(t, signIn(t, e))
}

// Another responder's seal, another issuer's people, and a session that is over.
func TestASessionOfTheIssuersEnds(t *testing.T) {
	e, p := withIssuer(t)
	b := newBrowser(t, e)
	require.Empty(t, b.come(b.answer("/"), "/"))
	at, err := url.Parse(consoleURL)
	require.NoError(t, err)
	cookie := "Cookie: riposte_session=" + b.Jar.Cookies(at)[0].Value

	with := func(text string) *apitest.Env {
		config, err := access.ParseConfig([]byte(text))
		require.NoError(t, err)
		return apitest.StartWith(t, storetest.New(t), server.Options{Access: config})
	}
	base := fmt.Sprintf("oidc: {issuer: %q, audience: riposte, console: {url: %q}}\n", p.URL, consoleURL)
	res, body := do(t, "GET", with(base+`grants: [{to: ["oidc:user:jane@example.com"], role: viewer}]`).URL+"/api/v1/session", "", cookie)
	require.Equal(t, http.StatusOK, res.StatusCode, "another replica knows her")
	require.Contains(t, body, `"viewer"`, "and what she may do now")
	for name, text := range map[string]string{
		"another issuer": strings.Replace(base, p.URL, "https://other.example", 1),
		"another client": strings.Replace(base, "audience: riposte", "audience: other", 1),
		"none any more":  "",
	} {
		res, body := do(t, "GET", with(text).URL+"/api/v1/session", "", cookie)
		requireProblem(t, res, body, http.StatusUnauthorized, "no_session")
		require.NotEmpty(t, name)
	}
	later := with(base + `grants: [{to: ["oidc:group:sre"], role: viewer}]`)
	server.At(later.Server, time.Now().Add(time.Hour+time.Second))
	res, body = do(t, "GET", later.URL+"/api/v1/session", "", cookie)
	requireProblem(t, res, body, http.StatusUnauthorized, "no_session")
}
