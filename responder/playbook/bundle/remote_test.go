package bundle

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/responder/playbook"
	"riposte/responder/playbook/sandbox"
)

// shelf is a web server with one bundle.
type shelf struct {
	mu     sync.Mutex
	body   []byte
	etag   string
	status int

	sent, same atomic.Int32
	token      atomic.Value
}

func (s *shelf) put(body []byte, etag string, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.body, s.etag, s.status = body, etag, status
}

func (s *shelf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.token.Store(r.Header.Get("Authorization"))
	switch {
	case s.status != 0:
		w.WriteHeader(s.status)
	case r.Header.Get("If-None-Match") == s.etag && s.etag != "":
		s.same.Add(1)
		w.WriteHeader(http.StatusNotModified)
	default:
		s.sent.Add(1)
		w.Header().Set("ETag", s.etag)
		w.Header().Set("Content-Encoding", "gzip") // as some servers call every .gz
		_, _ = w.Write(s.body)
	}
}

func serve(t *testing.T, h http.Handler) string {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func remote(t *testing.T, url, token string, tr Trust) *Remote {
	r, err := NewRemote(url, token, time.Minute, tr)
	require.NoError(t, err)
	t.Cleanup(r.client.CloseIdleConnections)
	return r
}

func TestRemoteIsAskedForNewsOnly(t *testing.T) {
	k := newKey(t)
	var s shelf
	s.put(pack(t, sign(t, built(t, web, images()), k.private)), `"one"`, 0)
	url := serve(t, &s) + "/p.tar.gz"
	token := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(token, []byte("first\n"), 0o600))
	r := remote(t, url+"?sig=secret", token, trust(t, k))
	_, err := r.Open()
	require.EqualError(t, err, url+": it was not fetched yet")

	require.NoError(t, r.Fetch(t.Context()))
	h, err := playbook.NewHolder(playbook.Options{}, playbook.Embedded(), r)
	require.NoError(t, err)
	require.Equal(t, url, named(t, h.Playbooks(), "web").Source)
	require.Equal(t, "Bearer first", s.token.Load())
	stamp := r.Stamp()
	require.NoError(t, os.WriteFile(token, []byte("second"), 0o600))
	require.NoError(t, r.Fetch(t.Context()))
	require.Equal(t, "Bearer second", s.token.Load(), "a rotated token is read anew")
	require.Equal(t, []int32{1, 1}, []int32{s.sent.Load(), s.same.Load()})
	require.Equal(t, stamp, r.Stamp())

	// News that are not signed are not taken, and the old ones stay.
	s.put(pack(t, built(t, strings.Replace(web, "observe", "enforce", 1), images())), `"two"`, 0)
	require.NoError(t, r.Fetch(t.Context()))
	require.NotEqual(t, stamp, r.Stamp())
	require.ErrorContains(t, h.Reload(), url+": bundle missing .signatures.json file")
	require.Equal(t, playbook.Observe, named(t, h.Playbooks(), "web").Mode)

	s.put(pack(t, sign(t, built(t, strings.Replace(web, "observe", "approve", 1), images()), k.private)), `"three"`, 0)
	require.NoError(t, r.Fetch(t.Context()))
	require.NoError(t, h.Reload())
	require.Equal(t, playbook.Approve, named(t, h.Playbooks(), "web").Mode)
	require.Equal(t, "web", h.Last().Changed[0].Name)
	require.Equal(t, Fetches{Fetched: 3, Unchanged: 1}, r.Fetches())
}

