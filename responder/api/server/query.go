package server

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"riposte/agent/alert"
	"riposte/responder/api"
	"riposte/responder/store"
)

// A page that the store would cut short would lose rows.
var _ = [1]struct{}{}[store.MaxPage-api.MaxPage]

// maxValue bounds one query parameter.
const maxValue = 1024

func queryContext(r *http.Request) (context.Context, context.CancelFunc) {
	return context.WithTimeout(r.Context(), queryTimeout)
}

// parameters are a request's query parameters; the first bad one is kept.
type parameters struct {
	values url.Values
	err    error
}

// parameters reads the query, in which only the allowed names may stand, each once.
func readParameters(r *http.Request, allowed ...string) *parameters {
	p := &parameters{}
	if p.values, p.err = url.ParseQuery(r.URL.RawQuery); p.err != nil {
		p.err = problemf(http.StatusBadRequest, "bad_query", "the query cannot be read: %v", p.err)
		return p
	}
	for name, vs := range p.values {
		switch {
		case !slices.Contains(allowed, name) && len(allowed) == 0:
			p.err = problemf(http.StatusBadRequest, "unknown_parameter", "unknown parameter %.60q: this endpoint has none", name)
		case !slices.Contains(allowed, name):
			p.err = problemf(http.StatusBadRequest, "unknown_parameter", "unknown parameter %.60q: use %s", name, strings.Join(allowed, ", "))
		case len(vs) > 1:
			p.bad(name, "it is given %d times", len(vs))
		case len(vs[0]) > maxValue || !utf8.ValidString(vs[0]) || strings.ContainsRune(vs[0], 0):
			p.bad(name, "it is too long or no text")
		}
	}
	return p
}

func (p *parameters) bad(name, format string, args ...any) {
	if p.err == nil {
		p.err = problemf(http.StatusBadRequest, "bad_parameter", name+": "+format, args...)
	}
}

func (p *parameters) text(name string) string { return p.values.Get(name) }

func (p *parameters) oneOf(name string, values []string) string {
	v := p.values.Get(name)
	if v != "" && !slices.Contains(values, v) {
		p.bad(name, "%.60q is none of %s", v, strings.Join(values, ", "))
	}
	return v
}

func (p *parameters) priority(name string) *alert.Priority {
	v := p.values.Get(name)
	if v == "" {
		return nil
	}
	got, err := alert.ParsePriority(v)
	if err != nil {
		p.bad(name, "%v", err)
	}
	return &got
}

func (p *parameters) since() time.Time {
	v := p.values.Get("since")
	if v == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, v)
	// The years that nanoseconds in 64 bits can say.
	if err != nil || t.Year() < 1970 || t.Year() > 2261 {
		p.bad("since", "%.60q is no time such as 2006-01-02T15:04:05Z", v)
	}
	return t
}

// paging reads limit and before.
func (p *parameters) paging() store.Paging {
	page := store.Paging{Limit: api.DefaultPage, Before: p.values.Get("before")}
	if v := p.values.Get("limit"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > api.MaxPage {
			p.bad("limit", "%.60q is no number from 1 to %d", v, api.MaxPage)
		}
		page.Limit = n
	}
	return page
}
