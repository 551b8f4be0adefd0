package publish

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"riposte/agent/alert"
)

// Bus takes one message and says later whether it is stored. Publish must not
// wait for the network. After a nil error it calls done exactly once, from any
// goroutine; after an error never.
type Bus interface {
	Publish(subject, id string, body []byte, done func(error)) error
	// Batches says whether PublishBatch can be used now. It stores several messages at
	// once, all or none, and is like Publish otherwise. An error that wraps ErrBatch
	// says that the bus may take the same messages one by one.
	Batches() bool
	PublishBatch(batch []Packet, done func(error)) error
	// Up has a value whenever the connection has come (back).
	Up() <-chan struct{}
}

// Packet is one message of a batch.
type Packet struct {
	Subject, ID string
	Body        []byte
}

// ErrBatch says that a bus did not take some messages as one batch.
var ErrBatch = errors.New("the bus did not take the messages as one batch")

// OutboxOptions configure an Outbox.
type OutboxOptions struct {
	Bus Bus
	// Dir is the spool's folder.
	Dir string
	// Cluster and Node are whose alerts the bus takes from here. What an earlier run
	// left under another name is given up, for it could never arrive. Empty: all is sent.
	Cluster, Node string
	// MaxBytes bounds the spool, 256 MiB if 0.
	MaxBytes int64
	// Window is how many messages may be without an acknowledgement, 256 if 0.
	Window int
	// QueueBytes bounds what waits in memory for the spool, 16 MiB if 0.
	QueueBytes int64
	// DrainTimeout bounds how long the end waits for acknowledgements, 2 s if 0.
	DrainTimeout time.Duration
	Log          *slog.Logger
}

