package server

import (
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"riposte/agent/alert"
	"riposte/responder/api"
	"riposte/responder/selector"
	"riposte/responder/store"
)

// A page that the store would cut short would lose rows.
var _ = [1]struct{}{}[store.MaxPage-api.MaxPage]

// maxValue bounds one query parameter.
const maxValue = 1024

// parameter is one query parameter of an endpoint.
type parameter struct {
	name string
	// kind says how it is checked, and enum which values there are.
	kind parameterKind
	enum []string
	says string
}

type parameterKind int

const (
	textKind parameterKind = iota
	wordKind               // one of enum
	priorityKind
	timeKind
	numberKind
	countKind // a whole number from 1 on
	boolKind
	fieldsKind
	selectorKind // of labels
)

// Parameters that several endpoints have.
var (
	sinceParameter = parameter{name: "since", kind: timeKind, says: "Leave out what is older."}
	untilParameter = parameter{name: "until", kind: timeKind, says: "Leave out what is of then or younger."}
	labelSelector  = parameter{name: "selector", kind: selectorKind, says: "What the pod's labels were like then, as kubectl's -l: app=cart,tier!=web,env in (dev,test),!canary."}
	priorityAtMost = parameter{name: "priority", kind: priorityKind, enum: priorities(), says: "The least severe priority that is still shown."}
	pageParameters = []parameter{
		{name: "limit", kind: numberKind, says: "How many at most."},
		{name: "before", says: "The page's next, to get the page after it."},
	}
)

func priorities() (all []string) {
	for p := alert.Emergency; p <= alert.Debug; p++ {
		all = append(all, p.String())
	}
	return all
}

// paged are a list's parameters with those that every list has.
func paged(own ...parameter) []parameter { return slices.Concat(own, pageParameters) }

// fieldsParameter chooses among a resource's fields.
func fieldsParameter(t reflect.Type) parameter {
	return parameter{name: "fields", kind: fieldsKind, enum: fieldsOf(resourceOf(t)), says: "The names of fields, by commas: only these are in the answer, whatever the schema calls required."}
}

// parameters are a request's query parameters, which have been checked.
type parameters struct{ values url.Values }

// readParameters reads the query, in which only the allowed names may stand, each once.
func readParameters(r *http.Request, allowed []parameter) (parameters, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return parameters{}, problemf("bad_query", "the query cannot be read: %v", err)
	}
	for name, vs := range values {
		i := slices.IndexFunc(allowed, func(p parameter) bool { return p.name == name })
		switch {
		case i < 0 && len(allowed) == 0:
			return parameters{}, problemf("unknown_parameter", "unknown parameter %.60q: this endpoint has none", name)
		case i < 0:
			var names []string
			for _, p := range allowed {
				names = append(names, p.name)
			}
			return parameters{}, problemf("unknown_parameter", "unknown parameter %.60q: use %s", name, strings.Join(names, ", "))
		case len(vs) > 1:
			return parameters{}, problemf("bad_parameter", "%s: it is given %d times", name, len(vs))
		case len(vs[0]) > maxValue || !utf8.ValidString(vs[0]) || strings.ContainsRune(vs[0], 0):
			return parameters{}, problemf("bad_parameter", "%s: it is too long or no text", name)
		}
		if err := allowed[i].check(vs[0]); err != nil {
			return parameters{}, err
		}
	}
	return parameters{values}, nil
}

func (p parameter) check(v string) error {
	if v == "" {
		return nil // as if it were not there
	}
	switch p.kind {
	case wordKind:
		if !slices.Contains(p.enum, v) {
			return problemf("bad_parameter", "%s: %.60q is none of %s", p.name, v, strings.Join(p.enum, ", "))
		}
	case priorityKind:
		if _, err := alert.ParsePriority(v); err != nil {
			return problemf("bad_parameter", "%s: %v", p.name, err)
		}
	case timeKind:
		t, err := time.Parse(time.RFC3339, v)
		// The years that nanoseconds in 64 bits can say.
		if err != nil || t.Year() < 1970 || t.Year() > 2261 {
			return problemf("bad_parameter", "%s: %.60q is no time such as 2006-01-02T15:04:05Z", p.name, v)
		}
	case numberKind:
		if n, err := strconv.Atoi(v); err != nil || n < 1 || n > api.MaxPage {
			return problemf("bad_parameter", "%s: %.60q is no number from 1 to %d", p.name, v, api.MaxPage)
		}
	case countKind:
		if n, err := strconv.ParseInt(v, 10, 64); err != nil || n < 1 {
			return problemf("bad_parameter", "%s: %.60q is no whole number from 1 on", p.name, v)
		}
	case boolKind:
		if v != "true" && v != "false" {
			return problemf("bad_parameter", "%s: say true or false", p.name)
		}
	case selectorKind:
		if _, err := selector.Parse(v); err != nil {
			return problemf("bad_parameter", "%s: %v", p.name, err)
		}
	case fieldsKind:
		for name := range strings.SplitSeq(v, ",") {
			if !slices.Contains(p.enum, name) {
				return problemf("bad_parameter", "%s: there is no field %.60q; there are %s", p.name, name, strings.Join(p.enum, ", "))
			}
		}
	}
	return nil
}

func (p parameters) text(name string) string { return p.values.Get(name) }

func (p parameters) priority() *alert.Priority {
	got, err := alert.ParsePriority(p.values.Get("priority"))
	if err != nil {
		return nil // empty
	}
	return &got
}

// selector has been checked to be one.
func (p parameters) selector() selector.Selector {
	s, _ := selector.Parse(p.values.Get("selector"))
	return s
}

func (p parameters) since() time.Time { return p.time("since") }

func (p parameters) time(name string) time.Time {
	t, _ := time.Parse(time.RFC3339, p.values.Get(name))
	return t
}

// count is 0 where nothing is said.
func (p parameters) count(name string) int64 {
	n, _ := strconv.ParseInt(p.values.Get(name), 10, 64)
	return n
}

// maybe is nil where nothing is said.
func (p parameters) maybe(name string) *bool {
	v := p.values.Get(name)
	if v == "" {
		return nil
	}
	yes := v == "true"
	return &yes
}

// fields are the chosen ones, each once, or nil for all.
func (p parameters) fields() []string {
	v := p.values.Get("fields")
	if v == "" {
		return nil
	}
	var names []string
	for name := range strings.SplitSeq(v, ",") {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// paging reads limit and before.
func (p parameters) paging() store.Paging {
	page := store.Paging{Limit: api.DefaultPage, Before: p.values.Get("before")}
	if n, err := strconv.Atoi(p.values.Get("limit")); err == nil {
		page.Limit = n
	}
	return page
}
