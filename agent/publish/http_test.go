package publish_test

import (
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/agent/alert"
	"riposte/agent/publish"
)

// posted is what a server got.
type posted struct {
	method, path, contentType, userAgent, body, remote string
}

// receiver is a server that hands over what it gets.
func receiver(t *testing.T, start func(*httptest.Server)) (*httptest.Server, <-chan posted) {
	t.Helper()
	got := make(chan posted, 100)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body io.Reader = r.Body
		if r.Header.Get("Content-Encoding") == "gzip" {
			z, err := gzip.NewReader(r.Body)
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			body = z
		}
		b, err := io.ReadAll(body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		got <- posted{r.Method, r.URL.Path, r.Header.Get("Content-Type"), r.UserAgent(), string(b), r.RemoteAddr}
	}))
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // refused certificates are what some tests want
	start(s)
	t.Cleanup(s.Close)
	return s, got
}

func post(t *testing.T, opt publish.HTTPOptions) *publish.Channel {
	t.Helper()
	s, err := publish.OpenHTTP(opt)
	require.NoError(t, err)
	c, _ := channel(t, publish.ChannelOptions{
		Name: "http", Sink: s, Encoding: publish.Encoding{Format: publish.JSON}, Timeout: time.Duration(opt.MaxTimeouts+1) * 10 * time.Second,
	})
	return c
}

func next(t *testing.T, got <-chan posted) posted {
	t.Helper()
	select {
	case p := <-got:
		return p
	case <-time.After(10 * time.Second):
		t.Fatal("nothing was posted")
		return posted{}
	}
}

func TestHTTP(t *testing.T) {
	s, got := receiver(t, (*httptest.Server).Start)
	a := makeAlert(1, alert.Error)
	want, err := a.FalcoJSON()
	require.NoError(t, err)
	for _, opt := range []publish.HTTPOptions{
		{URL: s.URL + "/in", KeepAlive: true},
		{URL: s.URL + "/in", Compress: true},
		{URL: s.URL + "/in", Echo: true},
	} {
		opt.UserAgent, opt.Timeout = "falcosecurity/falco", 10*time.Second
		c := post(t, opt)
		require.NoError(t, c.Put(a))
		first := next(t, got)
		require.Equal(t, posted{"POST", "/in", "application/json", "falcosecurity/falco", string(want), first.remote}, first)
		require.NoError(t, c.Put(a))
		second := next(t, got)
		require.Equal(t, opt.KeepAlive, first.remote == second.remote, "keep_alive is one connection")
		require.Empty(t, c.Lost())
	}
}

func TestHTTPErrorsAreCountedAndRedirectsNotFollowed(t *testing.T) {
	other, got := receiver(t, (*httptest.Server).Start)
	var calls atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if calls.Add(1) == 1 {
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
			return
		}
		http.Error(w, "no", http.StatusInternalServerError)
	}))
	t.Cleanup(s.Close)
	c := post(t, publish.HTTPOptions{URL: s.URL, MaxTimeouts: 3, Timeout: 10 * time.Second})
	for i := range 2 {
		require.NoError(t, c.Put(makeAlert(1, alert.Error)))
		require.Eventually(t, func() bool { return c.Lost()["output_http_failed"] == uint64(i+1) }, 10*time.Second, time.Millisecond)
	}
	require.Equal(t, int32(2), calls.Load(), "only a timeout is tried again")
	require.Empty(t, got)

	c = post(t, publish.HTTPOptions{URL: "http://127.0.0.1:1/"})
	require.NoError(t, c.Put(makeAlert(1, alert.Error)))
	require.Eventually(t, func() bool { return c.Lost()["output_http_failed"] == 1 }, 10*time.Second, time.Millisecond)
}

func TestHTTPTriesAgainAfterATimeout(t *testing.T) {
	var calls atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if calls.Add(1) < 3 {
			_, _ = io.ReadAll(r.Body) // then the server sees when the client is gone
			<-r.Context().Done()
		}
	}))
	t.Cleanup(s.Close)
	c := post(t, publish.HTTPOptions{URL: s.URL, Timeout: 200 * time.Millisecond, MaxTimeouts: 50})
	require.NoError(t, c.Put(makeAlert(1, alert.Error)))
	require.Eventually(t, func() bool { return c.Sent() == 1 }, 10*time.Second, time.Millisecond)
	require.GreaterOrEqual(t, calls.Load(), int32(3)) // more if the machine is slow
	require.Empty(t, c.Lost())
}

