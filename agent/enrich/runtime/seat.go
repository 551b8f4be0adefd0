package runtime

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"riposte/agent/event"
)

// engine is one runtime's API.
type engine interface {
	// open connects and says what runtime it is. It fails with errOther where a runtime
	// listens that another engine asks.
	open(ctx context.Context) (string, error)
	// list has the ids of all containers and pod sandboxes.
	list(ctx context.Context) ([]string, error)
	// inspect fails with errNotFound for an id that the runtime does not know.
	inspect(ctx context.Context, id string) (*event.Container, error)
	// follow hands over the id of each container that is created or started until ctx
	// ends or the stream fails. It calls ready when it listens, and fails with
	// errNoEvents after that where the runtime has no such stream.
	follow(ctx context.Context, ready func(), created func(id string)) error
	close()
}

// announcer is an engine that may say which containers are made although it has no
// events. It returns nil where it cannot.
type announcer interface {
	announce(ctx context.Context, created func(id string)) error
}

var (
	errNotFound = errors.New("the runtime knows no such container")
	errNoEvents = errors.New("the runtime tells no events")
	errGone     = errors.New("the runtime has gone")
	errOther    = errors.New("the runtime has another API")
)

// refusal is an error that the runtime answered with: it is about one container, and
// the connection is well.
type refusal struct{ err error }

func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

const (
	// A runtime that failed is left alone for retryAfter, then for longer, up to retryMax.
	retryAfter  = 500 * time.Millisecond
	retryMax    = 30 * time.Second
	callTimeout = 5 * time.Second
	// asksQueue and workers bound how much one runtime is asked at once.
	asksQueue = 1024
	workers   = 16
	// pollEvery is how often a runtime without events is asked for all its containers.
	pollEvery = 5 * time.Second
)

// ask is an id to inspect. told is set where nobody asked, but the runtime told; tried is
// how often a patient one was in vain.
type ask struct {
	id            string
	patient, told bool
	tried         int
}

// seat is one socket and the runtime behind it.
type seat struct {
	l      *Lookup
	path   string
	engine engine
	// asks are questions that somebody waits for, news what the runtime told; they come
	// after the questions.
	asks, news chan ask
	// up is set while the runtime answers; the Lookup's lock guards it, so that no
	// question is asked of a seat that has drained.
	up     bool
	listed chan struct{} // closed after the first list, or its failure
	once   sync.Once
	// retries are the patient asks that wait for their next try.
	retries sync.WaitGroup
}

func newSeat(l *Lookup, path string, e engine) *seat {
	return &seat{l: l, path: path, engine: e, asks: make(chan ask, asksQueue), news: make(chan ask, asksQueue), listed: make(chan struct{})}
}

func (s *seat) run(ctx context.Context) {
	wait := retryAfter
	for ctx.Err() == nil {
		if _, err := os.Stat(s.path); err != nil {
			s.listedOnce()
			pause(ctx, retryAfter)
			continue
		}
		began := time.Now()
		err := s.session(ctx)
		s.rise(false)
		s.listedOnce()
		s.retries.Wait()
		s.drain()
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, errOther) {
			pause(ctx, retryMax)
			continue
		}
		if time.Since(began) > retryMax {
			wait = retryAfter
		}
		s.l.log.Warn("a container runtime does not answer; trying again", "socket", s.path, "error", err, "after", wait)
		pause(ctx, wait)
		wait = min(2*wait, retryMax)
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

func (s *seat) rise(up bool) {
	s.l.mu.Lock()
	s.up = up
	s.l.mu.Unlock()
}

func (s *seat) listedOnce() { s.once.Do(func() { close(s.listed) }) }

// session is one connection, from opening it to its first failure.
func (s *seat) session(ctx context.Context) error {
	defer s.engine.close()
	short, cancel := context.WithTimeout(ctx, callTimeout)
	name, err := s.engine.open(short)
	cancel()
	if err != nil {
		return err
	}
	s.l.log.Info("containers are looked up", "runtime", name, "socket", s.path)
	g, ctx := errgroup.WithContext(ctx)
	for range workers {
		g.Go(func() error { return s.work(ctx) })
	}
	ready := make(chan struct{})
	g.Go(func() error { return s.follow(ctx, sync.OnceFunc(func() { close(ready) })) })
	g.Go(func() error {
		// The list comes after the stream has begun, so that no container falls between.
		select {
		case <-ready:
		case <-ctx.Done():
			return ctx.Err()
		}
		s.rise(true)
		return s.listAll(ctx)
	})
	return g.Wait()
}

// follow tells of new containers, by the runtime's events or by asking now and then.
func (s *seat) follow(ctx context.Context, ready func()) error {
	err := s.engine.follow(ctx, ready, func(id string) { s.enqueue(ctx, ask{id: id, told: true}) })
	if !errors.Is(err, errNoEvents) {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.poll(ctx) })
	if early, ok := s.engine.(announcer); ok {
		g.Go(func() error {
			// The announcement comes a moment before the runtime has its record.
			return early.announce(ctx, func(id string) { s.enqueue(ctx, ask{id: id, told: true, patient: true}) })
		})
	}
	return g.Wait()
}

