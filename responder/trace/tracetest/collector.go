// Package tracetest has an OpenTelemetry collector for tests.
package tracetest

import (
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	"google.golang.org/protobuf/proto"
)

// Span is one span as it came.
type Span struct {
	Name, Trace, ID, Parent string
	// Links are the traces that it points at.
	Links    []string
	From, To time.Time
	// Failed is the status's message if it is an error.
	Failed     string
	Attributes map[string]string
	Events     []string
	Service    string
}

// Collector takes OTLP over HTTP.
type Collector struct {
	URL string

	mu    sync.Mutex
	spans []Span
	// refuse is the status that it answers with instead of taking anything.
	refuse int
	// changed gets a token after each request.
	changed chan struct{}
	errs    []error
}

// New starts a collector that the test's end stops.
func New(t testing.TB) *Collector {
	t.Helper()
	c := &Collector{changed: make(chan struct{}, 1)}
	s := httptest.NewServer(http.HandlerFunc(c.take))
	c.URL = s.URL
	t.Cleanup(func() {
		s.Close()
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, err := range c.errs {
			t.Errorf("a request that no collector would take: %v", err)
		}
	})
	return c
}

// Refuse answers with this status from now on; 0 takes spans again.
func (c *Collector) Refuse(status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refuse = status
}

func (c *Collector) take(w http.ResponseWriter, r *http.Request) {
	defer func() {
		select {
		case c.changed <- struct{}{}:
		default:
		}
	}()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refuse != 0 {
		w.WriteHeader(c.refuse)
		return
	}
	body, err := io.ReadAll(r.Body)
	var request collector.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(body, &request)
	}
	if err != nil {
		c.errs = append(c.errs, err)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	for _, resource := range request.ResourceSpans {
		service := attributes(resource.Resource.GetAttributes())["service.name"]
		for _, scope := range resource.ScopeSpans {
			for _, s := range scope.Spans {
				n := Span{
					Name: s.Name, Trace: hex.EncodeToString(s.TraceId), ID: hex.EncodeToString(s.SpanId), Parent: hex.EncodeToString(s.ParentSpanId),
					From: time.Unix(0, int64(s.StartTimeUnixNano)), To: time.Unix(0, int64(s.EndTimeUnixNano)), Attributes: attributes(s.Attributes), Service: service,
				}
				if s.Status.GetCode() == 2 { // STATUS_CODE_ERROR
					n.Failed = s.Status.GetMessage()
				}
				for _, e := range s.Events {
					n.Events = append(n.Events, e.Name)
				}
				for _, l := range s.Links {
					n.Links = append(n.Links, hex.EncodeToString(l.TraceId))
				}
				c.spans = append(c.spans, n)
			}
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
	answer, _ := proto.Marshal(&collector.ExportTraceServiceResponse{})
	_, _ = w.Write(answer)
}

func attributes(all []*common.KeyValue) map[string]string {
	m := map[string]string{}
	for _, a := range all {
		m[a.Key] = strings.Trim(a.Value.String(), `"`)
		if s, ok := a.Value.Value.(*common.AnyValue_StringValue); ok {
			m[a.Key] = s.StringValue
		}
	}
	return m
}

// Trace is the spans of one alert's trace that have come, by name.
func (c *Collector) Trace(alertID string) map[string]Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := map[string]Span{}
	for _, s := range c.spans {
		if s.Trace == strings.ReplaceAll(alertID, "-", "") {
			all[s.Name] = s
		}
	}
	return all
}

// Wait returns when the alert's trace has spans of all these names.
func (c *Collector) Wait(t testing.TB, alertID string, names ...string) map[string]Span {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		all := c.Trace(alertID)
		missing := 0
		for _, n := range names {
			if _, there := all[n]; !there {
				missing++
			}
		}
		if missing == 0 {
			return all
		}
		select {
		case <-c.changed:
		case <-deadline:
			t.Fatalf("of the trace of alert %s only %v has come, not %v", alertID, all, names)
		}
	}
}

// Len is how many spans have come.
func (c *Collector) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.spans)
}
