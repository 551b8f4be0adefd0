package responder

import (
	"context"
	"maps"
	"net/http"
	"slices"
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

// startFigures has the parts counted that the figures are told of.
func (r *Responder) startFigures() {
	r.observers.figures = figures.New(slices.Collect(maps.Keys(r.actions)))
	r.ready = r.newReadiness()
}

// listenMetrics takes the metrics' port, if they have one.
func (r *Responder) listenMetrics(ctx context.Context) (err error) {
	if r.o.MetricsListen == "" {
		return nil
	}
	if r.metricsPort, err = r.listen(ctx, "metrics", r.o.MetricsListen); err != nil {
		return err
	}
	r.metricsAddr = r.metricsPort.Addr().String()
	return nil
}

// startMetrics serves them. The health checks are the API's.
func (r *Responder) startMetrics() {
	if r.metricsPort == nil {
		return
	}
	r.observers.figures.Read(r.sources())
	s := figures.NewServer(r.observers.figures.Handler(), http.HandlerFunc(r.api.Healthz), http.HandlerFunc(r.api.Readyz), r.o.Log.With("component", "figures"))
	s.Start(r.metricsPort)
	r.cleanups.add("the metrics", s.Stop)
	r.watch("metrics", s.Failed())
}

// MetricsAddr is the address of the metrics once Start has returned, empty without one.
func (r *Responder) MetricsAddr() string { return r.metricsAddr }
