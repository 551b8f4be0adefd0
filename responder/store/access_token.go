package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
)

// usedEvery is how exactly it is known when a token was used last: each use would
// else be a write.
const usedEvery = 5 * time.Minute

// TokenRow is a token of the API without the token.
type TokenRow struct {
	ID, Name, Role       string
	Clusters, Namespaces []string
	Reason, CreatedBy    string
	CreatedAt, ExpiresAt time.Time
	RevokedAt            *time.Time
	RevokedBy            string
	UsedAt               *time.Time
}

const selectTokens = `SELECT id::text, name, role, clusters, namespaces, reason, created_by, created_at, expires_at, revoked_at, revoked_by, used_at FROM access_tokens`

// AddToken stores a token by its hash.
func (tx Tx) AddToken(ctx context.Context, t TokenRow, hash []byte) error {
	_, err := tx.Exec(ctx, `INSERT INTO access_tokens (id, name, hash, role, clusters, namespaces, reason, created_by, created_at, expires_at)
		VALUES ($1::text::uuid, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		t.ID, t.Name, hash, t.Role, list(t.Clusters), list(t.Namespaces), Text(t.Reason), Text(t.CreatedBy), t.CreatedAt, t.ExpiresAt)
	if err != nil {
		return fmt.Errorf("store a token of %s: %w", t.Name, err)
	}
	return nil
}

// list is never null in the database.
func list(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

// Tokens returns one page of all tokens, the newest first, and the next page's cursor.
// A name chooses that person's.
func (s *Store) Tokens(ctx context.Context, name string, p Paging) ([]TokenRow, string, error) {
	var w where
	w.text("name", name)
	if err := w.beforeTime("created_at", p.Before); err != nil {
		return nil, "", err
	}
	limit := p.limit()
	w.args = append(w.args, limit+1)
	rows, err := collect[TokenRow](ctx, s.pool, selectTokens+w.String()+" ORDER BY created_at DESC, id DESC LIMIT $"+strconv.Itoa(len(w.args)), w.args...)
	if err != nil {
		return nil, "", err
	}
	rows, next := cut(rows, limit, func(t TokenRow) string { return nsCursor(unixNS(t.CreatedAt), t.ID) })
	return rows, next, nil
}

// Token returns one by its id or its id's last group, or ErrNotFound.
func (s *Store) Token(ctx context.Context, id string) (TokenRow, error) {
	return byID[TokenRow](ctx, s.pool, selectTokens, "id", id, where{})
}

// TokenByHash finds a token that may be used now, or ErrNotFound, and notes that it
// was used.
func (s *Store) TokenByHash(ctx context.Context, hash []byte) (TokenRow, error) {
	rows, err := collect[TokenRow](ctx, s.pool, selectTokens+" WHERE hash = $1 AND revoked_at IS NULL AND expires_at > clock_timestamp()", hash)
	if err != nil {
		return TokenRow{}, fmt.Errorf("look a token up: %w", err)
	}
	if len(rows) == 0 {
		return TokenRow{}, ErrNotFound
	}
	t := rows[0]
	if t.UsedAt == nil || time.Since(*t.UsedAt) > usedEvery {
		// Best effort: whoever may ask must not be turned away because nobody can note it.
		_, _ = s.pool.Exec(ctx, "UPDATE access_tokens SET used_at = clock_timestamp() WHERE id = $1::text::uuid", t.ID)
	}
	return t, nil
}

// RevokeToken ends a token by its whole id; ErrNotFound says that it had ended.
func (tx Tx) RevokeToken(ctx context.Context, id, actor string) (t TokenRow, err error) {
	rows, err := tx.Query(ctx, `UPDATE access_tokens SET revoked_at = clock_timestamp(), revoked_by = $2 WHERE id = $1::text::uuid AND revoked_at IS NULL
		RETURNING id::text, name, role, clusters, namespaces, reason, created_by, created_at, expires_at, revoked_at, revoked_by, used_at`, id, Text(actor))
	if err == nil {
		t, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[TokenRow])
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return t, ErrNotFound
	}
	if err != nil {
		return t, fmt.Errorf("revoke token %s: %w", id, err)
	}
	return t, nil
}

// PruneTokens forgets tokens that ended before a time; the record keeps who made them.
func (s *Store) PruneTokens(ctx context.Context, before time.Time) error {
	if _, err := s.pool.Exec(ctx, "DELETE FROM access_tokens WHERE least(expires_at, revoked_at) < $1", before); err != nil {
		return fmt.Errorf("prune the tokens: %w", err)
	}
	return nil
}
