package server

import (
	"context"
	"crypto/sha256"
	"net/http"
	"reflect"
	"strings"
	"unicode/utf8"

	"riposte/responder/api/access"
	"riposte/responder/audit"
	"riposte/responder/store"
)

// call is one request that was let in and read as its route says.
type call struct {
	*http.Request
	parameters
	// who asks, and in is where they have the route's role.
	who access.Identity
	in  store.Scope
	// body points to a value of the route's body, decoded.
	body any
}

// actor is who asks, in audit's form: the same by token and by session, or one
// person could pass for two.
func (c *call) actor() string { return audit.User(c.who.Name) }

// id is the path's.
func (c *call) id() string { return c.PathValue("id") }

// handler answers a call: with what is encoded, nil for nothing, or an error.
type handler func(ctx context.Context, c *call) (any, error)

// handle serves a route: who asks, whether they may, what they say, and only then
// what is asked for.
func (s *Server) handle(e route) http.HandlerFunc {
	allowed := e.parameters()
	return func(w http.ResponseWriter, r *http.Request) {
		c := &call{Request: r}
		var err error
		if !e.open {
			err = s.admit(c, e)
		}
		if err == nil && (!utf8.ValidString(r.URL.Path) || strings.ContainsRune(r.URL.Path, 0)) {
			err = problemf("bad_parameter", "the path is no text in UTF-8")
		}
		if err == nil {
			c.parameters, err = readParameters(r, allowed)
		}
		var body []byte
		if err == nil && (e.body != nil || r.Method == http.MethodPost) {
			body, err = readAll(r)
		}
		if err == nil && e.body != nil {
			c.body = reflect.New(reflect.TypeOf(e.body)).Interface()
			err = readBody(r, body, c.body)
		}
		switch {
		case err != nil:
			s.refuse(w, r, err)
		case e.raw != nil:
			e.raw(w, c)
		default:
			s.respond(w, c, e, body)
		}
	}
}

// respond runs the handler, once for an idempotency key, and writes its answer.
func (s *Server) respond(w http.ResponseWriter, c *call, e route, body []byte) {
	ctx, cancel := context.WithTimeout(c.Context(), queryTimeout)
	defer cancel()
	work := func() (response, error) {
		v, err := e.serve(ctx, c)
		if err != nil {
			return response{}, err
		}
		return responseOf(v, c.fields())
	}
	if key := c.Header.Get("Idempotency-Key"); key != "" && c.Method == http.MethodPost && !e.open {
		s.once(ctx, w, c, e, key, body, work)
		return
	}
	a, err := work()
	if err != nil {
		s.refuse(w, c.Request, err)
		return
	}
	if e.tagged() {
		tag := a.etag()
		w.Header().Set("ETag", tag)
		if given := c.Header.Get("If-None-Match"); given != "" && c.Method != http.MethodPut && matches(given, tag) {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	a.write(w)
}

// maxKey bounds an idempotency key.
const maxKey = 128

// once does a request's work if its idempotency key is new, and else repeats the
// answer.
func (s *Server) once(ctx context.Context, w http.ResponseWriter, c *call, e route, key string, body []byte, work func() (response, error)) {
	if len(key) > maxKey || strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		s.refuse(w, c.Request, problemf("bad_header", "Idempotency-Key: at most %d printable ASCII characters", maxKey))
		return
	}
	if e.secret {
		s.refuse(w, c.Request, problemf("bad_header", "Idempotency-Key: this answer holds a secret and is not kept, so it cannot be repeated"))
		return
	}
	request := sha256.Sum256([]byte(c.Method + "\n" + c.URL.EscapedPath() + "\n" + c.URL.RawQuery + "\n" + string(body)))
	kept, done, err := s.Store.BeginAnswer(ctx, c.who.Name, key, request[:])
	if err != nil {
		s.refuse(w, c.Request, err)
		return
	}
	if done {
		w.Header().Set("Idempotency-Replayed", "true")
		response{int(kept.Status), kept.Kind, kept.Body}.write(w)
		return
	}
	a, err := work()
	if err != nil {
		a, _ = s.refusalOf(c.Request, err)
	}
	// Also when the client has gone: that is when it will ask again.
	keep, cancel := context.WithTimeout(context.WithoutCancel(ctx), queryTimeout)
	defer cancel()
	if err := s.Store.EndAnswer(keep, c.who.Name, key, store.Answer{Status: int16(a.status), Kind: a.kind, Body: a.body}); err != nil {
		s.Log.Error("an answer was not kept; the same request will be worked on again", "path", c.URL.Path, "error", err)
	}
	a.write(w)
}

// unchanged refuses a change whose If-Match names another state than the present.
func (c *call) unchanged(present any) error {
	given := c.Header.Get("If-Match")
	if given == "" {
		return nil
	}
	a, err := responseOf(present, nil)
	if err != nil {
		return err
	}
	if !matches(given, a.etag()) {
		return problemf("changed", "If-Match: it was changed meanwhile; look again")
	}
	return nil
}

// list is a handler that answers with a page of a filtered list.
func list[F, Row, Resource any](
	filter func(*call) F,
	read func(context.Context, store.Scope, F, store.Paging) ([]Row, string, error),
	resource func(Row) Resource,
) handler {
	return func(ctx context.Context, c *call) (any, error) {
		rows, next, err := read(ctx, c.in, filter(c), c.paging())
		return pageOf(rows, next, resource), err
	}
}

// show is a handler that answers with the one that the path's id names.
func show[Row, Resource any](read func(context.Context, store.Scope, string) (Row, error), resource func(Row) Resource) handler {
	return func(ctx context.Context, c *call) (any, error) {
		row, err := read(ctx, c.in, c.id())
		return resource(row), err
	}
}
