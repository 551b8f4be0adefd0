package server

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"riposte/responder/api"
	"riposte/responder/api/access"
	"riposte/responder/audit"
	"riposte/responder/store"
)

// maxTokenLife is the longest that a token may hold.
const maxTokenLife = 366 * 24 * time.Hour

// nameShape is the people file's too.
var nameShape = regexp.MustCompile(`^[a-z0-9][a-z0-9._@-]{0,63}$`)

func (s *Server) listTokens(ctx context.Context, c *call) (any, error) {
	rows, next, err := s.Store.Tokens(ctx, c.text("name"), c.paging())
	return pageOf(rows, next, tokenResource), err
}

// createToken makes a token. Its name may be one that has a token already: then the
// same person has two, and is still one.
func (s *Server) createToken(ctx context.Context, c *call) (any, error) {
	n := c.body.(*api.NewToken)
	now := time.Now().UTC().Truncate(time.Microsecond) // as exactly as the database keeps it
	role, err := access.ParseRole(n.Role)
	if err != nil {
		return nil, problemf("bad_body", "role: %v", err)
	}
	grant := access.Grant{Role: role, Reach: store.Reach{Clusters: n.Clusters, Namespaces: n.Namespaces}}
	switch err := grant.Check(); {
	case err != nil:
		return nil, problemf("bad_body", "%v", err)
	case !nameShape.MatchString(n.Name):
		return nil, problemf("bad_body", "name: lower-case letters, digits and . _ @ -, at most 64, a letter or digit first")
	case n.Name == s.Principals[0].Name:
		return nil, problemf("bad_body", "name: %s is the responder's own", n.Name)
	case !n.ExpiresAt.After(now) || n.ExpiresAt.After(now.Add(maxTokenLife)):
		return nil, problemf("bad_body", "expires_at: say a time within the next %d days", int(maxTokenLife.Hours()/24))
	}
	if err := checkText("reason", n.Reason); err != nil {
		return nil, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, err
	}
	secret, hash := access.NewToken()
	row := store.TokenRow{
		ID: id.String(), Name: n.Name, Role: n.Role, Clusters: n.Clusters, Namespaces: n.Namespaces, Reason: n.Reason,
		CreatedBy: c.actor(), CreatedAt: now, ExpiresAt: n.ExpiresAt.UTC().Truncate(time.Microsecond),
	}
	err = s.Store.InTx(ctx, func(tx store.Tx) error {
		if err := tx.AddToken(ctx, row, hash); err != nil {
			return err
		}
		return audit.Append(ctx, tx, s.tokenEntry(row, c.actor(), "created", n.Reason))
	})
	return api.CreatedToken{Token: tokenResource(row), Secret: secret}, err
}

func (s *Server) revokeToken(ctx context.Context, c *call) (any, error) {
	reason, err := needReason(c.body.(*api.Reason).Reason)
	if err != nil {
		return nil, err
	}
	row, err := s.Store.Token(ctx, c.id())
	if err != nil {
		return nil, err
	}
	err = s.Store.InTx(ctx, func(tx store.Tx) error {
		if row, err = tx.RevokeToken(ctx, row.ID, c.actor()); err != nil {
			return err
		}
		return audit.Append(ctx, tx, s.tokenEntry(row, c.actor(), "revoked", reason))
	})
	if errors.Is(err, store.ErrNotFound) {
		err = problemf("token_ended", "it was revoked already")
	}
	return tokenResource(row), err
}

func (s *Server) tokenEntry(t store.TokenRow, actor, result, reason string) audit.Entry {
	note := fmt.Sprintf("a token of %s, %s until %s", t.Name, t.Role, t.ExpiresAt.UTC().Format(time.RFC3339))
	if len(t.Clusters) > 0 {
		note += ", only clusters " + strings.Join(t.Clusters, ", ")
	}
	if len(t.Namespaces) > 0 {
		note += ", only namespaces " + strings.Join(t.Namespaces, ", ")
	}
	return audit.Entry{
		Cluster: s.Cluster, Kind: audit.Token, Actor: actor, Result: result, Note: note,
		Why: audit.Why{Reason: reason}, What: audit.What{Object: "token/" + t.ID},
	}
}

func tokenResource(t store.TokenRow) api.Token {
	return api.Token{
		ID: t.ID, Name: t.Name, Grant: api.Grant{Role: t.Role, Clusters: slices.Clone(t.Clusters), Namespaces: slices.Clone(t.Namespaces)}, Reason: t.Reason,
		CreatedBy: t.CreatedBy, CreatedAt: t.CreatedAt.UTC(), ExpiresAt: t.ExpiresAt.UTC(), RevokedAt: utc(t.RevokedAt), RevokedBy: t.RevokedBy, UsedAt: utc(t.UsedAt),
	}
}

func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	u := t.UTC()
	return &u
}
