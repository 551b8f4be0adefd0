package audit

import (
	"context"
	"errors"
	"fmt"

	"riposte/responder/store"
)

// ErrNoField is what Redact returns of another field.
var ErrNoField = errors.New("only note, params and reason can be erased")

// Redact erases a sealed value of one entry for good, and says in the record who
// wanted it and why. store.ErrNotFound: there is no such value, or no more.
func Redact(ctx context.Context, tx store.Tx, cluster string, seq int64, field, actor, reason string) error {
	if sealOf(field) < 0 {
		return fmt.Errorf("%w, not %.40q", ErrNoField, field)
	}
	var found bool
	if err := tx.QueryRow(ctx, "SELECT audit_redact($1, $2, $3)", cluster, seq, field).Scan(&found); err != nil {
		return fmt.Errorf("erase %s of entry %d: %w", field, seq, err)
	}
	if !found {
		return store.ErrNotFound
	}
	return Append(ctx, tx, Entry{
		Cluster: cluster, Kind: Redaction, Actor: actor, Result: "erased", Note: fmt.Sprintf("%s of entry %d", field, seq), Why: Why{Reason: reason},
		What: What{Object: fmt.Sprintf("audit/%s/%d/%s", cluster, seq, field)},
	})
}
