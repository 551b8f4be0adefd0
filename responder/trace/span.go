package trace

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	api "go.opentelemetry.io/otel/trace"
)

// schema is the version of OpenTelemetry's conventions that the names of attributes are from.
const schema = "https://opentelemetry.io/schemas/1.37.0"

func service(name, version, instance string) []attribute.KeyValue {
	return []attribute.KeyValue{
		attribute.String("service.name", name), attribute.String("service.version", version), attribute.String("service.instance.id", instance),
	}
}

// idsKey is the context's key of the ids that a span is to have.
type idsKey struct{}

type ids struct {
	trace api.TraceID
	span  api.SpanID
}

// chosen gives a span the ids that its context names.
type chosen struct{}

func (chosen) NewIDs(ctx context.Context) (api.TraceID, api.SpanID) {
	i, _ := ctx.Value(idsKey{}).(ids)
	return i.trace, i.span
}

func (chosen) NewSpanID(ctx context.Context, _ api.TraceID) api.SpanID {
	i, _ := ctx.Value(idsKey{}).(ids)
	return i.span
}

// spanMaker makes spans of one trace.
type spanMaker struct {
	t     api.Tracer
	trace api.TraceID
}

// span is one span as it is to be.
type span struct {
	name       string
	id, parent api.SpanID
	// from and to are Unix nanoseconds. Without both there is no span; one that would end
	// before it began, because two clocks differ, ends at once.
	from, to   int64
	attributes []attribute.KeyValue
	events     []event
	links      []api.Link
	// failed is why what the span is about did not work, empty if it did.
	failed string
}

type event struct {
	name       string
	at         int64
	attributes []attribute.KeyValue
}

func (m *spanMaker) add(s span) {
	if s.from <= 0 || s.to <= 0 {
		return
	}
	ctx := context.WithValue(context.Background(), idsKey{}, ids{m.trace, s.id})
	if s.parent.IsValid() {
		ctx = api.ContextWithSpanContext(ctx, m.context(s.parent))
	}
	_, made := m.t.Start(ctx, s.name, api.WithTimestamp(time.Unix(0, s.from)), api.WithAttributes(s.attributes...), api.WithLinks(s.links...))
	for _, e := range s.events {
		made.AddEvent(e.name, api.WithTimestamp(time.Unix(0, e.at)), api.WithAttributes(e.attributes...))
	}
	if s.failed != "" {
		made.SetStatus(codes.Error, s.failed)
	}
	made.End(api.WithTimestamp(time.Unix(0, max(s.from, s.to))))
}

func (m *spanMaker) context(span api.SpanID) api.SpanContext { return spanContext(m.trace, span) }

func spanContext(trace api.TraceID, span api.SpanID) api.SpanContext {
	return api.NewSpanContext(api.SpanContextConfig{TraceID: trace, SpanID: span, TraceFlags: api.FlagsSampled, Remote: true})
}
