package figures

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// Server serves metrics and health checks on a listener of its own, and nothing else.
type Server struct {
	http   *http.Server
	done   sync.WaitGroup
	failed chan error
}

// NewServer makes a server that is not serving yet.
func NewServer(metrics, healthz, readyz http.Handler, log *slog.Logger) *Server {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics)
	mux.Handle("GET /healthz", healthz)
	mux.Handle("GET /readyz", readyz)
	return &Server{failed: make(chan error, 1), http: &http.Server{
		Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second, WriteTimeout: scrapeTime + 5*time.Second, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}}
}

// Start serves on l until Stop, which closes it.
func (s *Server) Start(l net.Listener) {
	s.done.Go(func() {
		if err := s.http.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
			s.failed <- fmt.Errorf("serve the metrics: %w", err)
		}
	})
}

// Failed tells when the server ended without Stop.
func (s *Server) Failed() <-chan error { return s.failed }

// Stop lets running requests finish until ctx ends, and cuts the rest.
func (s *Server) Stop(ctx context.Context) (err error) {
	if err = s.http.Shutdown(ctx); err != nil {
		err = errors.Join(fmt.Errorf("finish the running scrapes: %w", err), s.http.Close())
	}
	s.done.Wait()
	return err
}
