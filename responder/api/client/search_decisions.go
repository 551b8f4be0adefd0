package client

import (
	"context"
	"net/url"
	"time"

	"riposte/responder/api"
)

// DecisionSearch chooses decisions; zero fields choose all.
type DecisionSearch struct {
	Playbook, State, Alert string
	Since                  time.Time
	Limit                  int
	Before                 string
}

// ListDecisions returns one page of what playbooks answered, the newest first.
func (c *Client) ListDecisions(ctx context.Context, f DecisionSearch) (p api.Page[api.Decision], err error) {
	return p, c.get(ctx, "decisions", values("playbook", f.Playbook, "state", f.State, "alert", f.Alert, "since", stamp(f.Since),
		"limit", number(f.Limit), "before", f.Before), &p)
}

// Decision returns one with its input, by its id or its id's last twelve digits.
func (c *Client) Decision(ctx context.Context, id string) (d api.Decision, err error) {
	return d, c.get(ctx, "decisions/"+url.PathEscape(id), nil, &d)
}
