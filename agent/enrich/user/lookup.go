package user

import (
	"context"
	"sync"
	"time"

	"riposte/agent/event"
)

// Names are what the lists say about one process; what they do not say is empty.
type Names struct {
	User, Home, Shell, LoginUser, Group string
}

const (
	// patience is how long Names waits for a list that was never read: reading one
	// takes half a millisecond, unless its file system hangs.
	patience = 10 * time.Millisecond
	// A list is looked at again after freshFor, and when an id is not in it after missFor.
	freshFor = 5 * time.Second
	missFor  = time.Second
	// readers bounds how many lists are read at once, and so how many threads a hanging
	// file system can hold.
	readers = 16
	// maxLists bounds the containers whose lists are kept.
	maxLists = 1024
)

// Options of New.
type Options struct {
	// Proc is where proc is mounted. Default "/proc".
	Proc string
	// Changed is told from another goroutine that a container's lists came or changed
	// after Names had answered without them; "" is the host. May be nil.
	Changed func(container string)
}

// Lookup keeps the lists of all containers. Names and Counts may be called by any
// goroutine.
type Lookup struct {
	o     Options
	now   func() time.Time
	slots chan struct{} // one taken by each reader
	// tellers tell of changes. They hold no slot: who is told may have no time yet.
	tellers sync.WaitGroup

	mu    sync.Mutex
	lists map[string]*lists
	// hanging counts readers that took longer than patience.
	hanging int
	closed  bool
	counts  struct{ late, refused, unreadable uint64 }
}

// lists are those of one container. The Lookup's lock guards them.
type lists struct {
	content
	loaded  bool // read once, or found not to be there
	reading bool
	// late: somebody had to go on without what is being read; hangs: it is counted in
	// hanging.
	late, hangs   bool
	checked, used time.Time
}

// New makes an empty Lookup.
func New(o Options) *Lookup {
	if o.Proc == "" {
		o.Proc = "/proc"
	}
	return &Lookup{o: o, now: time.Now, slots: make(chan struct{}, readers), lists: map[string]*lists{}}
}

// Close ends reading and waits for the readers, and until all is told, as long as ctx
// runs: one that hangs in a file system is left behind.
func (l *Lookup) Close(ctx context.Context) {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	// As soon as all slots are ours nobody reads.
	for range readers {
		select {
		case l.slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
	}
	told := make(chan struct{})
	go func() { l.tellers.Wait(); close(told) }()
	select {
	case <-told:
	case <-ctx.Done():
	}
}

// Names are those of a process in a container, by the lists that the process itself
// sees. It waits at most for patience, and not at all while another list hangs.
func (l *Lookup) Names(container string, p *event.Process) Names {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.find(container)
	n, complete := s.names(p)
	age := s.used.Sub(s.checked)
	if s.loaded && (age < missFor || complete && age < freshFor) {
		return n
	}
	done := l.start(s, container, p)
	if done != nil && l.hanging == 0 && (!s.loaded || !complete) {
		l.mu.Unlock()
		inTime := soon(done)
		l.mu.Lock()
		if !inTime && s.reading && !s.hangs {
			s.hangs = true
			l.hanging++
			l.counts.late++
		}
	}
	s.late = s.late || s.reading
	n, _ = s.names(p)
	return n
}

// soon waits for done as long as patience lasts.
func soon(done <-chan struct{}) bool {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}

// find has the container's lists; of too many the one that was not asked for longest
// is given up.
func (l *Lookup) find(container string) *lists {
	s := l.lists[container]
	if s == nil {
		if len(l.lists) >= maxLists {
			oldest := ""
			for name, other := range l.lists {
				if o := l.lists[oldest]; o == nil || other.used.Before(o.used) {
					oldest = name
				}
			}
			delete(l.lists, oldest)
		}
		s = &lists{}
		l.lists[container] = s
	}
	s.used = l.now()
	return s
}

// start has the lists read by another goroutine and returns what it closes at its
// end; nil if they are being read, or too much else is.
func (l *Lookup) start(s *lists, container string, p *event.Process) <-chan struct{} {
	if s.reading || l.closed {
		return nil
	}
	select {
	case l.slots <- struct{}{}:
	default:
		l.counts.refused++
		return nil
	}
	s.reading, s.checked = true, s.used
	done := make(chan struct{})
	before, pid, startNS := s.content, p.PID, p.StartNS
	go func() {
		defer func() { <-l.slots }()
		now, err := load(l.o.Proc, container, pid, startNS, before)
		l.mu.Lock()
		if changed := l.finish(s, now, err); changed && l.o.Changed != nil {
			l.tellers.Go(func() { l.o.Changed(container) })
		}
		l.mu.Unlock()
		close(done)
	}()
	return done
}

// finish takes what was read and says whether names that were given may be wrong now.
func (l *Lookup) finish(s *lists, now content, err error) bool {
	late, again := s.late, s.loaded
	s.reading, s.late = false, false
	if s.hangs {
		s.hangs = false
		l.hanging--
	}
	if err != nil { // the process has ended: the next one will do
		s.checked = time.Time{}
		l.counts.unreadable++
		return false
	}
	changed := now.passwd != s.passwd || now.group != s.group
	s.content, s.loaded = now, !now.onHost
	return changed && (late || again)
}

// Counts are what could not be read in time, by name. Any goroutine may call it.
func (l *Lookup) Counts() map[string]uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return map[string]uint64{"users_late": l.counts.late, "users_refused": l.counts.refused, "users_unreadable": l.counts.unreadable}
}
