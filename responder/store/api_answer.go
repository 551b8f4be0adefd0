package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Errors of BeginAnswer.
var (
	// ErrKeyReused: the key was used for another request.
	ErrKeyReused = errors.New("the idempotency key was used for another request")
	// ErrInProgress: the same request is being worked on.
	ErrInProgress = errors.New("the same request is being worked on")
)

// AbandonedAfter is when a request that has no answer yet counts as lost with its
// responder. No request takes so long.
const AbandonedAfter = 2 * time.Minute

// Answer is an answer of the API as it was sent.
type Answer struct {
	Status int16
	// Kind is its content type.
	Kind string
	Body []byte
}

// BeginAnswer takes an idempotency key for a request, or returns the answer that the
// same request got before. Done is false when the caller is to do the work; it ends
// with EndAnswer.
func (s *Store) BeginAnswer(ctx context.Context, principal, key string, request []byte) (a Answer, done bool, err error) {
	tag, err := s.pool.Exec(ctx, `INSERT INTO api_answers AS a (principal, key, request) VALUES ($1, $2, $3)
		ON CONFLICT (principal, key) DO UPDATE SET created_at = clock_timestamp(), request = excluded.request, status = 0, kind = '', body = ''
		WHERE a.created_at < clock_timestamp() - interval '1 day'
			OR a.status = 0 AND a.request = excluded.request AND a.created_at < clock_timestamp() - make_interval(secs => $4)`,
		principal, key, request, AbandonedAfter.Seconds())
	if err != nil {
		return a, false, fmt.Errorf("take an idempotency key: %w", err)
	}
	if tag.RowsAffected() == 1 {
		return a, false, nil
	}
	var was []byte
	err = s.pool.QueryRow(ctx, "SELECT request, status, kind, body FROM api_answers WHERE principal = $1 AND key = $2", principal, key).Scan(&was, &a.Status, &a.Kind, &a.Body)
	switch {
	case errors.Is(err, pgx.ErrNoRows): // it was given back just now
		return a, false, ErrInProgress
	case err != nil:
		return a, false, fmt.Errorf("read an idempotency key: %w", err)
	case !bytes.Equal(was, request):
		return a, false, ErrKeyReused
	case a.Status == 0:
		return a, false, ErrInProgress
	}
	return a, true, nil
}

// EndAnswer keeps the answer for a day. One of a server's error is not kept: the
// same request may be tried again.
func (s *Store) EndAnswer(ctx context.Context, principal, key string, a Answer) error {
	sql, args := "UPDATE api_answers SET status = $3, kind = $4, body = $5 WHERE principal = $1 AND key = $2", []any{principal, key, a.Status, a.Kind, a.Body}
	if a.Status >= 500 {
		sql, args = "DELETE FROM api_answers WHERE principal = $1 AND key = $2", args[:2]
	}
	if _, err := s.pool.Exec(ctx, sql, args...); err != nil {
		return fmt.Errorf("keep the answer for an idempotency key: %w", err)
	}
	return nil
}

// PruneAnswers forgets the answers that were made before a time.
func (s *Store) PruneAnswers(ctx context.Context, before time.Time) error {
	if _, err := s.pool.Exec(ctx, "DELETE FROM api_answers WHERE created_at < $1", before); err != nil {
		return fmt.Errorf("prune the answers: %w", err)
	}
	return nil
}
