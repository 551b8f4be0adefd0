package notify_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/responder/action"
	"riposte/responder/notify"
)

var secret = []byte("0123456789abcdef")

func to(t *testing.T, url string) *notify.Webhooks {
	hooks, err := notify.New(map[string]notify.Destination{"there": {URL: url, Secret: secret}})
	require.NoError(t, err)
	return hooks
}

func TestSignature(t *testing.T) {
	// Made with: printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac 0123456789abcdef
	require.Equal(t, "sha256=9eb18f493f8ec135d9eb2dad817c369bb4e9cbfa818657897a7437c1cd8c3a23", notify.Sign(secret, "1700000000", []byte(`{"a":1}`)))
}

// A redirect would carry our document to a place that nobody configured.
func TestRedirectIsNotFollowed(t *testing.T) {
	visited := false
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { visited = true }))
	defer elsewhere.Close()
	server := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer server.Close()
	err := to(t, server.URL).Send(t.Context(), "there", "id", []byte("{}"))
	require.Equal(t, action.Permanent, action.KindOf(err))
	require.ErrorContains(t, err, "webhook there: it answers with a redirect (307), which is not followed")
	require.False(t, visited)
}

func TestAnswers(t *testing.T) {
	for status, want := range map[int]action.ErrorKind{
		http.StatusBadRequest: action.Permanent, http.StatusUnauthorized: action.Permanent, http.StatusNotFound: action.Permanent,
		http.StatusTooManyRequests: action.Retryable, http.StatusRequestTimeout: action.Retryable, http.StatusInternalServerError: action.Retryable,
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte("no\x1b[31m" + strings.Repeat("x", 1<<20)))
		}))
		err := to(t, server.URL).Send(t.Context(), "there", "id", []byte("{}"))
		server.Close()
		require.Equal(t, want, action.KindOf(err), "%d", status)
		require.NotContains(t, err.Error(), "\x1b")
		require.Less(t, len(err.Error()), 1024)
	}
}

// A URL may hold a token, and errors are recorded.
func TestErrorsDoNotShowTheURL(t *testing.T) {
	err := to(t, "http://127.0.0.1:1/token-abc").Send(t.Context(), "there", "id", nil)
	require.ErrorContains(t, err, "webhook there: ")
	require.NotContains(t, err.Error(), "token-abc")
	require.Equal(t, action.Retryable, action.KindOf(err))
	_, err = notify.New(map[string]notify.Destination{"there": {URL: "http://x/token-abc%zz", Secret: secret}})
	require.ErrorContains(t, err, `webhook "there": its URL cannot be read`)
	require.NotContains(t, err.Error(), "token-abc")
}

func TestConfiguration(t *testing.T) {
	for url, want := range map[string]string{"ftp://x": "must begin with https://", "https://": "name a host", "/x": "must begin with"} {
		_, err := notify.New(map[string]notify.Destination{"there": {URL: url, Secret: secret}})
		require.ErrorContains(t, err, want)
	}
	_, err := notify.New(map[string]notify.Destination{"there": {URL: "https://x", Secret: []byte("short")}})
	require.ErrorContains(t, err, `webhook "there": its secret has 5 bytes, at least 16 are needed`)
	none, err := notify.New(nil)
	require.NoError(t, err)
	require.EqualError(t, none.Known("x"), `no webhook is called "x": none is configured`)
	require.Equal(t, action.Permanent, action.KindOf(none.Send(t.Context(), "x", "id", nil)))
}

func TestBodyIsBounded(t *testing.T) {
	err := to(t, "http://127.0.0.1:1").Send(t.Context(), "there", "id", make([]byte, notify.MaxBody+1))
	require.Equal(t, action.Permanent, action.KindOf(err))
	require.ErrorContains(t, err, "65537 bytes, 65536 are allowed")
}

func TestDeliveriesAreCounted(t *testing.T) {
	status := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
	defer server.Close()
	hooks := to(t, server.URL)
	require.NoError(t, hooks.Send(t.Context(), "there", "id", []byte("{}")))
	status = http.StatusBadGateway
	require.Error(t, hooks.Send(t.Context(), "there", "id", []byte("{}")))
	require.Error(t, hooks.Send(t.Context(), "nowhere", "id", []byte("{}")))
	require.Equal(t, map[string]notify.Count{"there": {OK: 1, Failed: 1}}, hooks.Counts(), "what is not configured has no counter")
}
