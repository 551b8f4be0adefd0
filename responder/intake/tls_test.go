package intake_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/responder/intake"
)

// authority signs certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	dir  string
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	var err error
	a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	a.cert = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, a.cert, a.cert, &a.key.PublicKey, a.key)
	require.NoError(t, err)
	a.write("ca.crt", "CERTIFICATE", der)
	a.cert, err = x509.ParseCertificate(der)
	require.NoError(t, err)
	return a
}

func (a *authority) file(name string) string { return filepath.Join(a.dir, name) }

func (a *authority) write(name, kind string, der []byte) {
	a.t.Helper()
	require.NoError(a.t, os.WriteFile(a.file(name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
}

// sign makes name.crt and name.key.
func (a *authority) sign(name string) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(a.t, err)
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{name},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, a.cert, &key.PublicKey, a.key)
	require.NoError(a.t, err)
	a.write(name+".crt", "CERTIFICATE", der)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(a.t, err)
	a.write(name+".key", "PRIVATE KEY", pkcs8)
}

func TestClientCertificates(t *testing.T) {
	ours, others := newAuthority(t, "ours"), newAuthority(t, "others")
	for _, a := range []*authority{ours, others} {
		a.sign("falco.example")
	}
	ours.sign("server")
	ours.sign("stranger.example")
	b := setup(t, func(o *intake.Options) {
		o.CertFile, o.KeyFile, o.ClientCAFile = ours.file("server.crt"), ours.file("server.key"), ours.file("ca.crt")
	})
	b.url = strings.Replace(b.url, "http:", "https:", 1)
	roots := x509.NewCertPool()
	roots.AddCert(ours.cert)
	as := func(a *authority, name string) *http.Client {
		conf := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
		if a != nil {
			pair, err := tls.LoadX509KeyPair(a.file(name+".crt"), a.file(name+".key"))
			require.NoError(t, err)
			// Also one that the server does not ask for.
			conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
		}
		c := &http.Client{Transport: &http.Transport{TLSClientConfig: conf}}
		t.Cleanup(c.CloseIdleConnections)
		return c
	}
	for _, c := range []struct {
		client *http.Client
		header []string
		status int
	}{
		{as(ours, "falco.example"), nil, http.StatusOK},
		{as(ours, "stranger.example"), nil, http.StatusUnauthorized},
		{as(nil, ""), nil, http.StatusUnauthorized},
		{as(nil, ""), []string{bearer(shopToken)}, http.StatusOK},
		{as(ours, "falco.example"), []string{bearer("a bad token")}, http.StatusUnauthorized},
	} {
		b.client = c.client
		status, answer := b.post("/", falco(t, nil), c.header...)
		require.Equal(t, c.status, status, answer)
	}
	// Whom another authority vouches for does not even get through the handshake.
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.url, strings.NewReader(falco(t, nil)))
	require.NoError(t, err)
	_, err = as(others, "falco.example").Do(req)
	require.Error(t, err)
	require.Equal(t, []string{"by-cert", "shop"}, b.texts("SELECT DISTINCT body::json->'riposte'->>'intake' FROM alerts ORDER BY 1"))
}
