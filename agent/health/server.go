// Package health answers the kubelet's health checks and serves the agent's
// figures to Prometheus, under Falco's names where they mean the same.
//
// Nothing listens unless it is switched on, and then on this machine alone
// unless an address is given: whoever can ask learns the rules and what was lost.
package health

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"
)

// MetricsPath is where the figures are.
const MetricsPath = "/metrics"

// Options configure a Server.
type Options struct {
	// Address is an IP address or name, 127.0.0.1 if empty; Port 0 takes a free one.
	Address string
	Port    int
	// HealthzPath is where health is asked for, /healthz if empty.
	HealthzPath string
	// Certificate is a PEM file with a certificate, those above it, and its key.
	// Empty: plain HTTP.
	Certificate string
	// Healthy says why the agent does not work, nil if it does.
	Healthy func() error
	// Metrics gives the figures; nil serves none.
	Metrics func() []Metric
	Log     *slog.Logger
}

const (
	timeout = 5 * time.Second
	// maxHeader bounds a request, whose body is never read.
	maxHeader = 16 << 10
	// maxConns bounds the connections at a time.
	maxConns = 64
)

// Server is a listener that answers.
type Server struct {
	listener net.Listener
	server   http.Server
	log      *slog.Logger
}

// Listen opens the listener. Call Run to answer, or Close.
func Listen(opt Options) (*Server, error) {
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	var conf *tls.Config
	if opt.Certificate != "" {
		pair, err := tls.LoadX509KeyPair(opt.Certificate, opt.Certificate)
		if err != nil {
			return nil, fmt.Errorf("read the web server's certificate and key from %s: %w", opt.Certificate, err)
		}
		conf = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	}
	l, err := net.Listen("tcp", net.JoinHostPort(cmp.Or(opt.Address, "127.0.0.1"), strconv.Itoa(opt.Port)))
	if err != nil {
		return nil, fmt.Errorf("open the web server: %w", err)
	}
	l = &limited{Listener: l, free: make(chan struct{}, maxConns), closed: make(chan struct{})}
	if conf != nil {
		l = tls.NewListener(l, conf)
	}
	s := &Server{listener: l, log: opt.Log}
	s.server = http.Server{
		Handler: opt.handler(), ReadTimeout: timeout, WriteTimeout: 2 * timeout, IdleTimeout: timeout, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(opt.Log.Handler(), slog.LevelDebug),
	}
	return s, nil
}

func (o Options) handler() http.Handler {
	mux := http.NewServeMux()
	// No method in the pattern: a configured path may have a blank or a brace in it.
	paths := map[string]http.HandlerFunc{cmp.Or(o.HealthzPath, "/healthz"): o.healthz}
	if o.Metrics != nil {
		paths[MetricsPath] = o.metrics
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		answer := paths[r.URL.Path]
		switch {
		case answer == nil:
			http.NotFound(w, r)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "only GET", http.StatusMethodNotAllowed)
		default:
			w.Header().Set("X-Content-Type-Options", "nosniff")
			answer(w, r)
		}
	})
	return mux
}

func (o Options) healthz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if o.Healthy != nil && o.Healthy() != nil {
		// The reason stands in the agent's log; who asks here may be anyone.
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte(`{"status": "error"}`)) // the asker is gone
		return
	}
	_, _ = w.Write([]byte(`{"status": "ok"}`)) // the asker is gone
}

func (o Options) metrics(w http.ResponseWriter, _ *http.Request) {
	var b bytes.Buffer
	Write(&b, o.Metrics())
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = w.Write(b.Bytes()) // the asker is gone
}

// Addr is where it listens, as host:port.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Run answers until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	ended := make(chan error, 1)
	go func() { ended <- s.server.Serve(s.listener) }()
	select {
	case err := <-ended:
		return fmt.Errorf("the web server ended: %w", err)
	case <-ctx.Done():
	}
	stopping, stop := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer stop()
	err := s.server.Shutdown(stopping)
	if err != nil {
		err = s.server.Close()
	}
	<-ended
	return err
}

// Close ends a server that never ran. It may be called again, and after Run.
func (s *Server) Close() error {
	if err := s.listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}
