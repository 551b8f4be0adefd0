package server

import (
	"context"
	"net/http"
	"reflect"
	"slices"

	"riposte/responder/api/access"
)

// route is one endpoint: what is served, checked and described. Nothing is open
// unless it says so.
type route struct {
	pattern string
	// name is the operation's, says what it does in a line.
	name, says string
	// role is what it needs; None of a closed one needs to be known only. whole says that
	// the role must be without limits.
	role  access.Role
	whole bool
	open  bool
	// query are its parameters; body and answer are values of the types of the request's
	// and the answer's JSON, nil for none.
	query        []parameter
	body, answer any
	serve        handler
	// secret: the answer is not kept for an idempotency key.
	secret bool
	// raw serves in place of serve what is no JSON of ours, or not always, of the content
	// type kind.
	raw  func(http.ResponseWriter, *call)
	kind string
}

// tagged says that its answers have entity tags: those that show a state.
func (e route) tagged() bool {
	return e.raw == nil && e.answer != nil && e.body == nil || len(e.pattern) > 4 && e.pattern[:4] == "PUT "
}

// parameters are those of the query, with fields where a resource is shown.
func (e route) parameters() []parameter {
	if e.answer == nil || e.body != nil || e.raw != nil {
		return e.query
	}
	return append(slices.Clip(e.query), fieldsParameter(reflect.TypeOf(e.answer)))
}

// other is what is served beside the routes and is not in the document.
func (s *Server) other() []route {
	return []route{
		// Everything else below /api is closed too, so that a stranger does not learn
		// what is there.
		{pattern: "/api/", serve: noSuchEndpoint},
	}
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	for _, e := range append(s.table(), s.other()...) {
		mux.HandleFunc(e.pattern, s.handle(e))
	}
	mux.HandleFunc("GET "+access.CallbackPath, s.finishSignIn)
	// The health checks say nothing, and the console's files hold no data.
	mux.HandleFunc("GET /healthz", s.Healthz)
	mux.HandleFunc("GET /readyz", s.Readyz)
	mux.HandleFunc("/", newConsole(s.Console).serve)
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

func noSuchEndpoint(_ context.Context, c *call) (any, error) {
	return nil, problemf("no_such_endpoint", "there is no %s %.200s; docs/api.md lists what there is", c.Method, c.URL.Path)
}
