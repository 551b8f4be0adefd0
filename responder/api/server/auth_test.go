package server_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/responder/api/apitest"
	"riposte/responder/api/client"
	"riposte/responder/api/server"
	"riposte/responder/store/storetest"
)

// Every endpoint that there is, asked by a stranger.
func TestEverythingIsClosed(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	open := 0
	for i, one := range server.Endpoints(e.Server) {
		method, path, found := strings.Cut(one.Pattern, " ")
		if !found {
			method, path = "GET", one.Pattern
		}
		path = strings.NewReplacer("{id}", apitest.ActionID(0), "{name}", "p", "{cluster}", "c", "{node}", "n").Replace(path)
		if one.Open {
			open++
			continue
		}
		ask := func(name, code string, headers ...string) {
			t.Run(one.Pattern+" with "+name, func(t *testing.T) {
				res, body := do(t, method, e.URL+path, "", headers...)
				requireProblem(t, res, body, http.StatusUnauthorized, code)
				require.NotEmpty(t, res.Header.Get("WWW-Authenticate"))
			})
		}
		ask("no token", "no_token")
		ask("a bad cookie", "no_session", "Cookie: riposte_session=AAAA")
		ask("the token as a cookie", "no_session", "Cookie: riposte_session="+apitest.Token)
		if i == 0 { // more bad tokens than a few are not listened to, see TestBadTokensAreBounded
			ask("a bad token", "bad_token", "Authorization: Bearer "+apitest.Token+"x")
			ask("an empty token", "bad_token", "Authorization: Bearer ")
			ask("another scheme", "bad_token", "Authorization: Basic "+apitest.Token)
		}
	}
	require.Equal(t, 3, open, "signing in, with a token or through an issuer")
}

// signIn returns the session's cookie.
func signIn(t *testing.T, e *apitest.Env) string { return signInWith(t, e, apitest.Token) }

func signInWith(t *testing.T, e *apitest.Env, token string) string {
	t.Helper()
	res, body := do(t, "POST", e.URL+"/api/v1/session", `{"token":"`+token+`"}`, "Content-Type: application/json", "Origin: "+e.URL)
	require.Equal(t, http.StatusNoContent, res.StatusCode, body)
	cookies := res.Cookies()
	require.Len(t, cookies, 1)
	c := cookies[0]
	require.True(t, c.HttpOnly)
	require.Equal(t, http.SameSiteStrictMode, c.SameSite)
	require.NotContains(t, c.Value, token)
	return "Cookie: " + c.Name + "=" + c.Value
}

func TestSession(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	cookie := signIn(t, e)
	res, _ := do(t, "GET", e.URL+"/api/v1/status", "", cookie)
	require.Equal(t, http.StatusOK, res.StatusCode)

	flipped := cookie[:len(cookie)-2] + map[bool]string{true: "A", false: "B"}[cookie[len(cookie)-2] != 'A'] + cookie[len(cookie)-1:]
	res, body := do(t, "GET", e.URL+"/api/v1/status", "", flipped)
	requireProblem(t, res, body, http.StatusUnauthorized, "no_session")

	// A bad token is not made good by a session.
	res, _ = do(t, "GET", e.URL+"/api/v1/status", "", cookie, "Authorization: Bearer nope")
	require.Equal(t, http.StatusUnauthorized, res.StatusCode)

	p, err := newClient(t, e).Audit(t.Context(), client.AuditFilter{Kind: "login"})
	require.NoError(t, err)
	require.Len(t, p.Items, 1)

	res, body = do(t, "DELETE", e.URL+"/api/v1/session", "", cookie, "Origin: "+e.URL)
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.Equal(t, "{}\n", body, "there is no issuer to go to")
	require.Negative(t, res.Cookies()[0].MaxAge)
	p, err = newClient(t, e).Audit(t.Context(), client.AuditFilter{Kind: "logout"})
	require.NoError(t, err)
	require.Len(t, p.Items, 1)
}

func TestSignInRefused(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	res, body := do(t, "POST", e.URL+"/api/v1/session", `{"token":"wrong"}`, "Content-Type: application/json")
	requireProblem(t, res, body, http.StatusUnauthorized, "bad_token")
	require.Empty(t, res.Cookies())
	res, body = do(t, "POST", e.URL+"/api/v1/session", `{"token":"`+apitest.Token+`"}`, "Content-Type: application/json", "Origin: http://evil.example")
	requireProblem(t, res, body, http.StatusForbidden, "cross_origin")
	res, body = do(t, "POST", e.URL+"/api/v1/session", `token=`+apitest.Token, "Content-Type: application/x-www-form-urlencoded")
	requireProblem(t, res, body, http.StatusUnsupportedMediaType, "bad_content_type")
}

func TestAnotherSiteCannotUseTheSession(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	cookie := signIn(t, e)
	for name, tc := range map[string]struct {
		headers []string
		allowed bool
	}{
		"own page":                {[]string{"Origin: " + e.URL, "Sec-Fetch-Site: same-origin"}, true},
		"own page, old browser":   {[]string{"Origin: " + e.URL}, true},
		"neither header":          {nil, false},
		"other site":              {[]string{"Origin: http://evil.example", "Sec-Fetch-Site: cross-site"}, false},
		"other port of this host": {[]string{"Origin: http://127.0.0.1:1", "Sec-Fetch-Site: same-site"}, false},
		"other port, old browser": {[]string{"Origin: http://127.0.0.1:1"}, false},
		"sandboxed frame":         {[]string{"Origin: null"}, false},
		"typed address":           {[]string{"Sec-Fetch-Site: none"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			headers := append([]string{cookie, "Content-Type: application/json"}, tc.headers...)
			res, body := do(t, "PUT", e.URL+"/api/v1/guard/kill-switch", `{"on":false}`, headers...)
			if tc.allowed {
				require.Equal(t, http.StatusOK, res.StatusCode, body)
				return
			}
			requireProblem(t, res, body, http.StatusForbidden, "cross_origin")
		})
	}
}
