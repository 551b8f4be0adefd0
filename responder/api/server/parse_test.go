package server

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/responder/api"
	"riposte/responder/api/access"
)

// The committed document is the one that is served.
func TestDocumentIsWrittenDown(t *testing.T) {
	want, err := Document()
	require.NoError(t, err)
	got, err := os.ReadFile("../../../docs/openapi.json")
	require.NoError(t, err)
	require.True(t, bytes.Equal(want, got), "docs/openapi.json is not what the code says: run make generate")
}

// Every operation and every code is described in words, and once.
func TestEveryRouteIsDescribed(t *testing.T) {
	seen := map[string]bool{}
	for _, e := range (&Server{}).table() {
		require.NotEmpty(t, e.name, e.pattern)
		require.NotEmpty(t, e.says, e.pattern)
		require.False(t, seen[e.name], e.name)
		seen[e.name] = true
		require.True(t, e.serve != nil || e.raw != nil, e.pattern)
	}
}

// FuzzQuery reads queries for every route: whatever is let through is within bounds.
func FuzzQuery(f *testing.F) {
	for _, q := range []string{"", "limit=500&before=x", "fields=id,rule", "since=2026-01-01T00:00:00Z", "priority=critical", "silent=true", "a=%00", "%zz", "limit=1&limit=2", "fields=,", ";"} {
		f.Add(q)
	}
	routes := (&Server{}).table()
	f.Fuzz(func(t *testing.T, query string) {
		r := &http.Request{URL: &url.URL{RawQuery: query}}
		for _, e := range routes {
			allowed := e.parameters()
			p, err := readParameters(r, allowed)
			if err != nil {
				require.NotEmpty(t, err.Error())
				continue
			}
			page := p.paging()
			require.True(t, page.Limit >= 1 && page.Limit <= api.MaxPage, "limit %d", page.Limit)
			if since := p.since(); !since.IsZero() {
				require.Equal(t, since.UnixNano(), time.Unix(0, since.UnixNano()).UnixNano())
				require.True(t, since.Year() >= 1970 && since.Year() <= 2262)
			}
			for _, name := range p.fields() {
				require.True(t, slices.ContainsFunc(allowed, func(a parameter) bool { return a.kind == fieldsKind && slices.Contains(a.enum, name) }))
			}
			_, _ = p.priority(), p.maybe("silent")
		}
	})
}

// FuzzBody reads bodies for every route that has one.
func FuzzBody(f *testing.F) {
	for _, b := range []string{"", "{}", `{"reason":"r"}`, `{"on":true,"scope":"cluster","name":"c"}`, "null", "[]", `{"a":`, `{"mode":"x","labels":{"a":"b"}}`, `{"expires_at":"9999-12-31T23:59:59Z"}`} {
		f.Add([]byte(b))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.Header.Set("Content-Type", "application/json")
		for _, into := range []any{&api.Reason{}, &api.Comment{}, &api.KillSwitchChange{}, &api.Mode{}, &api.NewToken{}, &api.Login{}} {
			if err := readBody(r, b, into); err != nil {
				require.NotEmpty(t, err.Error())
			}
		}
	})
}

// FuzzSession checks cookies: nobody can make one.
func FuzzSession(f *testing.F) {
	s := newSessions([]access.Principal{{Name: "token", Token: "0123456789abcdef"}}, nil, access.NewVerifier(access.Options{}))
	good, _, err := s.begin(access.Identity{Name: "token"})
	require.NoError(f, err)
	who, err := s.check(f.Context(), good)
	require.NoError(f, err)
	require.Equal(f, "token", who.Name)
	// Not good itself: each of the fuzzer's processes makes another one, and takes all.
	f.Add(good[1:])
	f.Add("")
	f.Add("AAAA")
	f.Fuzz(func(t *testing.T, value string) {
		_, err := s.check(t.Context(), value)
		require.ErrorIs(t, err, access.ErrUnknown)
	})
}

// FuzzMatches compares entity tags.
func FuzzMatches(f *testing.F) {
	tag := response{body: []byte("x")}.etag()
	f.Add(tag)
	f.Add("*")
	f.Add(`W/` + tag + `, "y"`)
	f.Add(",,,")
	f.Fuzz(func(t *testing.T, header string) {
		require.True(t, matches(header+","+tag, tag))
		require.True(t, matches("*,"+header, tag))
	})
}
