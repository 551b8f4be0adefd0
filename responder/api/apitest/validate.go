package apitest

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/stretchr/testify/require"

	"riposte/responder/api/server"
)

// maxChecked bounds the answer that is kept for the check; the tests' are smaller.
const maxChecked = 8 << 20

// validating makes the test fail at every answer that is not as the API's document
// says: an unknown field, a missing one, another type, status or content type.
func validating(t testing.TB) func(http.Handler) http.Handler {
	t.Helper()
	all, chosen := Document(t), Document(t)
	for _, s := range all.Components.Schemas {
		s.Value.AdditionalProperties = openapi3.AdditionalProperties{Has: new(false)}
	}
	for _, s := range chosen.Components.Schemas {
		// A choice of fields leaves out what is else required; a page stays one.
		if s.Value.AdditionalProperties.Has = new(false); s.Value.Properties["items"] == nil {
			s.Value.Required = nil
		}
	}
	whole, err := gorillamux.NewRouter(all)
	require.NoError(t, err)
	partial, err := gorillamux.NewRouter(chosen)
	require.NoError(t, err)
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rec := &recorder{ResponseWriter: w}
			next.ServeHTTP(rec, r)
			router := whole
			if r.URL.Query().Has("fields") {
				router = partial
			}
			if err := rec.check(router, r); err != nil {
				t.Errorf("%s %s answered %d otherwise than the document says: %v\n%.500s", r.Method, r.URL, rec.status, err, rec.body.Bytes())
			}
		})
	}
}

// Document is the API's document, parsed and found valid.
func Document(t testing.TB) *openapi3.T {
	t.Helper()
	b, err := server.Document()
	require.NoError(t, err)
	doc, err := openapi3.NewLoader().LoadFromData(b)
	require.NoError(t, err)
	require.NoError(t, doc.Validate(t.Context()))
	return doc
}

// recorder keeps what is written, but for streams.
type recorder struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	if r.body.Len() < maxChecked && !r.streams() {
		r.body.Write(b)
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController through.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func (r *recorder) streams() bool {
	kind := r.Header().Get("Content-Type")
	return strings.HasPrefix(kind, "text/event-stream") || strings.HasPrefix(kind, "application/x-ndjson")
}

func (r *recorder) check(router routers.Router, req *http.Request) error {
	if !strings.HasPrefix(req.URL.Path, "/api/v1/") || r.status == 0 || r.streams() {
		return nil // the console, a client that left, or a stream, which has tests of its own
	}
	route, values, err := router.FindRoute(req)
	if err != nil {
		if r.status == http.StatusNotFound || r.status == http.StatusUnauthorized || r.status == http.StatusTooManyRequests {
			return nil
		}
		return fmt.Errorf("no such endpoint is described: %w", err)
	}
	in := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: req, PathParams: values, Route: route},
		Status:                 r.status, Header: r.Header(), Options: &openapi3filter.Options{IncludeResponseStatus: true},
	}
	return openapi3filter.ValidateResponse(context.Background(), in.SetBodyBytes(r.body.Bytes()))
}