// poll asks for all containers now and then.
func (s *seat) poll(ctx context.Context) error {
	known := map[string]bool{}
	for {
		pause(ctx, pollEvery)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		ids, err := s.list(ctx)
		if err != nil {
			return err
		}
		now := make(map[string]bool, len(ids))
		for _, id := range ids {
			now[id] = true
			if !known[id] {
				s.enqueue(ctx, ask{id: id, told: true})
			}
		}
		known = now
	}
}

func (s *seat) list(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return s.engine.list(ctx)
}

// listAll inspects every container that there is, here and not through the queue:
// its end means that all is known.
func (s *seat) listAll(ctx context.Context) error {
	defer s.listedOnce()
	ids, err := s.list(ctx)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := s.inspect(ctx, ask{id: id, told: true}); err != nil {
			return err
		}
	}
	return nil
}

// enqueue waits for room: the runtime's own stream can wait.
func (s *seat) enqueue(ctx context.Context, a ask) {
	select {
	case s.news <- a:
	case <-ctx.Done():
	}
}

func (s *seat) work(ctx context.Context) error {
	for {
		var a ask
		select {
		case a = <-s.asks:
		default:
			select {
			case <-ctx.Done():
				return ctx.Err()
			case a = <-s.asks:
			case a = <-s.news:
			}
		}
		if err := s.inspect(ctx, a); err != nil {
			return err
		}
	}
}

// A runtime may make its record of a pod's sandbox after it has started it, and that of a
// container after it has announced it; then the first answers are wrong. All tries
// together take somewhat over a second, which a busy node needs for a pod.
const (
	firstTry = 5 * time.Millisecond
	tries    = 8
)

// inspect asks the runtime and passes its answer on. The error is of the connection.
func (s *seat) inspect(ctx context.Context, a ask) error {
	facts, err := s.try(ctx, a.id)
	if a.patient && errors.Is(err, errNotFound) && a.tried < tries {
		s.later(ctx, a)
		return nil
	}
	if facts != nil {
		facts.ID = a.id
		bound(facts)
	}
	switch {
	case !a.told:
		s.l.answer(a.id, facts, err)
	case facts != nil:
		s.l.tell(Answer{ID: a.id, Facts: facts})
	}
	if refused := (*refusal)(nil); errors.Is(err, errNotFound) || errors.As(err, &refused) {
		return nil
	}
	return err
}

// later asks again after a while. No worker waits for that: of many pods that start
// together each has a sandbox that is asked for in vain at first, and their containers
// would stand behind them.
func (s *seat) later(ctx context.Context, a ask) {
	wait := firstTry << a.tried
	a.tried++
	s.retries.Go(func() {
		pause(ctx, wait)
		if a.told {
			s.enqueue(ctx, a)
			return
		}
		select {
		case s.asks <- a:
		case <-ctx.Done():
			s.l.answer(a.id, nil, errGone)
		}
	})
}

func (s *seat) try(ctx context.Context, id string) (*event.Container, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return s.engine.inspect(ctx, id)
}

// drain answers what was asked of a runtime that has gone.
func (s *seat) drain() {
	for {
		select {
		case a := <-s.asks:
			s.l.answer(a.id, nil, errGone)
		case <-s.news:
		default:
			return
		}
	}
}
