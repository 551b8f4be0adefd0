package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Revision is what one revision of a playbook consists of.
type Revision struct {
	Revision, Playbook string
	// Kept is JSON, which is the playbooks' own matter.
	Kept string
}

// KeepRevisions stores revisions that are loaded; those that are there are seen again.
func (tx Tx) KeepRevisions(ctx context.Context, all []Revision, seen time.Time) error {
	_, err := tx.Exec(ctx, `INSERT INTO playbook_revisions (revision, playbook, kept, seen_at)
		SELECT r, p, k, $4 FROM unnest($1::text[], $2::text[], $3::text[]) AS x (r, p, k) ORDER BY r
		ON CONFLICT (revision) DO UPDATE SET seen_at = excluded.seen_at`,
		column(all, func(r *Revision) string { return r.Revision }), column(all, func(r *Revision) string { return r.Playbook }),
		column(all, func(r *Revision) string { return Text(r.Kept) }), seen)
	if err != nil {
		return fmt.Errorf("keep the playbooks' revisions: %w", err)
	}
	return nil
}

// Revision is what a revision consists of, or ErrNotFound.
func (s *Store) Revision(ctx context.Context, revision string) (Revision, error) {
	r := Revision{Revision: revision}
	err := s.pool.QueryRow(ctx, "SELECT playbook, kept FROM playbook_revisions WHERE revision = $1", revision).Scan(&r.Playbook, &r.Kept)
	if errors.Is(err, pgx.ErrNoRows) {
		return r, ErrNotFound
	}
	if err != nil {
		return r, fmt.Errorf("read a playbook's revision: %w", err)
	}
	return r, nil
}

// PruneRevisions sees loaded revisions again and removes those that were seen last before
// a time.
func (s *Store) PruneRevisions(ctx context.Context, loaded []string, now, before time.Time) error {
	if _, err := s.pool.Exec(ctx, "UPDATE playbook_revisions SET seen_at = $2 WHERE revision = ANY($1) AND seen_at < $2", loaded, now); err != nil {
		return fmt.Errorf("see the playbooks' revisions again: %w", err)
	}
	if _, err := s.pool.Exec(ctx, "DELETE FROM playbook_revisions WHERE seen_at < $1", before); err != nil {
		return fmt.Errorf("prune the playbooks' revisions: %w", err)
	}
	return nil
}