func TestAServerThatHangsLosesAlertsNotTime(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	s, err := publish.OpenHTTP(publish.HTTPOptions{URL: "http://" + l.Addr().String(), Timeout: time.Minute})
	require.NoError(t, err)
	c := publish.NewChannel(publish.ChannelOptions{Name: "http", Sink: s, Timeout: time.Minute, Lines: 10})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	begin := time.Now()
	for i := range 1000 {
		require.NoError(t, c.Put(makeAlert(i, alert.Error)))
	}
	require.Less(t, time.Since(begin), 5*time.Second)
	require.GreaterOrEqual(t, c.Dropped(), uint64(1000-10-1))
	cancel()
	select {
	case err := <-ended:
		require.NoError(t, err)
	case <-time.After(20 * time.Second):
		t.Fatal("a server that hangs holds up the end")
	}
	require.Equal(t, uint64(1000), c.Dropped()+c.Lost()["output_http_failed"], "each lost alert is counted once")
}

// authority makes certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	dir  string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{dir: t.TempDir()}
	a.key = newKey(t)
	a.cert = a.sign(t, "ca", &x509.Certificate{Subject: pkix.Name{CommonName: "ca"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, a.key)
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return k
}

// sign writes name.crt and name.key.
func (a *authority) sign(t *testing.T, name string, c *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	c.SerialNumber, c.NotBefore, c.NotAfter = big.NewInt(time.Now().UnixNano()), time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent := a.cert
	if parent == nil {
		parent = c
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), a.key)
	require.NoError(t, err)
	raw, err := x509.MarshalECPrivateKey(key)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(a.path(name+".crt"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(t, os.WriteFile(a.path(name+".key"), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: raw}), 0o600))
	got, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return got
}

func (a *authority) path(name string) string { return filepath.Join(a.dir, name) }

func TestHTTPSAndMutualTLS(t *testing.T) {
	ca := newAuthority(t)
	ca.sign(t, "server", &x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, newKey(t))
	ca.sign(t, "client", &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, newKey(t))
	stranger := newAuthority(t)
	folder := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(folder, "README"), []byte("no certificate"), 0o600))
	require.NoError(t, os.Link(ca.path("ca.crt"), filepath.Join(folder, "ca.pem")))

	pair, err := tls.LoadX509KeyPair(ca.path("server.crt"), ca.path("server.key"))
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	for _, mutual := range []bool{false, true} {
		s, got := receiver(t, func(s *httptest.Server) {
			s.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
			if mutual {
				s.TLS.ClientCAs, s.TLS.ClientAuth = pool, tls.RequireAndVerifyClientCert
			}
			s.StartTLS()
		})
		for name, c := range map[string]struct {
			opt  publish.HTTPOptions
			want bool
		}{
			"ca_cert":       {publish.HTTPOptions{CACert: ca.path("ca.crt"), CABundle: stranger.path("ca.crt")}, !mutual},
			"ca_bundle":     {publish.HTTPOptions{CABundle: ca.path("ca.crt")}, !mutual},
			"ca_path":       {publish.HTTPOptions{CAPath: folder}, !mutual},
			"insecure":      {publish.HTTPOptions{Insecure: true}, !mutual},
			"system":        {publish.HTTPOptions{}, false},
			"another's":     {publish.HTTPOptions{CACert: stranger.path("ca.crt")}, false},
			"mutual":        {publish.HTTPOptions{CACert: ca.path("ca.crt"), ClientCert: ca.path("client.crt"), ClientKey: ca.path("client.key")}, true},
			"a wrong proof": {publish.HTTPOptions{CACert: ca.path("ca.crt"), ClientCert: stranger.path("ca.crt"), ClientKey: stranger.path("ca.key")}, !mutual},
		} {
			c.opt.URL, c.opt.Timeout = s.URL, 10*time.Second
			ch := post(t, c.opt)
			require.NoError(t, ch.Put(makeAlert(1, alert.Error)))
			require.Eventually(t, func() bool { return ch.Sent()+ch.Lost()["output_http_failed"] == 1 }, 10*time.Second, time.Millisecond)
			require.Equal(t, c.want, ch.Sent() == 1, "%s, mutual %t", name, mutual)
			if c.want {
				next(t, got)
			}
		}
	}
}

func TestWrongHTTPOptions(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	for want, opt := range map[string]publish.HTTPOptions{
		"no such file":      {CACert: "/does/not/exist"},
		"no certificate in": {CABundle: empty},
		"not/exist":         {CAPath: "/does/not/exist"},
		"client's":          {ClientCert: empty, ClientKey: empty},
	} {
		_, err := publish.OpenHTTP(opt)
		require.ErrorContains(t, err, want)
	}
}
