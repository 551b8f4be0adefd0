package publish

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

// HTTPOptions configure the sink of an HTTP server.
type HTTPOptions struct {
	URL string
	// UserAgent is sent as it is, "riposte" if empty.
	UserAgent string
	// Insecure accepts any certificate.
	Insecure bool
	// CACert and CABundle are files, CAPath is a folder, of certificates of
	// authorities. The first that is given counts alone; the system's without any.
	CACert, CABundle, CAPath string
	// ClientCert and ClientKey prove who we are; both or none.
	ClientCert, ClientKey string
	// Echo logs the server's answers.
	Echo bool
	// Compress sends gzip.
	Compress bool
	// KeepAlive uses a connection for more than one alert.
	KeepAlive bool
	// Timeout bounds one try, 2 s if 0. MaxTimeouts is how often an alert is tried
	// again after one. Other errors are not tried again.
	Timeout     time.Duration
	MaxTimeouts int
	Log         *slog.Logger
}

const (
	// maxAnswer bounds what is read of an answer.
	maxAnswer = 4 << 10
	// maxCerts bounds one file of certificates.
	maxCerts = 8 << 20
)

// poster posts alerts.
type poster struct {
	opt    HTTPOptions
	client *http.Client
}

// OpenHTTP makes the Sink of an HTTP server. It reads the certificates; the
// server is asked only when there is an alert.
func OpenHTTP(opt HTTPOptions) (Sink, error) {
	opt.Timeout, opt.UserAgent = cmp.Or(opt.Timeout, 2*time.Second), cmp.Or(opt.UserAgent, "riposte")
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	conf, err := opt.tls()
	if err != nil {
		return nil, fmt.Errorf("set up the HTTP output: %w", err)
	}
	return &poster{opt: opt, client: &http.Client{
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: conf, DisableKeepAlives: !opt.KeepAlive, ForceAttemptHTTP2: true,
			MaxIdleConns: 1, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 64 << 10,
		},
		// Alerts go to the configured server and nowhere else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

func (o *HTTPOptions) tls() (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: o.Insecure} //nolint:gosec // what the administrator asks for
	var files []string
	switch {
	case o.CACert != "":
		files = []string{o.CACert}
	case o.CABundle != "":
		files = []string{o.CABundle}
	case o.CAPath != "":
		entries, err := os.ReadDir(o.CAPath)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			files = append(files, filepath.Join(o.CAPath, e.Name()))
		}
	}
	if len(files) > 0 || o.CAPath != "" {
		conf.RootCAs = x509.NewCertPool()
		if err := addCerts(conf.RootCAs, files); err != nil {
			return nil, err
		}
	}
	if o.ClientCert == "" && o.ClientKey == "" {
		return conf, nil
	}
	pair, err := tls.LoadX509KeyPair(o.ClientCert, o.ClientKey)
	if err != nil {
		return nil, fmt.Errorf("read the client's certificate and key: %w", err)
	}
	conf.Certificates = []tls.Certificate{pair}
	return conf, nil
}

// addCerts reads files of certificates. Of several, as a folder has them, those
// that hold none are skipped, but one must hold one.
func addCerts(pool *x509.CertPool, files []string) error {
	found := false
	for _, name := range files {
		content, err := readSmall(name)
		if err != nil && len(files) == 1 {
			return err
		}
		found = pool.AppendCertsFromPEM(content) || found
	}
	if !found {
		return fmt.Errorf("no certificate in %v: give PEM files", files)
	}
	return nil
}

func readSmall(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxCerts))
}

func (p *poster) Send(ctx context.Context, m Message) error {
	body := bytes.TrimSuffix(m.Line, []byte("\n"))
	if p.opt.Compress {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		if _, err := z.Write(body); err != nil {
			return err
		}
		if err := z.Close(); err != nil {
			return err
		}
		body = b.Bytes()
	}
	contentType := "text/plain"
	if m.JSON {
		contentType = "application/json"
	}
	for try := 0; ; try++ {
		err := p.post(ctx, body, contentType)
		if err == nil || !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil || try >= p.opt.MaxTimeouts {
			return err
		}
	}
}

func (p *poster) post(ctx context.Context, body []byte, contentType string) error {
	ctx, stop := context.WithTimeout(ctx, p.opt.Timeout)
	defer stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.opt.URL, bytes.NewReader(body))
	if err != nil {
		return bare(err)
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("User-Agent", p.opt.UserAgent)
	if p.opt.Compress {
		req.Header.Set("Content-Encoding", "gzip")
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return bare(err)
	}
	defer resp.Body.Close()
	// What is read to its end lets the connection be used again.
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return bare(err)
	}
	if p.opt.Echo {
		p.opt.Log.Info("the HTTP output's server answered", "status", resp.StatusCode, "answer", Escape(string(answer)))
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return fmt.Errorf("the server answered %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	}
	return nil
}

// bare takes the address off an error: it may hold a password.
func bare(err error) error {
	if u := (*url.Error)(nil); errors.As(err, &u) {
		return u.Err
	}
	return err
}

// Reopen makes new connections.
func (p *poster) Reopen() error { p.client.CloseIdleConnections(); return nil }
func (p *poster) Close() error  { p.client.CloseIdleConnections(); return nil }
