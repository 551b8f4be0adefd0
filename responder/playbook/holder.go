package playbook

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"riposte/responder/playbook/sandbox"
)

// Holder keeps the current Set and replaces it when the sources change. A set
// that cannot be loaded is reported and the last good one stays.
type Holder struct {
	options Options
	sources []sandbox.Source
	set     atomic.Pointer[Set]

	// mu lets only one load at a time.
	mu   sync.Mutex
	last Reload
	// seen is the stamp of the files before they were loaded last: what changes
	// during the load differs from it.
	seen string
}

// Reload is what became of the last attempt to load.
type Reload struct {
	At time.Time
	// Err is nil if the set in use is the one that lies in the sources.
	Err error
}

// NewHolder loads the first Set; its errors are those of Load.
func NewHolder(o Options, sources ...sandbox.Source) (*Holder, error) {
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

// Reload loads the sources again. With an error the set in use stays as it is.
func (h *Holder) Reload() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seen = h.stamp()
	set, err := Load(h.options, h.sources...)
	h.last = Reload{At: time.Now(), Err: err}
	if err != nil {
		return err
	}
	h.set.Store(set)
	return nil
}

// Watch looks at the sources once every interval until ctx ends, and reloads
// when a file was changed and has then stayed the same for one interval, so that
// a half-written set of files is not taken. Looking works on every file system,
// mounted ConfigMaps included. Outcomes go to the logger.
func (h *Holder) Watch(ctx context.Context, interval time.Duration, log *slog.Logger) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	before := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := h.stamp()
		settled := now == before
		before = now
		if !settled || now == h.lastSeen() {
			continue
		}
		if err := h.Reload(); err != nil {
			log.Error("playbooks were not reloaded, the last good ones stay in use", "error", err)
		} else {
			log.Info("playbooks reloaded", "playbooks", len(h.Set().playbooks))
		}
	}
}

func (h *Holder) lastSeen() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.seen
}

// stamp sums up names, sizes and times of the sources' Rego files.
func (h *Holder) stamp() string {
	var b strings.Builder
	for _, src := range h.sources {
		err := fs.WalkDir(src.FS, ".", func(rel string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case rel != "." && strings.HasPrefix(d.Name(), "."):
				if d.IsDir() {
					return fs.SkipDir
				}
			case path.Ext(rel) == ".rego" && b.Len() < 1<<20:
				info, err := fs.Stat(src.FS, rel)
				if err != nil {
					return err
				}
				fmt.Fprintf(&b, "%s %d %d\n", rel, info.Size(), info.ModTime().UnixNano())
			}
			return nil
		})
		if err != nil {
			fmt.Fprintf(&b, "%s: %v\n", src.Name, err)
		}
	}
	return b.String()
}
