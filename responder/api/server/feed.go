package server

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"riposte/responder/api"
	"riposte/responder/store"
)

// Bounds of the feed.
const (
	maxSubscribers = 64
	// maxQueued is how many messages a subscriber may be behind before it is sent away.
	maxQueued = 1024
	// lookEvery is how often the feed looks for changes while somebody reads it, and the
	// most that an event is late for it.
	lookEvery = 100 * time.Millisecond
	// maxRetry is the longest wait between looks while the database does not answer.
	maxRetry = 5 * time.Second
)

// message is one event as it goes over the wire, encoded once for all.
type message struct {
	name string
	// id is a snapshot that is safe to resume from once this message has been read.
	id   store.Snapshot
	data []byte
}

// feed tells subscribers what is committed, by this replica or another: what its last
// snapshot did not see. It looks again and again while there is a subscriber, because
// notifications of the database would make all that write wait for each other.
//
// Within one round every message but the last carries the snapshot before it, so
// that a reader which leaves in between gets the whole round again.
type feed struct {
	changes changes
	log     *slog.Logger
	// wake says that the first subscriber came.
	wake    chan struct{}
	dropped atomic.Uint64
	refused atomic.Uint64
	// ended is done once close was called: it cuts short whoever holds the lock.
	ended context.Context
	end   context.CancelFunc

	// mu is held during a look too: a subscriber is there for all of a round or none.
	mu     sync.Mutex
	groups map[string]*group
	count  int
}

// group is the subscribers of one scope. Each scope is a look of its own, so that
// what somebody may see is decided in the query alone.
type group struct {
	in   store.Scope
	seen store.Snapshot
	subs map[*subscriber]bool
}

// changes is where the feed looks.
type changes interface {
	Changes(ctx context.Context, in store.Scope, since store.Snapshot) (store.Changes, error)
	Snapshot(ctx context.Context) (store.Snapshot, error)
}

// subscriber is one open stream. Its channel is closed when it was too slow or
// the feed ends.
type subscriber struct {
	messages chan message
	key      string
}

func newFeed(c changes, log *slog.Logger) *feed {
	ended, end := context.WithCancel(context.Background())
	return &feed{changes: c, log: log, wake: make(chan struct{}, 1), ended: ended, end: end, groups: map[string]*group{}}
}

// run looks and tells until the feed is closed. Without subscribers it sleeps.
func (f *feed) run() {
	wait := lookEvery
	for {
		found, err := f.round()
		var again <-chan time.Time
		switch {
		case err != nil:
			wait = min(2*wait, maxRetry)
			f.log.Warn("the event stream is late: changes cannot be read", "error", err, "retry_in", wait)
			again = time.After(wait)
		case found:
			wait = lookEvery
			again = time.After(wait)
		}
		select {
		case <-f.ended.Done():
			return
		case <-f.wake:
		case <-again:
		}
	}
}

// round tells all subscribers what is new, and says whether there are any. The first one
// of a scope that comes starts from a new snapshot.
func (f *feed) round() (subscribed bool, err error) {
	ctx, cancel := context.WithTimeout(f.ended, queryTimeout)
	defer cancel()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, g := range f.groups {
		if err := f.tell(ctx, g); err != nil {
			if f.ended.Err() != nil {
				err = nil
			}
			return true, err
		}
	}
	return f.count > 0, nil
}

// tell must be called with the lock held.
func (f *feed) tell(ctx context.Context, g *group) error {
	c, err := f.changes.Changes(ctx, g.in, g.seen)
	if err != nil {
		return err
	}
	told := messages(c, g.seen)
	g.seen = c.Snapshot
	for _, m := range told {
		for sub := range g.subs {
			select {
			case sub.messages <- m:
			default:
				f.dropped.Add(1)
				f.drop(sub)
			}
		}
	}
	return nil
}

// messages encodes what came after a snapshot: causes before their effects.
func messages(c store.Changes, since store.Snapshot) []message {
	if c.Incomplete {
		return []message{{api.EventReset, c.Snapshot, []byte("{}")}}
	}
	var all []message
	add := func(name string, resource any) {
		if data, err := encode(resource); err == nil { // it cannot be otherwise, see rawJSON
			all = append(all, message{name, since, data[:len(data)-1]})
		}
	}
	for _, a := range c.Alerts {
		add(api.EventAlert, alertResource(a))
	}
	for _, a := range c.Actions {
		add(api.EventAction, actionResource(a))
	}
	for _, a := range c.Audit {
		add(api.EventAudit, auditResource(a))
	}
	if len(all) > 0 {
		all[len(all)-1].id = c.Snapshot
	}
	return all
}

// subscribe adds a stream of what is within a scope and returns the messages to begin
// with. It begins now, or with what was committed after a snapshot, if one is given.
func (f *feed) subscribe(ctx context.Context, in store.Scope, after store.Snapshot) (*subscriber, []message, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(f.ended, cancel)()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended.Err() != nil {
		return nil, nil, problemf("stopping", "the responder is stopping")
	}
	if f.count >= maxSubscribers {
		f.refused.Add(1)
		p := problemf("too_many_subscribers", "%d event streams are open, which is the limit", maxSubscribers)
		p.retry = 30
		return nil, nil, p
	}
	key := fmt.Sprintf("%q", in)
	g := f.groups[key]
	if g == nil {
		now, err := f.changes.Snapshot(ctx)
		if err != nil {
			return nil, nil, err
		}
		g = &group{in: in, seen: now, subs: map[*subscriber]bool{}}
	}
	begin := []message{{api.EventReady, g.seen, []byte("{}")}}
	if after != "" {
		c, err := f.changes.Changes(ctx, in, after)
		if err != nil {
			return nil, nil, err
		}
		// What the next round tells may be in here too: twice does no harm.
		begin = append([]message{{api.EventReady, after, []byte("{}")}}, messages(c, after)...)
	}
	sub := &subscriber{make(chan message, maxQueued), key}
	f.groups[key] = g
	g.subs[sub] = true
	if f.count++; f.count == 1 {
		select {
		case f.wake <- struct{}{}:
		default:
		}
	}
	return sub, begin, nil
}

func (f *feed) unsubscribe(sub *subscriber) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.drop(sub)
}

// drop must be called with the lock held.
func (f *feed) drop(sub *subscriber) {
	g := f.groups[sub.key]
	if g == nil || !g.subs[sub] {
		return
	}
	delete(g.subs, sub)
	close(sub.messages)
	f.count--
	if len(g.subs) == 0 {
		delete(f.groups, sub.key)
	}
}

// close ends all streams and takes no new ones.
func (f *feed) close() {
	f.end()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, g := range f.groups {
		for sub := range g.subs {
			f.drop(sub)
		}
	}
}

func (f *feed) status() api.EventsStatus {
	f.mu.Lock()
	defer f.mu.Unlock()
	return api.EventsStatus{Subscribers: f.count, Dropped: f.dropped.Load(), Refused: f.refused.Load()}
}
