package responder

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"riposte/responder/execute"
	"riposte/responder/figures"
	"riposte/responder/ingest"
	"riposte/responder/playbook/sandbox"
	"riposte/responder/trace"
)

// traceTime bounds what a stop waits for a collector of traces.
const traceTime = 2 * time.Second

// observers are told what becomes of alerts and actions.
type observers struct {
	figures *figures.Figures
	traces  *trace.Tracer
}

func (o observers) Stored(s ingest.Stored)                   { o.figures.Stored(s); o.traces.Stored(s) }
func (o observers) Left(why ingest.Leaving, priority string) { o.figures.Left(why, priority) }
func (o observers) Batch(messages int, took time.Duration)   { o.figures.Batch(messages, took) }
func (o observers) Ended(e execute.Ended)                    { o.figures.Ended(e); o.traces.Ended(e) }

func (o observers) Lifted(l execute.Lifting) { o.figures.Lifted(l); o.traces.Lifted(l) }

// startTraces has traces sent, if the environment names a collector.
func (r *Responder) startTraces(ctx context.Context) (err error) {
	r.observers.traces, err = trace.New(ctx, trace.Options{Version: r.o.Version, Instance: r.o.Instance, Log: r.o.Log.With("component", "trace")})
	if err != nil {
		return err
	}
	r.observers.traces.Start()
	r.cleanups.add("the traces", func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, traceTime)
		defer cancel()
		return r.observers.traces.Stop(ctx)
	})
	return nil
}

// sources are what the figures are read from.
func (r *Responder) sources() figures.Sources {
	s := figures.Sources{
		Version: r.o.Version, Ready: r.ready.works, Ingest: r.counts.ingest, Intake: r.counts.intake, Bus: r.bus.Counts, Connected: r.bus.Connected, Backlog: r.bus.Backlog,
		Playbooks:   func() int { return len(r.playbooks.Playbooks()) },
		Reloads:     map[string]func() sandbox.Loads{"playbooks": r.playbooks.Loads, "guard_policies": r.guard.PolicyLoads, "guard_file": r.guard.FileLoads},
		Checkpoints: r.checkpointCounts, Pruned: r.prunedCounts,
		Guard: r.guard.Counts, Switches: r.guard.Switches, Execute: r.counts.execute, Immediate: r.counts.immediate, Webhooks: r.webhooks.Counts,
		Verifications: r.api.Verifications, Events: r.api.Events,
		Database: r.store, SilentAfter: r.o.SilentAfter, Traces: r.observers.traces.Counts,
	}
	if r.binder != nil {
		s.Kube = r.binder.Stats
	}
	return s
}

// listenMetrics takes the metrics' port at the beginning, as that of the API.
func (r *Responder) listenMetrics(ctx context.Context) (net.Listener, error) {
	if r.o.MetricsListen == "" {
		return nil, nil
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", r.o.MetricsListen)
	if err != nil {
		return nil, fmt.Errorf("the metrics cannot listen on %s: %w", r.o.MetricsListen, err)
	}
	r.metricsAddr = l.Addr().String()
	r.cleanups.add("the metrics' listener", closing(l))
	return l, nil
}

// startMetrics serves them. The health checks are the API's.
func (r *Responder) startMetrics(l net.Listener) {
	if l == nil {
		return
	}
	r.observers.figures.Read(r.sources())
	s := figures.NewServer(r.observers.figures.Handler(), http.HandlerFunc(r.api.Healthz), http.HandlerFunc(r.api.Readyz), r.o.Log.With("component", "figures"))
	s.Start(l)
	r.cleanups.add("the metrics", s.Stop)
	r.cleanups.add("the watch of the metrics", background(func(ctx context.Context) {
		select {
		case <-ctx.Done():
		case err := <-s.Failed():
			r.report(ctx, "serve the metrics", err)
		}
	}))
}

// MetricsAddr is the address of the metrics once Start has returned, empty without one.
func (r *Responder) MetricsAddr() string { return r.metricsAddr }
