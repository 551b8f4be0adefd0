package store

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// MaxDeadLetters bounds the dead letters of one node: a node that sends nothing
// else must not fill the database.
const MaxDeadLetters = 1000

// DeadLetter is a message that could not be processed, as it came.
type DeadLetter struct {
	// ID is made of subject, message id and body: the same message is one row.
	ID string
	// State is dead, or redriven once it was processed after all.
	State              string
	Subject, MessageID string
	Cluster, Node      string
	Reason, Error      string
	// Deaths is how often it died.
	Deaths             int64
	Body               []byte
	ReceivedAt, DiedAt time.Time
}

const selectDeadLetters = `SELECT id::text, state, subject, message_id, cluster, node, reason, error, deaths, body, received_at, died_at FROM dead_letters`

// AddDeadLetters stores messages and says of each whether there was room for it.
func (tx Tx) AddDeadLetters(ctx context.Context, letters []DeadLetter) ([]bool, error) {
	kept := make([]bool, len(letters))
	for i, d := range letters { // a few at most
		tag, err := tx.Exec(ctx, `INSERT INTO dead_letters AS d (id, subject, message_id, cluster, node, reason, error, body, received_at, died_at)
			SELECT $1::text::uuid, $2, $3, $4, $5, $6, $7, $8, $9, $10
			WHERE EXISTS (SELECT 1 FROM dead_letters WHERE id = $1::text::uuid)
				OR (SELECT count(*) FROM dead_letters WHERE cluster = $4 AND node = $5) < $11
			ON CONFLICT (id) DO UPDATE SET state = 'dead', reason = excluded.reason, error = excluded.error, deaths = d.deaths + 1, died_at = excluded.died_at`,
			d.ID, Text(d.Subject), Text(d.MessageID), Text(d.Cluster), Text(d.Node), d.Reason, Text(d.Error), d.Body, d.ReceivedAt, d.DiedAt, MaxDeadLetters)
		if err != nil {
			return nil, fmt.Errorf("store a dead letter: %w", err)
		}
		kept[i] = tag.RowsAffected() == 1
	}
	return kept, nil
}

// MarkRedriven says that a dead letter was processed after all.
func (tx Tx) MarkRedriven(ctx context.Context, id string) error {
	if _, err := tx.Exec(ctx, "UPDATE dead_letters SET state = 'redriven' WHERE id = $1::text::uuid", id); err != nil {
		return fmt.Errorf("mark dead letter %s: %w", id, err)
	}
	return nil
}

// DeadLetter returns one by its id or its id's last group, or ErrNotFound.
func (s *Store) DeadLetter(ctx context.Context, in Scope, id string) (DeadLetter, error) {
	var w where
	w.scope(in, in.deadLetters)
	return byID[DeadLetter](ctx, s.pool, selectDeadLetters, "id", id, w)
}

// DeadLetterFilter chooses dead letters; zero fields choose all.
type DeadLetterFilter struct {
	State, Reason, Node string
	// Since is the oldest death.
	Since time.Time
}

// deadLetters is holds for the rows of dead_letters, which are in no namespace.
func (s Scope) deadLetters() (string, []any) { return s.holds("cluster", "''") }

// DeadLetters returns one page of those within a scope, the latest death first, and
// the next page's cursor.
func (s *Store) DeadLetters(ctx context.Context, in Scope, f DeadLetterFilter, p Paging) ([]DeadLetter, string, error) {
	var w where
	w.scope(in, in.deadLetters)
	w.text("state", f.State)
	w.text("reason", f.Reason)
	w.text("node", f.Node)
	if !f.Since.IsZero() {
		w.add("died_at >= ?", f.Since)
	}
	if err := w.beforeTime("died_at", p.Before); err != nil {
		return nil, "", err
	}
	limit := p.limit()
	w.args = append(w.args, limit+1)
	rows, err := collect[DeadLetter](ctx, s.pool, selectDeadLetters+w.String()+" ORDER BY died_at DESC, id DESC LIMIT $"+strconv.Itoa(len(w.args)), w.args...)
	if err != nil {
		return nil, "", err
	}
	rows, next := cut(rows, limit, func(d DeadLetter) string { return nsCursor(unixNS(d.DiedAt), d.ID) })
	return rows, next, nil
}

// PruneDeadLetters forgets those that died before a time.
func (s *Store) PruneDeadLetters(ctx context.Context, before time.Time) error {
	if _, err := s.pool.Exec(ctx, "DELETE FROM dead_letters WHERE died_at < $1", before); err != nil {
		return fmt.Errorf("prune the dead letters: %w", err)
	}
	return nil
}

// beforeTime continues a list that is ordered by a timestamptz column and id.
func (w *where) beforeTime(column, cursor string) error {
	if cursor == "" {
		return nil
	}
	ns, id, err := parseNSCursor(cursor)
	if err != nil {
		return err
	}
	w.add("("+column+", id) < (?, ?::text::uuid)", time.Unix(0, ns), id)
	return nil
}
