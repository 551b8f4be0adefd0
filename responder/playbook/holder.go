package playbook

import (
	"context"
	"fmt"
	"strings"

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

// Holder keeps the current Set, see sandbox.Keeper.
type Holder struct{ *sandbox.Keeper[Set] }

// NewHolder loads the first Set; its errors are those of Load.
func NewHolder(o Options, sources ...Source) (*Holder, error) {
	k, err := sandbox.Keep(
		func() (*Set, []sandbox.Part, error) { return loadFrom(o, sources) },
		func() string {
			var b strings.Builder
			for _, s := range sources {
				fmt.Fprintln(&b, s.Stamp())
			}
			return b.String()
		})
	if err != nil {
		return nil, err
	}
	return &Holder{k}, nil
}

// Set is the current set.
func (h *Holder) Set() *Set { return h.Value() }

// Evaluate asks the current set; see Set.Evaluate.
func (h *Holder) Evaluate(ctx context.Context, in Input) []Decision {
	return h.Set().Evaluate(ctx, in)
}

// Playbooks are those of the current set, sorted by name.
func (h *Holder) Playbooks() []*Playbook { return h.Set().Playbooks() }

// loadFrom returns a set along with an error if only news of a source are missing.
func loadFrom(o Options, sources []Source) (*Set, []sandbox.Part, error) {
	var errs sandbox.Errors
	whole := true
	open := make([]sandbox.Source, len(sources))
	for i, s := range sources {
		var err error
		open[i], err = s.Open()
		errs = errs.Append(err)
		whole = whole && open[i].FS != nil
	}
	if !whole {
		return nil, nil, errs.Err()
	}
	set, err := Load(o, open...)
	if err != nil {
		return nil, nil, errs.Append(err).Err()
	}
	parts := make([]sandbox.Part, len(set.playbooks))
	for i, p := range set.playbooks {
		parts[i] = sandbox.Part{Name: p.Name, Source: p.Source, Revision: p.Revision}
	}
	return set, parts, errs.Err()
}
