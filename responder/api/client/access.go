package client

import (
	"context"
	"net/url"

	"riposte/responder/api"
)

const tokensPath = "tokens"

// Identity returns who the client's token is, and what they may do.
func (c *Client) Identity(ctx context.Context) (who api.Identity, err error) {
	return who, c.get(ctx, "session", nil, &who)
}

// Tokens returns one page of the tokens that were made over the API, the newest first;
// a name chooses that person's.
func (c *Client) Tokens(ctx context.Context, name string, limit int, before string) (p api.Page[api.Token], err error) {
	return p, c.get(ctx, tokensPath, values("name", name, "limit", number(limit), "before", before), &p)
}

// CreateToken makes a token; its Secret is in this answer alone.
func (c *Client) CreateToken(ctx context.Context, n api.NewToken) (t api.CreatedToken, err error) {
	return t, c.send(ctx, tokensPath, n, &t)
}

// RevokeToken ends a token at once.
func (c *Client) RevokeToken(ctx context.Context, id, reason string) (t api.Token, err error) {
	return t, c.send(ctx, tokensPath+"/"+url.PathEscape(id)+"/revoke", api.Reason{Reason: reason}, &t)
}