func (o *OutboxOptions) setDefaults() {
	if o.MaxBytes == 0 {
		o.MaxBytes = 256 << 20
	}
	if o.Window == 0 {
		o.Window = 256
	}
	if o.QueueBytes == 0 {
		o.QueueBytes = 16 << 20
	}
	if o.DrainTimeout == 0 {
		o.DrainTimeout = 2 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

const (
	queueLength = 8192
	// A backlog goes in batches of so many messages and bytes.
	minBatch   = 8
	maxBatch   = 64
	batchBytes = 512 << 10
	// lossDelay gathers losses, so that neighbours are announced together.
	lossDelay = time.Second
	// Waits after a refused or unacknowledged message, unless the bus says that it is back.
	firstRetry = 250 * time.Millisecond
	lastRetry  = 10 * time.Second
)

// Outbox sends alerts to the bus, each until it is acknowledged.
//
//	Put ─→ queue ─→ publish ─→ append to the spool ─→ … ─→ acknowledged: remove
//	                   │ bus away, window full                 not acknowledged: wait, send again
//	                   └─→ append to the spool, most severe and oldest first when it can be sent
//
// One goroutine, Run, owns all state; Put only talks to it.
type Outbox struct {
	opt     OutboxOptions
	spool   *spool
	queue   chan queued
	results chan result
	closing sync.Once

	pending  pending
	inflight int
	// hold is set while the bus is not to be tried; retry ends it.
	hold  bool
	wait  time.Duration
	retry *time.Timer

	losses *losses
	// armed: announce will fire; announcing: losses are to be announced as soon as the
	// bus takes something.
	armed, announcing bool
	announce          *time.Timer

	queuedBytes atomic.Int64
	// depth counts what has left the queue and has not arrived.
	depth atomic.Int64
	// spooled is the spool's size in bytes.
	spooled atomic.Int64
	lost    struct{ queue, full, torn, foreign, large, unencodable, unreadable, unsaved atomic.Uint64 }
}

type queued struct {
	priority alert.Priority
	run      string
	seq      uint64
	message
}

// result is the answer to some entries, or to the announcement of a run's losses.
type result struct {
	entries []*entry
	run     string
	err     error
}

// OpenOutbox opens the spool and finds what an earlier process left in it. Call
// Run to start sending.
func OpenOutbox(opt OutboxOptions) (*Outbox, error) {
	opt.setDefaults()
	o := &Outbox{
		opt: opt, queue: make(chan queued, queueLength), results: make(chan result, opt.Window+maxRuns),
		wait: firstRetry, retry: time.NewTimer(time.Hour), announce: time.NewTimer(time.Hour),
	}
	o.retry.Stop()
	o.announce.Stop()
	s, left, damaged, err := openSpool(opt.Dir, opt.MaxBytes, opt.Log)
	if err != nil {
		return nil, err
	}
	o.spool = s
	if o.losses, err = openLosses(opt.Dir, opt.Cluster, opt.Node); err != nil {
		opt.Log.Warn("losses of an earlier run are not announced", "error", err)
	}
	o.pending = o.keepOwn(left)
	heap.Init(&o.pending)
	if n := len(o.pending); n > 0 {
		opt.Log.Info("alerts of an earlier run are sent again", "alerts", n)
	}
	if damaged > 0 {
		o.lost.torn.Add(1)
		opt.Log.Warn("the end of a spool file was torn and is given up", "bytes", damaged)
	}
	return o, nil
}

// keepOwn gives up the alerts of a node that has another name now.
func (o *Outbox) keepOwn(left []*entry) []*entry {
	if o.opt.Node == "" {
		return left
	}
	own := strings.TrimSuffix(alert.Subjects(o.opt.Cluster, o.opt.Node), "*")
	return slices.DeleteFunc(left, func(e *entry) bool {
		if strings.HasPrefix(e.subject, own) {
			return false
		}
		o.opt.Log.Warn("an alert of an earlier run is given up: it was made under another name", "subject", e.subject)
		o.lost.foreign.Add(1)
		o.spool.done(e)
		return true
	})
}

// Put takes one alert and never waits: when the queue is full, the alert is
// dropped and counted. It must not be called after Run has returned.
func (o *Outbox) Put(a *alert.Alert) error {
	r := a.Riposte
	body, err := a.MarshalJSON()
	if err != nil {
		o.lost.unencodable.Add(1)
		o.losses.add(r.BootID, r.Seq, "alert_unencodable")
		return fmt.Errorf("encode the alert of rule %q: %w", a.Rule, err)
	}
	if len(body) > alert.MaxBytes {
		o.lost.large.Add(1)
		o.losses.add(r.BootID, r.Seq, "alert_too_large")
		return fmt.Errorf("an alert of rule %q has %d bytes, more than the limit of %d", a.Rule, len(body), alert.MaxBytes)
	}
	m := queued{a.Priority, r.BootID, r.Seq, message{alert.Subject(r.Cluster, r.Node, a.Priority), r.MessageID(), body}}
	if o.queuedBytes.Add(int64(len(body))) <= o.opt.QueueBytes {
		select {
		case o.queue <- m:
			return nil
		default:
		}
	}
	o.queuedBytes.Add(-int64(len(body)))
	o.lost.queue.Add(1)
	o.losses.add(r.BootID, r.Seq, "publish_queue_full")
	return nil
}

// Queued counts the bytes that wait in memory, neither sent nor on disk.
func (o *Outbox) Queued() int64 { return o.queuedBytes.Load() }

// Spooled are the bytes of the spool on disk, and how many it may have.
func (o *Outbox) Spooled() (bytes, limit int64) { return o.spooled.Load(), o.opt.MaxBytes }

// Waiting counts the alerts that have not arrived and the losses not yet announced.
func (o *Outbox) Waiting() uint64 {
	return uint64(len(o.queue)) + uint64(o.depth.Load()) + uint64(o.losses.len())
}

// Lost counts the alerts that never reach the bus, by the reason why.
func (o *Outbox) Lost() map[string]uint64 {
	all := map[string]uint64{}
	for reason, n := range map[string]*atomic.Uint64{
		"publish_queue_full": &o.lost.queue, "spool_full": &o.lost.full, "spool_torn": &o.lost.torn, "spool_foreign": &o.lost.foreign,
		"alert_too_large": &o.lost.large, "alert_unencodable": &o.lost.unencodable, "spool_unreadable": &o.lost.unreadable, "spool_unsaved": &o.lost.unsaved,
	} {
		if v := n.Load(); v > 0 {
			all[reason] = v
		}
	}
	return all
}

// Run sends until ctx ends, then waits a bounded time for what is on its way and
// leaves the rest in the spool.
func (o *Outbox) Run(ctx context.Context) error {
	defer o.retry.Stop()
	defer o.announce.Stop()
	for {
		o.send()
		o.depth.Store(int64(len(o.pending) + o.inflight))
		o.spooled.Store(o.spool.size)
		select {
		case m := <-o.queue:
			o.take(m)
		case r := <-o.results:
			o.settle(r)
		case <-o.opt.Bus.Up():
			o.hold, o.wait = false, firstRetry
		case <-o.retry.C:
			o.hold = false
		case <-o.losses.changed:
			o.arm()
		case <-o.announce.C:
			o.armed, o.announcing = false, true
			o.saveLosses()
		case <-ctx.Done():
			o.drain()
			return o.Close()
		}
	}
}

// Close closes the spool of an Outbox that does not run. What is in it stays.
func (o *Outbox) Close() (err error) {
	o.closing.Do(func() {
		o.saveLosses()
		err = o.spool.close()
	})
	return err
}

// arm has losses saved and announced a little later, with those that come until then.
func (o *Outbox) arm() {
	if !o.armed && !o.announcing {
		o.armed = true
		o.announce.Reset(lossDelay)
	}
}

func (o *Outbox) saveLosses() {
	if err := o.losses.save(); err != nil {
		o.opt.Log.Warn("what was lost is known to this process alone", "error", err)
	}
}

// take handles a new alert. If nothing waits it goes out at once, and to the
// disk behind that: a stalled disk must not hold up the answer to an attack.
func (o *Outbox) take(m queued) {
	defer o.queuedBytes.Add(-int64(len(m.body)))
	e := &entry{priority: m.priority, num: o.spool.number(), run: m.run, seq: m.seq}
	if len(o.pending) == 0 && o.ready() {
		o.publish(e, m.message)
	}
	if given := o.spool.put(e, m.message); len(given) > 0 {
		o.giveUp(given)
	}
	switch {
	case e.sent, e.dropped:
	case e.segment == nil: // neither sent nor written: the disk is broken
		o.lose(e, &o.lost.unsaved, "spool_unsaved")
	default:
		heap.Push(&o.pending, e)
	}
}

// lose counts an alert that will never arrive, and notes its number.
func (o *Outbox) lose(e *entry, counter *atomic.Uint64, reason string) {
	counter.Add(1)
	o.losses.add(e.run, e.seq, reason)
}

// giveUp counts what the spool dropped for space. What is on its way at this
// moment is counted when it turns out not to have arrived. The numbers are on disk
// before anything else happens: this process may be killed before it announces them.
func (o *Outbox) giveUp(given []*entry) {
	defer o.saveLosses()
	for _, e := range given {
		if !e.sent {
			o.lose(e, &o.lost.full, "spool_full")
		}
	}
	o.pending = slices.DeleteFunc(o.pending, func(e *entry) bool { return e.dropped })
	heap.Init(&o.pending)
}

// drain takes what is queued and waits for what is on its way.
func (o *Outbox) drain() {
	deadline := time.NewTimer(o.opt.DrainTimeout)
	defer deadline.Stop()
	for len(o.queue) > 0 {
		o.take(<-o.queue)
	}
	o.announcing = true
	for o.send(); o.inflight > 0; o.send() {
		select {
		case r := <-o.results:
			o.settle(r)
		case <-deadline.C:
			o.opt.Log.Warn("the bus has not acknowledged all alerts, they stay in the spool", "alerts", o.inflight+len(o.pending))
			return
		}
	}
}

// pending is a heap: the most severe first, the oldest of these first.
type pending []*entry

func (p pending) Len() int { return len(p) }
func (p pending) Less(i, j int) bool {
	if p[i].priority != p[j].priority {
		return p[i].priority < p[j].priority
	}
	return p[i].num < p[j].num
}
func (p pending) Swap(i, j int) { p[i], p[j] = p[j], p[i] }

// Push implements heap.Interface.
func (p *pending) Push(x any) { *p = append(*p, x.(*entry)) }

// Pop implements heap.Interface.
func (p *pending) Pop() any {
	last := len(*p) - 1
	e := (*p)[last]
	(*p)[last] = nil
	*p = (*p)[:last]
	return e
}
