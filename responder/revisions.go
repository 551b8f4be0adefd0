package responder

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"riposte/responder/playbook"
	"riposte/responder/store"
)

// monthsLonger is how much longer a revision is kept than the decisions that name it,
// which go by whole months.
const monthsLonger = 62 * 24 * time.Hour

// keepRevisions stores what the loaded playbooks consist of, so that decisions can be
// explained when others are loaded.
func (r *Responder) keepRevisions(ctx context.Context, tx store.Tx) error {
	var all []store.Revision
	for _, p := range r.playbooks.Playbooks() {
		kept, err := p.Keep()
		if err != nil {
			return fmt.Errorf("keep playbook %s: %w", p.Name, err)
		}
		body, err := json.Marshal(kept)
		if err != nil {
			return fmt.Errorf("keep playbook %s: %w", p.Name, err)
		}
		all = append(all, store.Revision{Revision: p.Revision, Playbook: p.Name, Kept: string(body)})
	}
	return tx.KeepRevisions(ctx, all, time.Now())
}

// pruneRevisions forgets those that no kept decision can name.
func (r *Responder) pruneRevisions(ctx context.Context, now time.Time) error {
	var loaded []string
	for _, p := range r.playbooks.Playbooks() {
		loaded = append(loaded, p.Revision)
	}
	return r.store.PruneRevisions(ctx, loaded, now, now.Add(-r.o.AlertRetention-monthsLonger))
}

// explain asks a playbook about an input, as it was at a revision: the loaded one, or one
// that was kept. If that is not there either, the loaded one answers.
func (r *Responder) explain(ctx context.Context, name, revision string, input json.RawMessage) (playbook.Explanation, error) {
	e, err := r.playbooks.Explain(ctx, name, input)
	if err == nil && e.Playbook.Revision == revision || err != nil && !errors.Is(err, playbook.ErrNotLoaded) {
		return e, err
	}
	stored, missing := r.store.Revision(ctx, revision)
	if errors.Is(missing, store.ErrNotFound) {
		return e, err
	}
	if missing != nil {
		return e, missing
	}
	var kept playbook.Kept
	if err := json.Unmarshal([]byte(stored.Kept), &kept); err != nil {
		return e, fmt.Errorf("read playbook %s at revision %.12s: %w", name, revision, err)
	}
	was, err := playbook.Rebuild(playbook.Options{}, name, kept)
	if err != nil {
		return e, fmt.Errorf("build playbook %s at revision %.12s again: %w", name, revision, err)
	}
	return was.ExplainOne(ctx, name, input)
}
