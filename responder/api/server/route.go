package server

import (
	"net/http"

	"riposte/responder/incident"
)

// route is one endpoint. Nothing is open unless it says so.
type route struct {
	pattern string
	serve   func(http.ResponseWriter, *http.Request)
	open    bool
}

func (s *Server) table() []route {
	return []route{
		{pattern: "GET /api/v1/alerts", serve: s.listAlerts},
		{pattern: "GET /api/v1/alerts/{id}", serve: s.showAlert},
		{pattern: "GET /api/v1/actions", serve: s.listActions},
		{pattern: "GET /api/v1/actions/{id}", serve: s.showAction},
		{pattern: "GET /api/v1/actions/{id}/timeline", serve: s.showTimeline},
		{pattern: "GET /api/v1/actions/{id}/approval", serve: s.showApproval},
		{pattern: "POST /api/v1/actions/{id}/approve", serve: s.approve},
		{pattern: "POST /api/v1/actions/{id}/reject", serve: s.reject},
		{pattern: "POST /api/v1/actions/{id}/lift", serve: s.liftAction},
		{pattern: "GET /api/v1/approvals", serve: s.listApprovals},
		{pattern: "GET /api/v1/playbooks", serve: s.listPlaybooks},
		{pattern: "PUT /api/v1/playbooks/{name}/mode", serve: s.setMode},
		{pattern: "GET /api/v1/incidents", serve: s.listIncidents},
		{pattern: "GET /api/v1/incidents/{id}", serve: s.showIncident},
		{pattern: "GET /api/v1/incidents/{id}/timeline", serve: s.showIncidentTimeline},
		{pattern: "POST /api/v1/incidents/{id}/resolve", serve: s.changeIncident(incident.Resolved)},
		{pattern: "POST /api/v1/incidents/{id}/false-positive", serve: s.changeIncident(incident.FalsePositive)},
		{pattern: "GET /api/v1/deadletters", serve: s.listDeadLetters},
		{pattern: "GET /api/v1/deadletters/{id}", serve: s.showDeadLetter},
		{pattern: "POST /api/v1/deadletters/{id}/redrive", serve: s.redriveDeadLetter},
		{pattern: "GET /api/v1/decisions/export", serve: s.exportDecisions},
		{pattern: "GET /api/v1/audit", serve: s.listAudit},
		{pattern: "GET /api/v1/audit/verify", serve: s.verifyAudit},
		{pattern: "GET /api/v1/audit/export", serve: s.exportAudit},
		{pattern: "POST /api/v1/audit/redactions", serve: s.redactAudit},
		{pattern: "GET /api/v1/status", serve: s.showStatus},
		{pattern: "GET /api/v1/events", serve: s.streamEvents},
		{pattern: "GET /api/v1/guard/kill-switch", serve: s.showKillSwitch},
		{pattern: "PUT /api/v1/guard/kill-switch", serve: s.setKillSwitch},
		{pattern: "GET /api/v1/guard/budgets", serve: s.listBudgets},
		// Open, because it is where the token is checked.
		{pattern: "POST /api/v1/session", serve: s.login, open: true},
		{pattern: "DELETE /api/v1/session", serve: s.logout},
		// Everything else below /api is closed too, so that a stranger does not learn
		// what is there.
		{pattern: "/api/", serve: s.noSuchEndpoint},
		{pattern: "GET /healthz", serve: s.Healthz, open: true},
		{pattern: "GET /readyz", serve: s.Readyz, open: true},
		// The console's files hold no data.
		{pattern: "/", serve: newConsole(s.Console).serve, open: true},
	}
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	for _, r := range s.table() {
		serve := http.HandlerFunc(r.serve)
		if !r.open {
			serve = s.closed(serve)
		}
		mux.HandleFunc(r.pattern, serve)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		secure(w.Header())
		r.Body = http.MaxBytesReader(w, r.Body, maxBodyBytes)
		mux.ServeHTTP(w, r)
	})
}

// secure sets what every answer carries; the console widens the policy for itself.
func secure(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}

func (s *Server) noSuchEndpoint(w http.ResponseWriter, r *http.Request) {
	s.refuse(w, r, problemf(http.StatusNotFound, "no_such_endpoint", "there is no %s %.200s; docs/api.md lists what there is", r.Method, r.URL.Path))
}