// While the server is away its last bundle counts, other sources are read, and the
// error is told.
func TestRemoteThatIsAway(t *testing.T) {
	var s shelf
	s.put(pack(t, built(t, web, images())), `"one"`, 0)
	url := serve(t, &s)
	r := remote(t, url+"/p.tar.gz", "", Unsigned())
	require.NoError(t, r.Fetch(t.Context()))
	dir := t.TempDir()
	h, err := playbook.NewHolder(playbook.Options{}, playbook.Embedded(), r, playbook.Dir(dir))
	require.NoError(t, err)

	s.put(nil, "", http.StatusServiceUnavailable)
	stamp := r.Stamp()
	require.ErrorContains(t, r.Fetch(t.Context()), "the server answered 503")
	require.NotEqual(t, stamp, r.Stamp())
	text := strings.NewReplacer("playbooks.web", "playbooks.local", "observe", "approve").Replace(web)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "local.rego"), []byte(text), 0o600))
	require.EqualError(t, h.Reload(), url+"/p.tar.gz: it cannot be fetched: the server answered 503 Service Unavailable")
	named(t, h.Playbooks(), "web") // the bundle's still is there
	named(t, h.Playbooks(), "local")
	require.Equal(t, "local", h.Last().Added[0].Name)

	s.put(nil, `"one"`, 0)
	require.NoError(t, r.Fetch(t.Context()))
	require.Equal(t, stamp, r.Stamp())
	require.NoError(t, h.Reload())
	require.Equal(t, sandbox.Loads{Good: 2, Bad: 1, GoodAt: h.Loads().GoodAt, ErrAt: h.Loads().ErrAt, Err: h.Loads().Err}, h.Loads())
	require.Error(t, h.Loads().Err)
}

func TestRemoteErrors(t *testing.T) {
	mux := http.NewServeMux()
	answer := func(path string, f http.HandlerFunc) { mux.HandleFunc(path, f) }
	answer("/large", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, MaxBytes+1)) })
	answer("/unasked304", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotModified) })
	answer("/cut", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = w.Write([]byte("x"))
	})
	answer("/circle", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/circle", http.StatusFound) })
	url := serve(t, mux)
	for path, want := range map[string]string{
		"/large": "it has more than 8388608 bytes", "/unasked304": "the server answered 304", "/cut": "unexpected EOF",
		"/circle": "more than 5 redirects", "/gone": "the server answered 404",
	} {
		r := remote(t, url+path+"?sig=secret", "", Unsigned())
		err := r.Fetch(t.Context())
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "secret")
		require.Equal(t, uint64(1), r.Fetches().Failed)
		_, err = r.Open()
		require.ErrorContains(t, err, want)
	}
	r := remote(t, url, filepath.Join(t.TempDir(), "gone"), Unsigned())
	require.ErrorContains(t, r.Fetch(t.Context()), "the bundle's token: open ")

	tls := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, url+"/x", http.StatusFound) }))
	t.Cleanup(tls.Close)
	r = remote(t, tls.URL, "", Unsigned())
	require.ErrorContains(t, r.Fetch(t.Context()), "certificate")
	r.client.Transport = tls.Client().Transport
	require.ErrorContains(t, r.Fetch(t.Context()), "it redirects from https to http")
	tls.Client().CloseIdleConnections()

	for _, bad := range []struct{ url, token, want string }{
		{"ftp://x/b", "", "no http(s) URL"},
		{"https:///b", "", "no http(s) URL"},
		{"https://\x00", "", "no http(s) URL"},
		{"https://u:p@x/b", "", "use a token's file"},
		{"http://policies.example/b", "token", "over https alone"},
	} {
		_, err := NewRemote(bad.url, bad.token, time.Minute, Unsigned())
		require.ErrorContains(t, err, bad.want)
	}
	_, err := NewRemote("https://x", "", time.Millisecond, Unsigned())
	require.ErrorContains(t, err, "1s is the least")
}

// canned answers without a network, which synctest could not see through.
type canned struct{ at []time.Time }

func (c *canned) RoundTrip(*http.Request) (*http.Response, error) {
	c.at = append(c.at, time.Now())
	return nil, errors.New("no network")
}

// Replicas that were started together do not ask together.
func TestRunAsksWithJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := NewRemote("https://x/b", "", time.Minute, Unsigned())
		require.NoError(t, err)
		var c canned
		r.client.Transport = &c
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { r.Run(ctx) })
		time.Sleep(time.Hour)
		cancel()
		wg.Wait()
		require.Greater(t, len(c.at), 50)
		gaps := map[time.Duration]bool{}
		for i := 1; i < len(c.at); i++ {
			gap := c.at[i].Sub(c.at[i-1])
			require.InDelta(t, time.Minute, gap, float64(6*time.Second))
			gaps[gap] = true
		}
		require.Greater(t, len(gaps), 10)
	})
}
