package bundle

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"riposte/responder/playbook/sandbox"
)

const (
	// fetchTime bounds one request with all its redirects.
	fetchTime    = 30 * time.Second
	maxRedirects = 5
	maxETag      = 1 << 10
	// MinEvery is the shortest time between two requests.
	MinEvery = time.Second
)

// Remote is a bundle of a web server, as it was fetched last. It is a playbook.Source.
type Remote struct {
	url, name, tokenFile string
	every                time.Duration
	trust                Trust
	client               *http.Client

	mu   sync.Mutex
	body []byte
	sum  [sha256.Size]byte
	etag string
	// err is why the last request brought nothing.
	err error

	fetched, unchanged, failed atomic.Uint64
}

// Fetches counts requests by what came of them.
type Fetches struct{ Fetched, Unchanged, Failed uint64 }

// NewRemote checks what it is given and fetches nothing yet. The token of tokenFile, if
// there is one, is sent as a bearer token, and over https alone unless the server is on
// this machine. A request is made every so often, a tenth sooner or later by chance.
func NewRemote(raw, tokenFile string, every time.Duration, t Trust) (*Remote, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("the bundle's address is no http(s) URL")
	}
	if u.User != nil {
		return nil, errors.New("the bundle's address holds a user or password: use a token's file")
	}
	if tokenFile != "" && u.Scheme != "https" && !onThisMachine(u) {
		return nil, errors.New("a token is sent over https alone: give the bundle's address as https://")
	}
	if every < MinEvery {
		return nil, fmt.Errorf("the bundle cannot be asked for every %s: %s is the least", every, MinEvery)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	// A server may call the tar.gz a gzipped tar: it must stay as it is.
	transport.DisableCompression = true
	transport.MaxResponseHeaderBytes = 64 << 10
	// A signed address' query is a secret.
	shown := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
	return &Remote{
		url: raw, name: shown.String(), tokenFile: tokenFile, every: every, trust: t,
		client: &http.Client{Transport: transport, Timeout: fetchTime, CheckRedirect: redirect},
	}, nil
}

func onThisMachine(u *url.URL) bool {
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

func redirect(r *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return fmt.Errorf("more than %d redirects", maxRedirects)
	}
	if via[0].URL.Scheme == "https" && r.URL.Scheme != "https" {
		return errors.New("it redirects from https to http")
	}
	return nil
}

// Run fetches until ctx ends.
func (r *Remote) Run(ctx context.Context) {
	defer r.client.CloseIdleConnections()
	for {
		wait := time.NewTimer(r.every + time.Duration((rand.Float64()-0.5)*float64(r.every)/5))
		select {
		case <-ctx.Done():
			wait.Stop()
			return
		case <-wait.C:
		}
		_ = r.Fetch(ctx) // Open tells it
	}
}

// Fetch asks the server once. What was fetched before stays when nothing new comes.
func (r *Remote) Fetch(ctx context.Context) error {
	r.mu.Lock()
	etag := r.etag
	r.mu.Unlock()
	body, etag, err := r.get(ctx, etag)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch r.err = err; {
	case err != nil:
		r.failed.Add(1)
		return err
	case body == nil:
		r.unchanged.Add(1)
	default:
		r.fetched.Add(1)
		r.body, r.etag, r.sum = body, etag, sha256.Sum256(body)
	}
	return nil
}

// get returns no body if the server has nothing new.
func (r *Remote) get(ctx context.Context, etag string) ([]byte, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url, nil)
	if err != nil {
		return nil, "", err
	}
	if etag != "" {
		req.Header.Set("If-None-Match", etag)
	}
	if r.tokenFile != "" {
		token, err := readBounded(r.tokenFile, maxKey)
		if err != nil {
			return nil, "", fmt.Errorf("the bundle's token: %w", err)
		}
		req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	}
	res, err := r.client.Do(req)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err // its text has the whole address
		}
		return nil, "", err
	}
	defer res.Body.Close()
	switch {
	case res.StatusCode == http.StatusNotModified && etag != "":
		return nil, etag, nil
	case res.StatusCode != http.StatusOK:
		return nil, "", fmt.Errorf("the server answered %s", res.Status)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, MaxBytes+1))
	switch {
	case err != nil:
		return nil, "", err
	case len(body) > MaxBytes:
		return nil, "", fmt.Errorf("it has more than %d bytes", MaxBytes)
	}
	etag = res.Header.Get("ETag")
	if len(etag) > maxETag {
		etag = ""
	}
	return append([]byte{}, body...), etag, nil
}

// Open reads and verifies what was fetched last. If requests fail since, it says so too.
func (r *Remote) Open() (sandbox.Source, error) {
	r.mu.Lock()
	body, err := r.body, r.err
	r.mu.Unlock()
	if err != nil {
		err = refuse(r.name, fmt.Errorf("it cannot be fetched: %w", err))
	}
	if body == nil {
		return sandbox.Source{}, cmp.Or(err, refuse(r.name, errors.New("it was not fetched yet")))
	}
	src, bad := Read(r.name, body, r.trust)
	if bad != nil {
		return sandbox.Source{}, bad
	}
	return src, err
}

// Stamp changes with the bundle, and when requests begin to fail or to succeed.
func (r *Remote) Stamp() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return fmt.Sprintf("%x %t", r.sum, r.err != nil)
}

// Fetches counts the requests so far.
func (r *Remote) Fetches() Fetches {
	return Fetches{Fetched: r.fetched.Load(), Unchanged: r.unchanged.Load(), Failed: r.failed.Load()}
}
