package sandbox

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Keeper keeps what was built from files and replaces it when they change. The new value
// is built off to the side and put in place at once; one that cannot be built is
// reported, and the last good one stays.
type Keeper[T any] struct {
	load  func() (*T, []Part, error)
	stamp func() string
	value atomic.Pointer[T]

	// mu lets only one load at a time.
	mu    sync.Mutex
	parts []Part
	loads Loads
	last  Reload
	// seen is the stamp of the files before they were loaded last: what changes during
	// the load differs from it.
	seen string
}

// Part is one of the things that a value consists of, such as a playbook.
type Part struct{ Name, Source, Revision string }

// Reload is what became of an attempt to load.
type Reload struct {
	At time.Time
	// Err is nil if the value in use is the one that the files say.
	Err error
	// Parts is how many parts are in use now.
	Parts int
	// Added, Removed and Changed are sorted by name.
	Added, Removed, Changed []Change
}

// Change is one part that a load brought, took away or replaced.
type Change struct {
	Name   string `json:"name"`
	Source string `json:"source"`
	// Revision is the new one, Was the one before; empty where there is none.
	Revision string `json:"revision,omitempty"`
	Was      string `json:"was,omitempty"`
}

// Loads sums up all attempts to load since the start.
type Loads struct {
	Good, Bad uint64
	// GoodAt is when the files were loaded last. Err is the last error, nil if there was
	// none, from ErrAt; it still stands if that is later.
	GoodAt, ErrAt time.Time
	Err           error
}

// Keep makes a Keeper and loads for the first time; an error is load's. With an error
// load may return a value all the same, if only news of a part of the files are missing:
// it then counts. stamp is another text when the files may have changed.
func Keep[T any](load func() (*T, []Part, error), stamp func() string) (*Keeper[T], error) {
	k := &Keeper[T]{load: load, stamp: stamp}
	if err := k.Reload(); err != nil {
		return nil, err
	}
	return k, nil
}

// Value is what is in use.
func (k *Keeper[T]) Value() *T { return k.value.Load() }

// Last says what became of the last attempt to load.
func (k *Keeper[T]) Last() Reload {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.last
}

// Loads sums up the attempts to load.
func (k *Keeper[T]) Loads() Loads {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.loads
}

// loadTries is how often files are read that change while they are read.
const loadTries = 3

// Reload loads anew. With an error what is in use stays.
func (k *Keeper[T]) Reload() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	var (
		value *T
		parts []Part
		err   error
	)
	for range loadTries {
		k.seen = k.stamp()
		if value, parts, err = k.load(); err == nil || k.stamp() == k.seen {
			break
		}
	}
	k.last = Reload{At: time.Now(), Err: err}
	if err != nil {
		k.loads.Bad++
		k.loads.Err, k.loads.ErrAt = err, k.last.At
	} else {
		k.loads.Good++
		k.loads.GoodAt = k.last.At
	}
	if value != nil {
		k.last.compare(k.parts, parts)
		k.parts = parts
		k.value.Store(value)
	}
	k.last.Parts = len(k.parts)
	return err
}

// compare says how parts differ from those before.
func (r *Reload) compare(before, now []Part) {
	was := map[string]Part{}
	for _, p := range before {
		was[p.Name] = p
	}
	for _, p := range now {
		old, there := was[p.Name]
		delete(was, p.Name)
		switch {
		case !there:
			r.Added = append(r.Added, Change{Name: p.Name, Source: p.Source, Revision: p.Revision})
		case old != p:
			r.Changed = append(r.Changed, Change{Name: p.Name, Source: p.Source, Revision: p.Revision, Was: old.Revision})
		}
	}
	for _, p := range was {
		r.Removed = append(r.Removed, Change{Name: p.Name, Source: p.Source, Was: p.Revision})
	}
	for _, list := range [][]Change{r.Added, r.Changed, r.Removed} {
		slices.SortFunc(list, func(a, b Change) int { return cmp.Compare(a.Name, b.Name) })
	}
}

// Watch looks at the files once every interval until ctx ends, and reloads when one has
// changed and has then stayed the same for one interval, so that a half-written set of
// files is not taken. Looking works on every file system, mounted ConfigMaps included.
// Each outcome goes to report.
func (k *Keeper[T]) Watch(ctx context.Context, interval time.Duration, report func(Reload)) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	before := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := k.stamp()
		settled := now == before
		before = now
		if settled && now != k.lastSeen() {
			_ = k.Reload() // Last has the error
			report(k.Last())
		}
	}
}

func (k *Keeper[T]) lastSeen() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.seen
}
