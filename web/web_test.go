package web

import (
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

func get(t *testing.T, h http.Handler, method, path string) (*http.Response, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, nil))
	answer := w.Result()
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return answer, string(text)
}

var site = fstest.MapFS{
	"index.html":       {Data: []byte(`<script nonce="{{nonce}}"></script>`)},
	"assets/a-1234.js": {Data: []byte(`x`)},
	"assets/a.js.map":  {Data: []byte(`secret`)},
	".gitkeep":         {},
}

func TestThePageCarriesAFreshNonce(t *testing.T) {
	h := handler(site)
	nonce := regexp.MustCompile(`style-src 'self' 'nonce-([A-Z0-9]{26,})'`)
	seen := map[string]bool{}
	for range 3 {
		answer, text := get(t, h, http.MethodGet, "/")
		require.Equal(t, http.StatusOK, answer.StatusCode)
		require.Equal(t, "no-store", answer.Header.Get("Cache-Control"))
		m := nonce.FindStringSubmatch(answer.Header.Get("Content-Security-Policy"))
		require.Len(t, m, 2)
		require.Contains(t, text, m[1])
		require.False(t, seen[m[1]])
		seen[m[1]] = true
	}
}

func TestOnlyKnownKindsAreServed(t *testing.T) {
	h := handler(site)
	for path, want := range map[string]int{
		"/assets/a-1234.js": 200, "/assets/a.js.map": 404, "/.gitkeep": 404, "/assets": 404, "/no.html": 404,
		"/../index.html": 200, "/assets/../../etc/passwd": 404,
	} {
		answer, _ := get(t, h, http.MethodGet, path)
		require.Equal(t, want, answer.StatusCode, path)
	}
	answer, _ := get(t, h, http.MethodGet, "/assets/a-1234.js")
	require.Contains(t, answer.Header.Get("Cache-Control"), "immutable")
	require.Equal(t, "nosniff", answer.Header.Get("X-Content-Type-Options"))
	answer, _ = get(t, h, http.MethodPost, "/")
	require.Equal(t, http.StatusMethodNotAllowed, answer.StatusCode)
}

func TestEitherTheConsoleOrAPageThatSaysHowToBuildIt(t *testing.T) {
	answer, text := get(t, Handler(), http.MethodGet, "/")
	require.Equal(t, http.StatusOK, answer.StatusCode)
	require.Regexp(t, `id="root"|make build`, text)
}
