// Package trace tells an OpenTelemetry collector the way of each alert: from the
// system call to the verified effect.
//
// # One alert, one trace
//
// The trace is the alert's UUID and a span's id is made of what it is about
// (alert.TraceID, alert.SpanID). So nothing has to be kept or handed on: the replica
// that stores an alert and the one that executes its action a minute later report
// about the same trace.
//
// # After the fact
//
// Spans are made of the times that are recorded anyway, when the alert is stored and
// when an action has ended. On the alert's way there is no more than an attempt to put
// a small record into a bounded queue. What does not fit is dropped and counted.
//
//	alert                 system call .. stored
//	├ detect              system call .. alert made        (the node's clock)
//	├ deliver             alert made .. received
//	├ decide              received .. decided
//	│ └ playbook          one for each that was asked
//	├ store               decided .. committed
//	└ action              decided .. verified, or its end
//	  ├ wait              decided .. taken up
//	  ├ execute           taken up .. caused
//	  ├ verify            caused .. seen
//	  └ lift              due .. lifted
package trace

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	api "go.opentelemetry.io/otel/trace"

	"riposte/responder/execute"
	"riposte/responder/ingest"
)

// Bounds of what is kept and sent. A record has some hundred bytes.
const (
	maxQueue = 4096
	// maxSpans is how many spans share a request, at most but for the last record's.
	maxSpans = 512
	// gather is how long a span waits for others.
	gather = time.Second
)

// Options say what the traces are called and where they go.
type Options struct {
	// Version is the service's, Instance this replica's name.
	Version, Instance string
	Log               *slog.Logger
	// Queue bounds the records that wait, 4096 if 0.
	Queue int
}

// Tracer reports what ingest and execute tell it. A nil Tracer reports nothing.
type Tracer struct {
	sampled  func(trace api.TraceID) bool
	exporter sdk.SpanExporter
	provider *sdk.TracerProvider
	tracer   api.Tracer
	log      *slog.Logger

	queue chan record
	// made are the spans of the records at hand; run alone touches it.
	made []sdk.ReadOnlySpan
	// failing: the last request failed, and that was said.
	failing                   bool
	exported, dropped, failed atomic.Uint64

	stop   chan struct{}
	cancel context.CancelFunc
	done   sync.WaitGroup
}

// record makes spans of what it holds.
type record interface {
	trace() api.TraceID
	spans(t *spanMaker)
}

// New reads OpenTelemetry's variables, see docs/tracing.md. It returns nil if they
// name no collector. Nothing runs before Start.
func New(ctx context.Context, o Options) (*Tracer, error) {
	c, err := readConfig(os.Getenv)
	if err != nil || c.off {
		return nil, err
	}
	// The exporter reads its own variables: address, headers, certificates, timeout.
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithRetry(otlptracehttp.RetryConfig{
		Enabled: true, InitialInterval: 500 * time.Millisecond, MaxInterval: 5 * time.Second, MaxElapsedTime: 15 * time.Second,
	}))
	if err != nil {
		return nil, fmt.Errorf("export traces: %w", err)
	}
	who, err := resource.New(ctx, resource.WithSchemaURL(schema), resource.WithAttributes(service("riposte-responder", o.Version, o.Instance)...), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("describe the source of traces: %w", err)
	}
	if o.Queue == 0 {
		o.Queue = maxQueue
	}
	t := &Tracer{sampled: c.sampled, exporter: exporter, log: o.Log, queue: make(chan record, o.Queue), stop: make(chan struct{})}
	t.provider = sdk.NewTracerProvider(sdk.WithResource(who), sdk.WithIDGenerator(chosen{}), sdk.WithSampler(sdk.AlwaysSample()), sdk.WithSpanProcessor(collect{t}))
	t.tracer = t.provider.Tracer("riposte/responder/trace")
	return t, nil
}

// Start reports until Stop.
func (t *Tracer) Start() {
	if t == nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.cancel = cancel
	t.done.Go(func() { t.run(ctx) })
}

// Stop sends what waits, until ctx ends; what is left then is counted as failed. That
// is no error: nobody is to wait for a collector. Nothing may be told any more.
func (t *Tracer) Stop(ctx context.Context) error {
	if t == nil {
		return nil
	}
	close(t.stop)
	context.AfterFunc(ctx, t.cancel)
	t.done.Wait()
	t.cancel()
	ctx = context.WithoutCancel(ctx) // neither has anything left to wait for
	return errors.Join(t.provider.Shutdown(ctx), t.exporter.Shutdown(ctx))
}

// Counts are the records by what became of them; those that wait are in none. A
// failed request counts its spans' records together.
func (t *Tracer) Counts() map[string]uint64 {
	if t == nil {
		return nil
	}
	return map[string]uint64{"exported": t.exported.Load(), "dropped": t.dropped.Load(), "failed": t.failed.Load()}
}

// Stored is ingest's.
func (t *Tracer) Stored(s ingest.Stored) {
	if t != nil {
		t.put(newStored(s))
	}
}

// Ended is execute's.
func (t *Tracer) Ended(e execute.Ended) {
	if t != nil {
		t.put(ended(e))
	}
}

// Lifted is execute's.
func (t *Tracer) Lifted(l execute.Lifting) {
	if t != nil {
		t.put(lifted(l))
	}
}

func (t *Tracer) put(r record) {
	id := r.trace()
	if !id.IsValid() || !t.sampled(id) {
		return
	}
	select {
	case t.queue <- r:
	default:
		t.dropped.Add(1)
	}
}

// run makes spans and sends them.
func (t *Tracer) run(ctx context.Context) {
	tick := time.NewTicker(gather)
	defer tick.Stop()
	records := 0
	take := func(r record) {
		r.spans(&spanMaker{t: t.tracer, trace: r.trace()})
		if records++; len(t.made) >= maxSpans {
			t.send(ctx, records)
			records = 0
		}
	}
	for {
		select {
		case r := <-t.queue:
			take(r)
		case <-tick.C:
			t.send(ctx, records)
			records = 0
		case <-t.stop:
			for {
				select {
				case r := <-t.queue:
					take(r)
				default:
					t.send(ctx, records)
					return
				}
			}
		}
	}
}

func (t *Tracer) send(ctx context.Context, records int) {
	if len(t.made) == 0 {
		return
	}
	err := t.exporter.ExportSpans(ctx, t.made)
	clear(t.made)
	t.made = t.made[:0]
	if err != nil {
		t.failed.Add(uint64(records))
		if !t.failing {
			t.log.Warn("traces are not taken; they are counted from now on until one is", "error", err)
		}
		t.failing = true
		return
	}
	t.exported.Add(uint64(records))
	if t.failing {
		t.log.Info("traces are taken again")
	}
	t.failing = false
}

// collect takes the spans as they end, on the goroutine that makes them.
type collect struct{ t *Tracer }

func (collect) OnStart(context.Context, sdk.ReadWriteSpan) {}
func (c collect) OnEnd(s sdk.ReadOnlySpan)                 { c.t.made = append(c.t.made, s) }
func (collect) Shutdown(context.Context) error             { return nil }
func (collect) ForceFlush(context.Context) error           { return nil }
