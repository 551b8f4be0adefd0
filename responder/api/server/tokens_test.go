package server_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/responder/api"
	"riposte/responder/api/apitest"
	"riposte/responder/api/client"
	"riposte/responder/api/server"
	"riposte/responder/store/storetest"
)

func newToken(name, role string) api.NewToken {
	return api.NewToken{Name: name, Role: role, ExpiresAt: time.Now().Add(time.Hour), Reason: "a test"}
}

func TestTokens(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	admin := newClient(t, e)
	made, err := admin.CreateToken(t.Context(), newToken("amy", "responder"))
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(made.Secret, "riposte_"))
	var kept string
	require.NoError(t, e.Store.Pool().QueryRow(t.Context(), `SELECT string_agg(t::text, '') FROM access_tokens t`).Scan(&kept))
	require.NotContains(t, kept, made.Secret, "only its hash is kept")

	amy := clientOf(t, e, made.Secret)
	who, err := amy.Identity(t.Context())
	require.NoError(t, err)
	require.Equal(t, "amy", who.Name)
	require.WithinDuration(t, made.ExpiresAt, *who.ExpiresAt, time.Second)
	_, err = amy.SetKillSwitch(t.Context(), api.KillSwitch{On: true})
	require.NoError(t, err)
	_, err = amy.Tokens(t.Context(), "", 0, "")
	requireCode(t, err, http.StatusForbidden, "forbidden")
	cookie := signInWith(t, e, made.Secret)
	res, _ := do(t, "GET", e.URL+"/api/v1/status", "", cookie)
	require.Equal(t, http.StatusOK, res.StatusCode)

	_, err = admin.CreateToken(t.Context(), newToken("bob", "viewer"))
	require.NoError(t, err)
	p, err := admin.Tokens(t.Context(), "amy", 0, "")
	require.NoError(t, err)
	require.Len(t, p.Items, 1)
	require.NotNil(t, p.Items[0].UsedAt)
	first, err := admin.Tokens(t.Context(), "", 1, "")
	require.NoError(t, err)
	require.Equal(t, "bob", first.Items[0].Name)
	second, err := admin.Tokens(t.Context(), "", 1, first.Next)
	require.NoError(t, err)
	require.Equal(t, "amy", second.Items[0].Name)

	gone, err := admin.RevokeToken(t.Context(), made.ID[24:], "laptop lost")
	require.NoError(t, err)
	require.Equal(t, "user:token", gone.RevokedBy)
	_, err = admin.RevokeToken(t.Context(), made.ID, "again")
	requireCode(t, err, http.StatusConflict, "token_ended")
	_, err = amy.Status(t.Context())
	requireCode(t, err, http.StatusUnauthorized, "bad_token")
	res, body := do(t, "GET", e.URL+"/api/v1/status", "", cookie)
	requireProblem(t, res, body, http.StatusUnauthorized, "no_session")

	entries, err := admin.Audit(t.Context(), client.AuditFilter{Kind: "token"})
	require.NoError(t, err)
	require.Len(t, entries.Items, 3)
	require.Equal(t, "revoked", entries.Items[0].Result)
	require.Equal(t, "laptop lost", entries.Items[0].Reason)
	require.Contains(t, entries.Items[2].Note, "a token of amy, responder until")
	for _, entry := range entries.Items {
		require.NotContains(t, string(entry.Body), made.Secret)
	}
}

func TestTokensEnd(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	made, err := newClient(t, e).CreateToken(t.Context(), newToken("amy", "viewer"))
	require.NoError(t, err)
	cookie := signInWith(t, e, made.Secret)
	sql(t, e, `UPDATE access_tokens SET expires_at = now()`)
	_, err = clientOf(t, e, made.Secret).Status(t.Context())
	requireCode(t, err, http.StatusUnauthorized, "bad_token")
	res, body := do(t, "GET", e.URL+"/api/v1/status", "", cookie)
	requireProblem(t, res, body, http.StatusUnauthorized, "no_session")
}

