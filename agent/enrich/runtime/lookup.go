package runtime

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"riposte/agent/event"
)

// Sockets where runtimes usually listen. A pattern's matches are looked for once, at
// the start; the others may appear at any time.
var (
	DefaultCRI    = []string{"/run/containerd/containerd.sock", "/run/k3s/containerd/containerd.sock", "/run/crio/crio.sock", "/run/host-containerd/containerd.sock"}
	DefaultDocker = []string{"/run/docker.sock", "/run/podman/podman.sock", "/run/user/*/podman/podman.sock"}
)

// Options of New.
type Options struct {
	// CRI and Docker are the sockets' paths, or patterns of them, by the API that they
	// speak; where containerd listens at one of CRI it is asked by its own API too. Nil: DefaultCRI and DefaultDocker; empty: none.
	CRI, Docker []string
	// Tell takes every answer, from several goroutines. It must not call Ask.
	Tell func(Answer)
	// Log is for what runtimes come and go. Default: nothing is logged.
	Log *slog.Logger
}

// Answer is what the runtimes say about one container.
type Answer struct {
	// ID is the runtime's full id.
	ID string
	// Facts are the container's metadata, with its pod if it has one; nil if no runtime
	// that answered knows it. What belongs to the kernel (ids of cgroups, StartNS) is empty;
	// Cgroup is where the runtime was asked to put the container, if it says so.
	Facts *event.Container
	// Failed says that a runtime could not answer, so that it may know it all the same.
	Failed bool
}

// Lookup asks all runtimes of this host.
type Lookup struct {
	seats []*seat
	tell  func(Answer)
	log   *slog.Logger

	mu      sync.Mutex
	pending map[string]*question // asked, not answered by all

	failed, refused atomic.Uint64
}

// question is an id that some seats have not answered yet.
type question struct {
	left   int
	failed bool
}

// maxPending bounds the questions that wait for their answers.
const maxPending = 4096

// New finds the sockets; it connects to none.
func New(o Options) *Lookup {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.CRI == nil {
		o.CRI = DefaultCRI
	}
	if o.Docker == nil {
		o.Docker = DefaultDocker
	}
	l := &Lookup{tell: o.Tell, log: o.Log, pending: map[string]*question{}}
	for _, path := range sockets(o.CRI) {
		l.seats = append(l.seats, newSeat(l, path, newCRI(path)), newSeat(l, path, newContainerd(path)))
	}
	for _, path := range sockets(o.Docker) {
		l.seats = append(l.seats, newSeat(l, path, newDocker(path)))
	}
	return l
}

// sockets expands patterns. Two names of one place, such as /run and /var/run, are
// one socket.
func sockets(patterns []string) []string {
	var all []string
	seen := map[string]bool{}
	for _, pattern := range patterns {
		paths := []string{pattern}
		if found, err := filepath.Glob(pattern); err == nil && len(found) > 0 {
			paths = found
		}
		for _, path := range paths {
			if strings.ContainsAny(path, "*?[") {
				continue // a pattern that matched nothing
			}
			place := path
			if dir, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
				place = filepath.Join(dir, filepath.Base(path))
			}
			if !seen[place] {
				seen[place] = true
				all = append(all, path)
			}
		}
	}
	return all
}

// Run keeps connections to the runtimes until ctx ends. It outlives their failures.
func (l *Lookup) Run(ctx context.Context) {
	there := 0
	for _, s := range l.seats {
		if _, err := os.Stat(s.path); err == nil {
			there++
		}
	}
	if there == 0 {
		l.log.Info("no container runtime's socket is there: containers are known by their ids alone until one appears")
	}
	var g errgroup.Group
	for _, s := range l.seats {
		g.Go(func() error { s.run(ctx); return nil })
	}
	_ = g.Wait()
}

// WaitListed waits while Run runs until every runtime whose socket is there has been
// asked for all its containers, and says whether that is so; ctx bounds the wait.
func (l *Lookup) WaitListed(ctx context.Context) bool {
	for _, s := range l.seats {
		if _, err := os.Stat(s.path); err != nil {
			continue
		}
		select {
		case <-s.listed:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// Ask asks every runtime that is connected for a container, and says whether an
// answer will come through Tell. patient is for a container that may be younger than
// its runtime's own record of it: one that is not found is asked for again for a
// moment. Ask never blocks, and asking again before the answer costs nothing.
func (l *Lookup) Ask(id string, patient bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pending[id] != nil {
		return true
	}
	if len(l.pending) >= maxPending {
		l.refused.Add(1)
		return false
	}
	q := &question{}
	for _, s := range l.seats {
		if !s.up {
			continue
		}
		select {
		case s.asks <- ask{id: id, patient: patient}:
			q.left++
		default:
			l.refused.Add(1)
			q.failed = true
		}
	}
	if q.left == 0 {
		return false
	}
	l.pending[id] = q
	return true
}

// answer is one seat's word on an id that was asked for.
func (l *Lookup) answer(id string, facts *event.Container, err error) {
	l.mu.Lock()
	q := l.pending[id]
	if q == nil {
		l.mu.Unlock()
		return // another seat knew it
	}
	q.left--
	q.failed = q.failed || err != nil && !errors.Is(err, errNotFound)
	if facts == nil && q.left > 0 {
		l.mu.Unlock()
		return
	}
	delete(l.pending, id)
	l.mu.Unlock()
	if facts == nil && q.failed {
		l.failed.Add(1)
	}
	l.tell(Answer{ID: id, Facts: facts, Failed: q.failed && facts == nil})
}

// Counts are the questions that a runtime could not answer, and those that were not
// asked because too many waited, by name. Any goroutine may call it.
func (l *Lookup) Counts() map[string]uint64 {
	return map[string]uint64{"metadata_failed": l.failed.Load(), "metadata_refused": l.refused.Load()}
}
