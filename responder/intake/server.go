// Package intake takes alerts of Falco and Falcosidekick over HTTP: POST / and
// POST /falco, one JSON object each, on a listener of its own.
//
// Who sends must be known, by a token or a client certificate (see Identity), and
// is limited to clusters and namespaces. From there on an alert goes the way of
// those from the bus: the same ingest, the same transaction. The answer 200 means
// that it is stored; what is posted again is stored once.
//
// Nobody vouches for what such an alert says of nodes and containers. It can lead
// to an effect only on a pod that the API server knows by the name (or UID) that
// the alert gives, in a namespace that the identity may speak of.
package intake

import (
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"riposte/responder/ingest"
)

// Options say who may send and where to.
type Options struct {
	Identities *Identities
	// Handle is the ingest's, see ingest.Ingest.Handle. It is called from one goroutine.
	Handle func(ctx context.Context, batch []ingest.Message)
	// CertFile and KeyFile are the server's certificate; without them the listener
	// speaks plain HTTP. ClientCAFile verifies client certificates.
	CertFile, KeyFile, ClientCAFile string
	Log                             *slog.Logger
}

// Bounds of one sender, and of all.
const (
	// maxBody bounds an alert, unpacked. With our part added it fits the ingest's limit.
	maxBody = 192 << 10
	// maxWaiting bounds the posts that wait for their answer.
	maxWaiting = 512
	// batchSize is how many alerts share a transaction, at most.
	batchSize = 64
	// patience is how long a post waits for the database or the API server.
	patience          = 20 * time.Second
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 10 * time.Second
	writeTimeout      = patience + 10*time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 16 << 10
)

// Server is the intake on one listener.
type Server struct {
	Options
	tls     *tls.Config
	http    *http.Server
	queue   chan *message
	cancel  context.CancelFunc
	done    sync.WaitGroup
	failed  chan error
	warned  atomic.Int64
	waiting atomic.Int64
	counts  struct{ stored, aside, again, unauthorized, notAllowed, bad, large, busy atomic.Uint64 }
}

// New reads the certificates. Nothing is started.
func New(o Options) (*Server, error) {
	s := &Server{Options: o, queue: make(chan *message, maxWaiting), failed: make(chan error, 1)}
	if o.CertFile != "" || o.KeyFile != "" {
		pair, err := tls.LoadX509KeyPair(o.CertFile, o.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("the intake's certificate and key: %w", err)
		}
		s.tls = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
	}
	if o.ClientCAFile != "" {
		if s.tls == nil {
			return nil, errors.New("the intake verifies client certificates only over TLS: give its own certificate and key too")
		}
		pem, err := os.ReadFile(o.ClientCAFile)
		if err != nil {
			return nil, fmt.Errorf("the intake's client authority: %w", err)
		}
		s.tls.ClientCAs = x509.NewCertPool()
		if !s.tls.ClientCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("the intake's client authority: no certificate in %s", o.ClientCAFile)
		}
		s.tls.ClientAuth = tls.VerifyClientCertIfGiven
	} else if name, need := o.Identities.needCertificates(); need {
		return nil, fmt.Errorf("the intake's identity %q is known by its certificate alone: give the file of the client authority", name)
	}
	return s, nil
}

// Start serves on l until Stop; Stop closes it.
func (s *Server) Start(l net.Listener) {
	if s.tls != nil {
		l = tls.NewListener(l, s.tls)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	s.http = &http.Server{
		Handler: s.handler(), ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeaderBytes, ErrorLog: slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
	}
	s.done.Go(func() { s.work(ctx) })
	s.done.Go(func() {
		if err := s.http.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
			s.failed <- fmt.Errorf("serve the intake: %w", err)
		}
	})
}

// Failed tells when the server ended without Stop.
func (s *Server) Failed() <-chan error { return s.failed }

// Stop takes no more posts, lets those that wait have their answer until ctx ends,
// and cuts the rest.
func (s *Server) Stop(ctx context.Context) (err error) {
	if err = s.http.Shutdown(ctx); err != nil {
		err = errors.Join(fmt.Errorf("finish the running posts: %w", err), s.http.Close())
	}
	s.cancel()
	s.done.Wait()
	return err
}

// Counts are this process's counters by name.
func (s *Server) Counts() map[string]uint64 {
	c := &s.counts
	return map[string]uint64{
		"stored": c.stored.Load(), "dead_letters": c.aside.Load(), "answered_again": c.again.Load(), "unauthorized": c.unauthorized.Load(),
		"not_allowed": c.notAllowed.Load(), "bad": c.bad.Load(), "too_large": c.large.Load(), "busy": c.busy.Load(),
	}
}

// work hands over what waits, one batch at a time.
func (s *Server) work(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case first := <-s.queue:
			batch := []ingest.Message{first}
			for len(batch) < batchSize && len(s.queue) > 0 {
				batch = append(batch, <-s.queue)
			}
			s.Handle(ctx, batch)
		}
	}
}

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /{$}", s.post)
	mux.HandleFunc("POST /falco", s.post)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok") })
	return mux
}