func TestBadTokenRequests(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	c := newClient(t, e)
	for says, change := range map[string]func(*api.NewToken){
		"role:":            func(n *api.NewToken) { n.Role = "root" },
		"name: lower-case": func(n *api.NewToken) { n.Name = "Amy\n" },
		"responder's own":  func(n *api.NewToken) { n.Name = "token" },
		"within the next":  func(n *api.NewToken) { n.ExpiresAt = time.Now().Add(400 * 24 * time.Hour) },
		"expires_at":       func(n *api.NewToken) { n.ExpiresAt = time.Now().Add(-time.Second) },
		"namespaces":       func(n *api.NewToken) { n.Namespaces = []string{""} },
		"clusters":         func(n *api.NewToken) { n.Clusters = make([]string, 101) },
		"reason":           func(n *api.NewToken) { n.Reason = strings.Repeat("x", 1001) },
	} {
		n := newToken("amy", "viewer")
		change(&n)
		_, err := c.CreateToken(t.Context(), n)
		requireCode(t, err, http.StatusBadRequest, "bad_body")
		require.ErrorContains(t, err, says)
	}
	res, body := do(t, "POST", e.URL+"/api/v1/tokens", `{"name":"a","role":"viewer","expires_at":"2027-01-01T00:00:00Z"}`, bearer, "Content-Type: application/json", "Idempotency-Key: k")
	requireProblem(t, res, body, http.StatusBadRequest, "bad_header")
}

// Bad tokens from one address are not looked at any more after some; those who were
// let in before, and the responder's own token, still are.
func TestBadTokensAreBounded(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	server.StopClock(e.Server)
	jane := clientOf(t, e, apitest.JaneToken)
	_, err := jane.Status(t.Context())
	require.NoError(t, err)
	for i := range server.FailureBurst {
		_, err := clientOf(t, e, fmt.Sprint("guess", i)).Status(t.Context())
		requireCode(t, err, http.StatusUnauthorized, "bad_token")
	}
	res, body := do(t, "GET", e.URL+"/api/v1/status", "", "Authorization: Bearer another")
	requireProblem(t, res, body, http.StatusTooManyRequests, "too_many_failures")
	require.NotEmpty(t, res.Header.Get("Retry-After"))
	_, err = clientOf(t, e, apitest.TomToken).Status(t.Context())
	requireCode(t, err, http.StatusTooManyRequests, "too_many_failures")
	_, err = jane.Status(t.Context())
	require.NoError(t, err, "she was let in a moment ago")
	own := newClient(t, e)
	entries, err := own.Audit(t.Context(), client.AuditFilter{Kind: "login"})
	require.NoError(t, err)
	require.Len(t, entries.Items, 1, "one entry, however many come")
	require.Equal(t, "refused", entries.Items[0].Result)
	require.Contains(t, entries.Items[0].Note, "127.0.0.1")
}

func TestRequestsAreBounded(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	server.StopClock(e.Server)
	c, other := newClient(t, e), clientOf(t, e, apitest.JaneToken)
	for range server.RequestBurst {
		_, err := c.Identity(t.Context())
		require.NoError(t, err)
	}
	_, err := c.Identity(t.Context())
	requireCode(t, err, http.StatusTooManyRequests, "too_many_requests")
	_, err = other.Identity(t.Context())
	require.NoError(t, err, "another principal has turns of their own")
}

// An open stream ends with the token that opened it; nothing else would end it.
func TestStreamEndsWithItsToken(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	server.Beat(e.Server, 20*time.Millisecond)
	made, err := newClient(t, e).CreateToken(t.Context(), newToken("amy", "viewer"))
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	seen, failed := false, error(nil)
	for event, err := range clientOf(t, e, made.Secret).Events(ctx, "") {
		if err != nil {
			failed = err
			continue
		}
		if event.Name == api.EventReady && !seen {
			seen = true
			_, err := newClient(t, e).RevokeToken(t.Context(), made.ID, "over")
			require.NoError(t, err)
		}
	}
	require.True(t, seen)
	requireCode(t, failed, http.StatusUnauthorized, "bad_token")
}
