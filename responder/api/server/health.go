package server

import (
	"context"
	"net/http"

	"riposte/responder/api/access"
)

// Healthz says that the process lives.
func (s *Server) Healthz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("ok\n"))
}

// Readyz does not say to a stranger what is wrong; the log and a
// viewer's request do.
func (s *Server) Readyz(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	ctx, cancel := context.WithTimeout(r.Context(), queryTimeout)
	defer cancel()
	missing := missing(partsOf(s.Ready(ctx)))
	if missing == "" {
		_, _ = w.Write([]byte("ok\n"))
		return
	}
	w.WriteHeader(http.StatusServiceUnavailable)
	answer := "not ready\n"
	if who, denied := s.authenticate(r); denied == nil && len(who.Scope(access.Viewer)) > 0 {
		answer = "not ready: " + missing + "\n"
	}
	_, _ = w.Write([]byte(answer))
}
