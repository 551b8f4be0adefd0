// Package agent wires one node's half of Riposte: events in, alerts out, orders
// carried out. See Options for what it needs; New does all that can fail, Run
// works until its context ends and leaves nothing behind.
//
//	capture or recording ─→ enrich ─→ rules ─→ alert ─→ stdout, file, HTTP, syslog, program
//	                                    ↑           └─→ outbox ─→ bus
//	                              changed files
//	contain ←──────────────────────────────────────────────────── bus
package agent

import (
	"context"
	"errors"
	"maps"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"riposte/agent/alert"
	"riposte/agent/bus"
	"riposte/agent/contain"
	"riposte/agent/event"
	"riposte/agent/health"
	"riposte/agent/publish"
)

// source is where events come from; see capture.Source.
type source interface {
	Name() string
	Run(ctx context.Context, handle func(*event.Event)) error
	Lost() map[string]uint64
	Close() error
}

// table completes events and knows the node's containers; see enrich.Table.
type table interface {
	Apply(e *event.Event)
	Container(id string) (event.Container, bool)
	Counts() map[string]uint64
}

// output takes alerts without ever waiting and brings them somewhere while it runs.
type output interface {
	Put(a *alert.Alert) error
	Run(ctx context.Context) error
	Lost() map[string]uint64
}

// Agent is one node's agent.
type Agent struct {
	opt     Options
	source  source
	outbox  *publish.Outbox
	bus     *bus.Conn
	contain *contain.Handler
	// channels are the outputs that Falco has too.
	channels  []*publish.Channel
	web       *health.Server
	ruleFiles ruleFiles
	reloads   reloads
	drops     dropWatch
	started   time.Time
	// running is set while events are read.
	running atomic.Bool
	// background runs beside the pipeline until the end, for instance the pods' informer.
	background []func(context.Context)
	// awaitPods waits until the node's pods have names; nil without a cluster.
	awaitPods func(context.Context) bool

	pipeline

	closing  sync.Once
	closeErr error
}

// New loads the rules, attaches to the kernel, reads the process table and
// connects to the bus. After an error nothing is left behind; where the kernel
// cannot be watched it is a *capture.Unavailable. After success call Run, or Close.
func New(opt Options) (*Agent, error) {
	if err := opt.setDefaults(); err != nil {
		return nil, err
	}
	if err := opt.check(); err != nil {
		return nil, err
	}
	a := &Agent{opt: opt}
	a.log, a.self = opt.Log.With("component", "agent"), int32(os.Getpid())
	if err := a.open(); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

// Run works until ctx ends, or a recording does, and leaves nothing behind. The
// alerts of the last events still go out: the pipeline ends first, then the
// outputs drain, and the connection goes last. It may be called once.
func (a *Agent) Run(ctx context.Context) error {
	outputs, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var g errgroup.Group
	for _, o := range a.outputs {
		g.Go(func() error { return o.Run(outputs) })
	}
	for _, run := range a.background {
		g.Go(func() error { run(outputs); return nil })
	}
	if a.bus != nil {
		g.Go(func() error { return a.bus.Heartbeat(outputs, heartbeatEvery, a.heartbeat) })
	}
	if a.web != nil {
		g.Go(func() error { return a.web.Run(outputs) })
	}
	g.Go(func() error { a.watchFiles(outputs); return nil })
	reading, end := context.WithCancelCause(ctx)
	defer end(nil)
	if a.opt.Drops != nil {
		g.Go(func() error { a.watchDrops(outputs, end); return nil })
	}
	a.nameFirst(ctx)
	a.running.Store(true)
	err := a.source.Run(reading, a.handle)
	if err == nil && ctx.Err() == nil && reading.Err() != nil {
		err = context.Cause(reading)
	}
	if err == nil && a.opt.Linger {
		<-ctx.Done()
	}
	a.events.Store(a.seen)
	a.running.Store(false)
	stop()
	return errors.Join(err, g.Wait(), a.Close())
}

// nameFirst gives the pods' names a moment to arrive before the first event is
// looked at: the events wait in the ring buffer. Without the API server the
// agent works all the same, with UIDs alone.
func (a *Agent) nameFirst(ctx context.Context) {
	if a.awaitPods == nil {
		return
	}
	short, cancel := context.WithTimeout(ctx, podsTime)
	defer cancel()
	if !a.awaitPods(short) && ctx.Err() == nil {
		a.log.Warn("the API server has not named this node's pods yet: alerts carry their UIDs alone", "waited", podsTime)
	}
}

// Close gives back what New took. Run calls it; it may be called again.
func (a *Agent) Close() error {
	a.closing.Do(func() {
		if a.web != nil {
			a.closeErr = a.web.Close()
		}
		for _, c := range a.channels {
			a.closeErr = errors.Join(a.closeErr, c.Close())
		}
		// The bus before the ledger: no order may come while the ledger closes.
		if a.bus != nil {
			a.closeErr = errors.Join(a.closeErr, a.bus.Close())
		}
		if a.contain != nil {
			a.closeErr = errors.Join(a.closeErr, a.contain.Close())
		}
		if a.outbox != nil {
			a.closeErr = errors.Join(a.closeErr, a.outbox.Close())
		}
		if a.source != nil {
			a.closeErr = errors.Join(a.closeErr, a.source.Close())
		}
	})
	return a.closeErr
}

func (a *Agent) heartbeat() alert.Heartbeat {
	set := a.rules.Load()
	var waiting uint64
	if a.outbox != nil {
		waiting = a.outbox.Waiting()
	}
	return alert.Heartbeat{
		Cluster: a.opt.Cluster, Node: a.opt.Node, BootID: a.stamp.boot, Version: a.opt.Version, Source: a.source.Name(),
		Rules: set.Len(), Ruleset: set.Hash(), Seq: a.seq.Load(), Lost: a.Lost(), Waiting: waiting, TimeNS: time.Now().UnixNano(),
	}
}

// Lost counts what this agent lost since its start, by the place that lost it.
func (a *Agent) Lost() map[string]uint64 {
	all := map[string]uint64{}
	maps.Copy(all, a.source.Lost())
	maps.Copy(all, a.table.Counts())
	for _, o := range a.outputs {
		maps.Copy(all, o.Lost())
	}
	if n := a.unmade.Load(); n > 0 {
		all["alert_unmade"] = n
	}
	if n := a.drops.silent.Load(); n > 0 {
		all["drop_alert_held_back"] = n
	}
	return all
}
