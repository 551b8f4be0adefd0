package publish

import (
	"container/heap"
	"encoding/json"
	"errors"

	"riposte/agent/alert"
)

func (o *Outbox) ready() bool { return !o.hold && o.inflight < o.opt.Window }

// send publishes what waits, as far as the window goes.
func (o *Outbox) send() {
	for o.ready() && o.announcing {
		o.sendLoss()
	}
	for o.ready() && len(o.pending) > 0 {
		if len(o.pending) >= minBatch && o.opt.Bus.Batches() && !o.pending[0].single {
			o.sendBatch()
			continue
		}
		e, m := o.next()
		if e == nil {
			continue
		}
		if o.publish(e, m); !e.sent {
			heap.Push(&o.pending, e)
		}
	}
}

// next takes the next entry with its message; nil for one that cannot be read.
func (o *Outbox) next() (*entry, message) {
	e := heap.Pop(&o.pending).(*entry)
	m, err := e.segment.read(e)
	if err != nil {
		o.opt.Log.Error("an alert of the spool is lost", "error", err)
		o.lose(e, &o.lost.unreadable, "spool_unreadable")
		o.spool.done(e)
		return nil, m
	}
	return e, m
}

// sendBatch publishes the next entries as one batch.
func (o *Outbox) sendBatch() {
	var entries []*entry
	var batch []Packet
	for size := 0; len(o.pending) > 0 && len(batch) < min(maxBatch, o.opt.Window-o.inflight) && size < batchBytes && !o.pending[0].single; {
		if e, m := o.next(); e != nil {
			entries, batch = append(entries, e), append(batch, Packet{m.subject, m.id, m.body})
			size += len(m.body)
		}
	}
	if len(batch) == 0 {
		return
	}
	if err := o.opt.Bus.PublishBatch(batch, func(err error) { o.results <- result{entries: entries, err: err} }); err != nil {
		for _, e := range entries {
			heap.Push(&o.pending, e)
		}
		o.pause(err)
		return
	}
	for _, e := range entries {
		e.sent = true
	}
	o.inflight += len(entries)
}

// sendLoss publishes the announcement of one run's losses.
func (o *Outbox) sendLoss() {
	run, said := o.losses.take()
	if said == nil {
		o.announcing = false
		return
	}
	body, err := json.Marshal(said)
	if err == nil {
		err = o.opt.Bus.Publish(alert.LossSubject(said.Cluster, said.Node), said.MessageID(), body, func(err error) { o.results <- result{run: run, err: err} })
	}
	if err != nil {
		o.losses.settle(run, false)
		o.pause(err)
		return
	}
	o.inflight++
}

func (o *Outbox) publish(e *entry, m message) {
	err := o.opt.Bus.Publish(m.subject, m.id, m.body, func(err error) { o.results <- result{entries: []*entry{e}, err: err} })
	if err != nil {
		o.pause(err)
		return
	}
	e.sent = true
	o.inflight++
}

func (o *Outbox) pause(err error) {
	if o.hold {
		return
	}
	o.opt.Log.Debug("the bus does not take alerts, they wait in the spool", "retry_in", o.wait, "error", err)
	o.hold = true
	o.retry.Reset(o.wait)
	o.wait = min(2*o.wait, lastRetry)
}

// settle handles the answer to messages.
func (o *Outbox) settle(r result) {
	if r.run != "" {
		o.inflight--
		o.losses.settle(r.run, r.err == nil)
		if r.err != nil {
			o.announcing = true
			o.pause(r.err)
			return
		}
		o.arm() // the file is to be written, and maybe there is more
		return
	}
	o.inflight -= len(r.entries)
	if r.err == nil {
		o.wait = firstRetry
	} else if !errors.Is(r.err, ErrBatch) {
		o.pause(r.err)
	}
	lost := false
	for _, e := range r.entries {
		e.sent = false
		switch {
		case r.err == nil:
			o.spool.done(e)
		case e.dropped:
			lost = true
			o.lose(e, &o.lost.full, "spool_full")
		case e.segment == nil:
			o.lose(e, &o.lost.unsaved, "spool_unsaved")
		default:
			e.single = e.single || errors.Is(r.err, ErrBatch)
			heap.Push(&o.pending, e)
		}
	}
	if lost {
		o.saveLosses()
	}
}