func (s *Server) post(w http.ResponseWriter, r *http.Request) {
	d := s.who(r)
	if d == nil {
		s.counts.unauthorized.Add(1)
		s.warn("a post to the intake without a token or certificate that is known", "remote", r.RemoteAddr)
		w.Header().Set("WWW-Authenticate", `Bearer realm="riposte", Basic realm="riposte"`)
		say(w, http.StatusUnauthorized, "send a token that this intake knows, or a client certificate")
		return
	}
	if s.waiting.Add(1) > maxWaiting {
		s.waiting.Add(-1)
		s.counts.busy.Add(1)
		w.Header().Set("Retry-After", "1")
		say(w, http.StatusServiceUnavailable, "too many alerts wait")
		return
	}
	defer s.waiting.Add(-1)
	m, status, err := s.message(w, r, d)
	if err != nil {
		s.warn("a post to the intake is refused", "identity", d.Name, "status", status, "error", strconv.QuoteToASCII(err.Error()))
		say(w, status, err.Error())
		return
	}
	s.wait(w, r, m)
}

// who finds the sender. Whoever sends a token means it: a bad one is not made good
// by a certificate.
func (s *Server) who(r *http.Request) *Identity {
	if h := r.Header.Get("Authorization"); h != "" {
		scheme, token, _ := strings.Cut(h, " ")
		switch {
		case strings.EqualFold(scheme, "Bearer"):
			return s.Identities.byToken(strings.TrimSpace(token))
		case strings.EqualFold(scheme, "Basic"): // what Falco makes of http://name:token@host
			name, password, ok := r.BasicAuth()
			if d := s.Identities.byToken(password); ok && d != nil && d.Name == name {
				return d
			}
		}
		return nil
	}
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		return s.Identities.byCertificate(r.TLS.VerifiedChains[0][0])
	}
	return nil
}

// message reads a post. Its error is for the sender.
func (s *Server) message(w http.ResponseWriter, r *http.Request, d *Identity) (*message, int, error) {
	body, err := readBody(w, r)
	if large := (*http.MaxBytesError)(nil); errors.As(err, &large) || errors.Is(err, errLarge) {
		s.counts.large.Add(1)
		return nil, http.StatusRequestEntityTooLarge, fmt.Errorf("an alert has %d bytes at most", maxBody)
	}
	if err != nil {
		s.counts.bad.Add(1)
		return nil, http.StatusBadRequest, fmt.Errorf("read the body: %w", err)
	}
	a, err := read(body, d)
	switch {
	case errors.Is(err, errNotAllowed):
		s.counts.notAllowed.Add(1)
		return nil, http.StatusForbidden, err
	case err != nil:
		s.counts.bad.Add(1)
		return nil, http.StatusBadRequest, fmt.Errorf("this is no alert of Falco's: %w", err)
	}
	data, err := a.MarshalJSON()
	if err != nil {
		s.counts.bad.Add(1)
		return nil, http.StatusBadRequest, err
	}
	m := &message{subject: ingest.IntakeSubject(d.Name), id: a.Riposte.MessageID(), data: data, received: time.Now(), answer: make(chan answer, 1)}
	// What the ingest would put aside is the sender's mistake, and it can be told.
	if _, err := ingest.Check(m.subject, m.id, m.data); err != nil {
		s.counts.bad.Add(1)
		return nil, http.StatusBadRequest, err
	}
	return m, 0, nil
}

var errLarge = errors.New("too large")

// readBody reads a bounded body, unpacked if it is gzip.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	var from io.Reader = http.MaxBytesReader(w, r.Body, maxBody)
	switch encoding := r.Header.Get("Content-Encoding"); strings.ToLower(encoding) {
	case "", "identity":
	case "gzip":
		z, err := gzip.NewReader(from)
		if err != nil {
			return nil, err
		}
		defer z.Close()
		from = z
	default:
		return nil, fmt.Errorf("the Content-Encoding %.20q is not supported: use gzip or none", encoding)
	}
	b, err := io.ReadAll(io.LimitReader(from, maxBody+1))
	if err == nil && len(b) > maxBody {
		err = errLarge
	}
	return b, err
}

// wait gives a message to the ingest until it is stored or patience ends.
func (s *Server) wait(w http.ResponseWriter, r *http.Request, m *message) {
	end := time.NewTimer(patience)
	defer end.Stop()
	queue, again := s.queue, (<-chan time.Time)(nil)
	for {
		select {
		case queue <- m:
			queue = nil // its answer comes next
			continue
		case <-again:
			queue, again = s.queue, nil
			continue
		case a := <-m.answer:
			switch {
			case a.stored:
				s.counts.stored.Add(1)
				say(w, http.StatusOK, "stored")
				return
			case a.aside != "":
				s.counts.aside.Add(1)
				say(w, http.StatusAccepted, "put aside: "+a.aside)
				return
			}
			again = time.After(a.again)
			continue
		case <-end.C: // it may still be stored: the sender may post it again
		case <-r.Context().Done():
		}
		s.counts.again.Add(1)
		w.Header().Set("Retry-After", "5")
		say(w, http.StatusServiceUnavailable, "it cannot be stored now: send it again")
		return
	}
}

// warn logs once a second at most: strangers must not fill the log.
func (s *Server) warn(message string, args ...any) {
	now, last := time.Now().Unix(), s.warned.Load()
	if now != last && s.warned.CompareAndSwap(last, now) {
		s.Log.Warn(message, args...)
	}
}

func say(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	b, _ := json.Marshal(map[string]string{"message": text}) // a text
	_, _ = w.Write(append(b, '\n'))                          // a client that left is no error of ours
}
