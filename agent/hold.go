package agent

import (
	"context"
	"slices"
	"sync/atomic"
	"time"
	"unsafe"

	"riposte/agent/event"
)

// Bounds of what waits: events and bytes of one container, and bytes of all. A
// container over them waits no longer.
const (
	maxHeldEvents   = 1024
	maxHeldBytes    = 4 << 20
	maxHeldAllBytes = 32 << 20
)

// hold keeps back the events of containers whose metadata a runtime was asked for, so
// that a rule about the image of a container is not fooled by its first moments. The
// process table has seen the events; only the rules wait, for each container by
// itself, in order, and at most for the same time. An event is kept with its process
// and ancestors as they were.
//
// The pipeline's turn guards it.
type hold struct {
	wait time.Duration
	// queues are in the order of their deadlines.
	queues []*waiting
	bytes  int
	// wake tells run of a first queue.
	wake chan struct{}

	// late counts events that went on without metadata, full those of containers that
	// went over a bound.
	late, full atomic.Uint64
}

// waiting are one container's events.
type waiting struct {
	container *event.Container
	until     time.Time
	events    []*event.Event
	bytes     int
}

func newHold(wait time.Duration) *hold {
	return &hold{wait: wait, wake: make(chan struct{}, 1)}
}

// take keeps an event back if its container's metadata is awaited, and says whether it
// did. A container that is over a bound waits no longer: its queue comes back.
func (h *hold) take(e *event.Event) (taken bool, over *waiting) {
	if e.Proc == nil || e.Proc.Container == nil || e.Proc.Container.Metadata != event.MetadataAwaited {
		return false, nil
	}
	q := h.queue(e.Proc.Container)
	kept, size := keep(e)
	q.events = append(q.events, kept)
	q.bytes += size
	h.bytes += size
	if len(q.events) >= maxHeldEvents || q.bytes >= maxHeldBytes || h.bytes >= maxHeldAllBytes {
		h.full.Add(uint64(len(q.events)))
		h.remove(q)
		return true, q
	}
	return true, nil
}

func (h *hold) queue(c *event.Container) *waiting {
	for _, q := range h.queues {
		if q.container == c {
			return q
		}
	}
	q := &waiting{container: c, until: time.Now().Add(h.wait)}
	h.queues = append(h.queues, q)
	if len(h.queues) == 1 {
		select {
		case h.wake <- struct{}{}:
		default:
		}
	}
	return q
}

func (h *hold) remove(q *waiting) {
	h.queues = slices.DeleteFunc(h.queues, func(other *waiting) bool { return other == q })
	h.bytes -= q.bytes
}

// settled takes out the queues that no longer wait: the metadata is there or will not
// come, or it is past their time.
func (h *hold) settled(now time.Time) (ready []*waiting) {
	for _, q := range slices.Clone(h.queues) {
		overdue := !now.Before(q.until)
		if q.container.Metadata == event.MetadataAwaited && !overdue {
			continue
		}
		if q.container.Metadata == event.MetadataAwaited || q.container.Metadata == event.MetadataLate {
			h.late.Add(uint64(len(q.events)))
		}
		h.remove(q)
		ready = append(ready, q)
	}
	return ready
}

// maxKept bounds how many ancestors are kept with an event; fields look no further.
const maxKept = 128

// keep copies an event, its process and its ancestors, and says about how many bytes
// that takes.
func keep(e *event.Event) (*event.Event, int) {
	e.Params() // what a source makes only now
	c := *e
	c.Args = slices.Clone(e.Args)
	c.Data = slices.Clone(e.Data)
	size := int(unsafe.Sizeof(c)) + len(c.Data) + len(e.File.Name) + len(e.File.NameRaw) + len(e.File.RealPath)
	for _, a := range c.Args {
		size += int(unsafe.Sizeof(a)) + len(a.Text) + len(a.Raw)
	}
	to := &c.Proc
	for n := 0; *to != nil && n < maxKept; n++ {
		p := **to
		*to = &p
		to = &p.Parent
		size += int(unsafe.Sizeof(p))
		if n == 0 { // an exec's own texts; those of ancestors live anyhow
			for _, list := range [][]string{p.Args, p.Env} {
				for _, s := range list {
					size += len(s)
				}
			}
		}
	}
	*to = nil
	return &c, size
}

// release lets the rules look at what no longer waits. The turn is held.
func (p *pipeline) release(ready []*waiting) {
	for _, q := range ready {
		p.table.GiveUp(q.container)
		for _, e := range q.events {
			p.evaluate(e)
		}
	}
}

// releaseInTime lets go of each container's events when their time is over, until ctx
// ends.
func (p *pipeline) releaseInTime(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.parked.wake:
		case <-timer.C:
		}
		p.turn.Lock()
		p.release(p.parked.settled(time.Now()))
		if len(p.parked.queues) > 0 {
			timer.Reset(time.Until(p.parked.queues[0].until))
		}
		p.turn.Unlock()
	}
}

// releaseAll lets go of everything: no more events come.
func (p *pipeline) releaseAll() {
	if p.parked == nil {
		return
	}
	p.turn.Lock()
	defer p.turn.Unlock()
	p.release(p.parked.settled(time.Now().Add(p.parked.wait)))
}
