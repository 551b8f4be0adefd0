package client

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReadEvents(t *testing.T) {
	text := ": comment\n\nid: 7\nevent: alert\ndata: {\"a\":\ndata: 1}\n\nretry: 5\nevent: empty\n\nid:8\nevent:action\ndata:{}\n\nevent: cut\ndata: {"
	var got []Event
	lines := 0
	err := readEvents(strings.NewReader(text), func() { lines++ }, func(e Event) bool { got = append(got, e); return true })
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Equal(t, []Event{
		{ID: "7", Name: "alert", Data: json.RawMessage("{\"a\":\n1}")},
		{ID: "8", Name: "action", Data: json.RawMessage("{}")},
	}, got)
	require.Equal(t, 16, lines)

	err = readEvents(strings.NewReader(text), func() {}, func(Event) bool { return false })
	require.ErrorIs(t, err, errEnough)
	err = readEvents(strings.NewReader("data: "+strings.Repeat("x", maxEvent)), func() {}, func(Event) bool { return true })
	require.ErrorContains(t, err, "too long")
}

func FuzzReadEvents(f *testing.F) {
	for _, seed := range []string{"id: 1\nevent: alert\ndata: {}\n\n", ":\n\n", "data\n\n", "data: a\r\n\r\n", "\n\n\n", "data: a\ndata: b\n\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		err := readEvents(bytes.NewReader(b), func() {}, func(e Event) bool {
			require.LessOrEqual(t, len(e.Data), len(b))
			return true
		})
		require.Error(t, err, "a stream never ends well")
	})
}

// What is at the address is no riposte, or no longer one.
func TestOtherServers(t *testing.T) {
	for name, tc := range map[string]struct {
		serve http.HandlerFunc
		says  string
	}{
		"another page": {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }, "is no riposte"},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://evil.example/", http.StatusFound)
		}, "answered 302"},
		"a plain error": {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "x", http.StatusBadGateway) }, "answered 502"},
		"a broken answer": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "{")
		}, "read the answer"},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(tc.serve)
			defer s.Close()
			c, err := New(s.URL, "t")
			require.NoError(t, err)
			defer c.Close()
			_, err = c.Status(t.Context())
			require.ErrorContains(t, err, tc.says)
			for _, err := range c.Events(t.Context(), "") {
				require.Error(t, err)
				var answer *Error
				if name == "a broken answer" || name == "another page" {
					require.ErrorAs(t, err, &answer, "not worth another try: %v", err)
				}
				break
			}
		})
	}
}

func TestNewRefuses(t *testing.T) {
	for _, server := range []string{"", "nonsense", "ftp://x", "http://", "unix:///x", "://"} {
		_, err := New(server, "t")
		require.ErrorContains(t, err, "address", server)
	}
	_, err := New("http://127.0.0.1:1/", "")
	require.ErrorContains(t, err, "token")
}
