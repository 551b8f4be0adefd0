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
	"riposte/agent/enrich/host"
	"riposte/agent/enrich/runtime"
	"riposte/agent/enrich/user"
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

// selective is a source that can leave out types of events; see capture.Live.
type selective interface {
	SetTypes(types []event.Type) error
}

// table completes events and knows the node's containers; see enrich.Table.
type table interface {
	Apply(e *event.Event)
	GiveUp(c *event.Container)
	Container(id string) (event.Container, bool)
	ContainerAt(cgroup string) (event.Container, bool)
	Counts() map[string]uint64
}

// facts takes what was found out about containers and users; see enrich.Table.
type facts interface {
	Learn(id string, metadata *event.Container, failed bool)
	UsersChanged(container string)
	Sizes() map[string]int
}

// output takes alerts without ever waiting.
type output interface {
	Put(a *alert.Alert) error
}

// Agent is one node's agent.
type Agent struct {
	opt     Options
	source  source
	outbox  *publish.Outbox
	bus     *bus.Conn
	contain *contain.Handler
	tally   tally
	web     *health.Server
	// live are the options that hold by now; ruleFiles and filesSeen belong to them. All
	// three are of the goroutine that watches files.
	live      Options
	ruleFiles ruleFiles
	filesSeen marks
	reloads   reloads
	drops     dropWatch
	snapshots snapshotState
	started   time.Time
	// running is set while events are read.
	running atomic.Bool
	// background runs beside the pipeline until the end, for instance the pods' informer.
	background []func(context.Context)
	// await waits at the start for what the first events should have: the names of the
	// node's pods, the metadata of its containers.
	await []awaited

	// runtimes, users and hosts are nil for a recording.
	runtimes *runtime.Lookup
	users    *user.Lookup
	hosts    *host.Lookup
	// facts is the table, for those who tell it something.
	facts facts

	pipeline

	closing  sync.Once
	closeErr error
}

// New loads the rules, attaches to the kernel, reads the process table and
// connects to the bus. After an error nothing is left behind; where the kernel
// cannot be watched it is a *capture.Unavailable. After success call Run, or Close.
func New(opt Options) (*Agent, error) {
	if err := opt.Complete(); err != nil {
		return nil, err
	}
	if err := opt.Check(); err != nil {
		return nil, err
	}
	a := &Agent{opt: opt, live: opt}
	a.reloads.ask, a.snapshots.changed = make(chan struct{}, 1), make(chan struct{}, 1)
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
	if a.outbox != nil {
		g.Go(func() error { return a.outbox.Run(outputs) })
	}
	start := func(c channel) { g.Go(func() error { return a.runChannel(outputs, c) }) }
	for _, c := range a.current.Load().channels {
		start(c)
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
	g.Go(func() error { a.watchFiles(outputs, start); return nil })
	g.Go(func() error { a.watchSnapshots(outputs); return nil })
	reading, end := context.WithCancelCause(ctx)
	defer end(nil)
	g.Go(func() error { a.watchDrops(outputs, end); return nil })
	a.knowFirst(ctx)
	a.running.Store(true)
	err := a.source.Run(reading, a.handle)
	if err == nil && ctx.Err() == nil && reading.Err() != nil {
		err = context.Cause(reading)
	}
	if err == nil && a.opt.Linger {
		<-ctx.Done()
	}
	a.releaseAll()
	a.events.Store(a.seen)
	a.running.Store(false)
	stop()
	return errors.Join(err, g.Wait(), a.Close())
}

// runChannel delivers what a channel gets until ctx ends or it is retired.
func (a *Agent) runChannel(ctx context.Context, c channel) error {
	err := c.Run(ctx)
	if ctx.Err() == nil {
		// It was retired. What its sink says at the end is no reason to end the agent.
		a.tally.end(c.Channel)
		if err != nil {
			a.log.Warn("an output that is no longer wanted did not close", "error", err)
		}
		return nil
	}
	return err
}

// awaited is something that is waited for at the start.
type awaited struct {
	ready func(context.Context) bool
	// without says what alerts lack if it does not come in time.
	without string
}

// knowFirst gives the pods' names and the containers' metadata a moment to arrive
// before the first event is looked at: the events wait in the ring buffer. Without the
// API server and the runtimes the agent works all the same, with ids alone.
func (a *Agent) knowFirst(ctx context.Context) {
	short, cancel := context.WithTimeout(ctx, awaitTime)
	defer cancel()
	for _, w := range a.await {
		if !w.ready(short) && ctx.Err() == nil {
			a.log.Warn(w.without, "waited", awaitTime)
		}
	}
}

// Close gives back what New took. Run calls it; it may be called again.
func (a *Agent) Close() error {
	a.closing.Do(func() {
		if a.web != nil {
			a.closeErr = a.web.Close()
		}
		if s := a.current.Load(); s != nil {
			for _, c := range s.channels {
				a.closeErr = errors.Join(a.closeErr, c.Close())
			}
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
		if a.users != nil {
			// A reader may hang in a container's file system; it is left behind.
			short, cancel := context.WithTimeout(context.Background(), time.Second)
			a.users.Close(short)
			cancel()
		}
	})
	return a.closeErr
}

func (a *Agent) heartbeat() alert.Heartbeat {
	set := a.current.Load().rules
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
	if a.outbox != nil {
		maps.Copy(all, a.outbox.Lost())
	}
	if a.contain != nil {
		maps.Copy(all, a.contain.Counts())
	}
	if a.parked != nil {
		all["metadata_late"], all["metadata_wait_full"] = a.parked.late.Load(), a.parked.full.Load()
	}
	if a.users != nil {
		maps.Copy(all, a.users.Counts())
		maps.Copy(all, a.hosts.Counts())
		maps.Copy(all, a.runtimes.Counts())
	}
	lost, _, _ := a.tally.counts()
	maps.Copy(all, lost)
	if n := a.own.heldBack.Load(); n > 0 {
		all["own_alert_held_back"] = n
	}
	if n := a.unmade.Load(); n > 0 {
		all["alert_unmade"] = n
	}
	if n := a.drops.silent.Load(); n > 0 {
		all["drop_alert_held_back"] = n
	}
	return all
}
