package health_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"math"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"riposte/agent/health"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func serve(t *testing.T, opt health.Options) *health.Server {
	t.Helper()
	s, err := health.Listen(opt)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
		require.NoError(t, s.Close())
	})
	return s
}

func ask(t *testing.T, client *http.Client, method, url string) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	require.NoError(t, err)
	resp, err := client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	client.CloseIdleConnections()
	return resp.StatusCode, string(body), resp.Header
}

func TestAnswers(t *testing.T) {
	var sick atomic.Bool
	s := serve(t, health.Options{
		HealthzPath: "/health z{x}",
		Healthy: func() error {
			if sick.Load() {
				return errors.New("secret reason")
			}
			return nil
		},
		Metrics: func() []health.Metric { return []health.Metric{health.One(health.Gauge, "up", "Help.", 1)} },
	})
	require.True(t, strings.HasPrefix(s.Addr(), "127.0.0.1:"), "nothing but this machine by default")
	client, url := &http.Client{Transport: &http.Transport{}}, "http://"+s.Addr()

	code, body, header := ask(t, client, "GET", url+"/health%20z%7Bx%7D")
	require.Equal(t, 200, code)
	require.JSONEq(t, `{"status":"ok"}`, body)
	require.Equal(t, "application/json", header.Get("Content-Type"))
	sick.Store(true)
	code, body, _ = ask(t, client, "GET", url+"/health%20z%7Bx%7D")
	require.Equal(t, 503, code)
	require.NotContains(t, body, "secret")

	code, body, header = ask(t, client, "GET", url+health.MetricsPath)
	require.Equal(t, 200, code)
	require.Equal(t, "# HELP up Help.\n# TYPE up gauge\nup 1\n", body)
	require.Contains(t, header.Get("Content-Type"), "version=0.0.4")

	for path, want := range map[string]int{"/": 404, "/healthz": 404, "/metrics/": 404, "/metrics": 405} {
		code, _, _ := ask(t, client, "POST", url+path)
		require.Equal(t, want, code, path)
	}
}

func TestNoMetricsUnlessAsked(t *testing.T) {
	s := serve(t, health.Options{})
	client := &http.Client{Transport: &http.Transport{}}
	code, _, _ := ask(t, client, "GET", "http://"+s.Addr()+"/metrics")
	require.Equal(t, 404, code)
	code, _, _ = ask(t, client, "GET", "http://"+s.Addr()+"/healthz")
	require.Equal(t, 200, code)
}

func TestTLS(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	require.NoError(t, err)
	raw, err := x509.MarshalECPrivateKey(key)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "falco.pem")
	both := append(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: raw}), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	require.NoError(t, os.WriteFile(file, both, 0o600))
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(both))

	s := serve(t, health.Options{Certificate: file})
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}}
	code, _, _ := ask(t, client, "GET", "https://"+s.Addr()+"/healthz")
	require.Equal(t, 200, code)

	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err = health.Listen(health.Options{Certificate: file})
	require.ErrorContains(t, err, "certificate and key from "+file)
}

func TestATakenPortIsAnError(t *testing.T) {
	s, err := health.Listen(health.Options{})
	require.NoError(t, err)
	defer s.Close()
	_, port, err := net.SplitHostPort(s.Addr())
	require.NoError(t, err)
	n, err := net.LookupPort("tcp", port)
	require.NoError(t, err)
	_, err = health.Listen(health.Options{Port: n})
	require.ErrorContains(t, err, "open the web server")
}

// TestConnectionsThatSayNothingDoNotStarveTheRest holds more connections than are
// taken at a time.
func TestConnectionsThatSayNothingDoNotStarveTheRest(t *testing.T) {
	s := serve(t, health.Options{})
	for range 80 {
		c, err := net.Dial("tcp", s.Addr())
		require.NoError(t, err)
		defer c.Close()
	}
	client := &http.Client{Transport: &http.Transport{}, Timeout: 30 * time.Second}
	code, _, _ := ask(t, client, "GET", "http://"+s.Addr()+"/healthz")
	require.Equal(t, 200, code)
}

func TestWrite(t *testing.T) {
	var b bytes.Buffer
	health.Write(&b, []health.Metric{
		{Name: "none", Help: "left out", Kind: health.Gauge},
		health.One(health.Counter, "a_total", "back\\slash\nline", 1.5e9, "rule_name", "a \"rule\"\n\\ \xff", "tag_x-1", "true"),
		{Name: "b", Help: "two", Kind: health.Gauge, Samples: []health.Sample{{Value: math.MaxUint32}, {Labels: []string{"", "x"}, Value: 0.25}}},
	})
	require.Equal(t, `# HELP a_total back\\slash\nline
# TYPE a_total counter
a_total{rule_name="a \"rule\"\n\\ `+"\ufffd"+`",tag_x_1="true"} 1500000000
# HELP b two
# TYPE b gauge
b 4294967295
b{_="x"} 0.25
`, b.String())
}

func FuzzWrite(f *testing.F) {
	f.Add("rule", "a\"b\nc", "help\n")
	f.Fuzz(func(t *testing.T, name, value, help string) {
		var b bytes.Buffer
		health.Write(&b, []health.Metric{health.One(health.Gauge, "m", help, 1, name, value)})
		require.Equal(t, 3, strings.Count(b.String(), "\n"), "no text can forge a line")
	})
}
