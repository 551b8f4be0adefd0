package playbook

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"riposte/responder/playbook/sandbox"
)

// Source is where playbooks come from: a sandbox.Source, or a bundle.
type Source interface {
	// Open returns the files as they are now. An error is about the source as a whole; with
	// it may come the files as they were last, which then count.
	Open() (sandbox.Source, error)
	// Stamp is another text when the files may have changed.
	Stamp() string
}

// Holder keeps the current Set and replaces it when the sources change. A set is built
// off to the side and put in place at once; one that cannot be loaded is reported, and
// the last good one stays.
type Holder struct {
	options Options
	sources []Source
	set     atomic.Pointer[Set]

	// mu lets only one load at a time.
	mu    sync.Mutex
	loads Loads
	last  Reload
	// seen is the stamp of the sources before they were loaded last: what changes
	// during the load differs from it.
	seen string
}

// Reload is what became of an attempt to load.
type Reload struct {
	At time.Time
	// Err is nil if the set in use is the one that lies in the sources.
	Err error
	// Playbooks is how many are in use now.
	Playbooks int
	// Added, Removed and Changed are sorted by name.
	Added, Removed, Changed []Change
}

// Change is one playbook that a load brought, took away or replaced.
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
	// GoodAt is when a set was loaded last. Err is the last error, nil if there was
	// none, from ErrAt; it matters if that is later.
	GoodAt, ErrAt time.Time
	Err           error
}

// NewHolder loads the first Set; its errors are those of Load.
func NewHolder(o Options, sources ...Source) (*Holder, error) {
	h := &Holder{options: o, sources: sources}
	if err := h.Reload(); err != nil {
		return nil, err
	}
	return h, nil
}

// Set is the current set.
func (h *Holder) Set() *Set { return h.set.Load() }

// Evaluate asks the current set; see Set.Evaluate.
func (h *Holder) Evaluate(ctx context.Context, in Input) []Decision {
	return h.Set().Evaluate(ctx, in)
}

// Playbooks are those of the current set, sorted by name.
func (h *Holder) Playbooks() []*Playbook { return h.Set().Playbooks() }

// Last says what became of the last attempt to load.
func (h *Holder) Last() Reload {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last
}

// Loads sums up the attempts to load.
func (h *Holder) Loads() Loads {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.loads
}

// loadTries is how often sources are read that change while they are read.
const loadTries = 3

// Reload loads the sources again. With an error the set in use stays as it is; only where
// a source cannot be asked for news, what else is new is taken.
func (h *Holder) Reload() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	var set *Set
	var err error
	for range loadTries {
		h.seen = h.stamp()
		if set, err = h.load(); err == nil || h.stamp() == h.seen {
			break
		}
	}
	h.last = Reload{At: time.Now(), Err: err}
	before := h.set.Load()
	if err != nil {
		h.loads.Bad++
		h.loads.Err, h.loads.ErrAt = err, h.last.At
	} else {
		h.loads.Good++
		h.loads.GoodAt = h.last.At
	}
	if set != nil {
		h.last.compare(before, set)
		h.set.Store(set)
	}
	if now := h.set.Load(); now != nil {
		h.last.Playbooks = len(now.playbooks)
	}
	return err
}

// load returns a set along with an error if only news of a source are missing.
func (h *Holder) load() (*Set, error) {
	var errs sandbox.Errors
	whole := true
	open := make([]sandbox.Source, len(h.sources))
	for i, s := range h.sources {
		var err error
		open[i], err = s.Open()
		errs = errs.Append(err)
		whole = whole && open[i].FS != nil
	}
	if !whole {
		return nil, errs
	}
	set, err := Load(h.options, open...)
	return set, errs.Append(err).Err()
}

// compare says how one set differs from the one before, nil for none.
func (r *Reload) compare(before, set *Set) {
	was := map[string]*Playbook{}
	if before != nil {
		for _, p := range before.playbooks {
			was[p.Name] = p
		}
	}
	for _, p := range set.playbooks {
		old := was[p.Name]
		delete(was, p.Name)
		switch {
		case old == nil:
			r.Added = append(r.Added, Change{Name: p.Name, Source: p.Source, Revision: p.Revision})
		case old.Revision != p.Revision || old.Source != p.Source:
			r.Changed = append(r.Changed, Change{Name: p.Name, Source: p.Source, Revision: p.Revision, Was: old.Revision})
		}
	}
	for _, p := range was {
		r.Removed = append(r.Removed, Change{Name: p.Name, Source: p.Source, Was: p.Revision})
	}
	slices.SortFunc(r.Removed, func(a, b Change) int { return strings.Compare(a.Name, b.Name) })
}

// Watch looks at the sources once every interval until ctx ends, and reloads when one
// has changed; see sandbox.Follow. Each outcome goes to report.
func (h *Holder) Watch(ctx context.Context, interval time.Duration, report func(Reload)) {
	sandbox.Follow(ctx, interval, h.stamp, h.lastSeen, func() {
		_ = h.Reload() // Last has the error
		report(h.Last())
	})
}

func (h *Holder) lastSeen() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.seen
}

func (h *Holder) stamp() string {
	var b strings.Builder
	for _, s := range h.sources {
		fmt.Fprintln(&b, s.Stamp())
	}
	return b.String()
}
