package client

import (
	"context"
	"net/url"
	"time"

	"riposte/responder/api"
	"riposte/responder/selector"
)

// IncidentFilter chooses incidents; zero fields choose all.
type IncidentFilter struct {
	State, Kind, Cluster string
	// Priority is the least severe priority that is still shown, by name.
	Priority string
	// Selector is what the labels of the first alert's pod were like then.
	Selector selector.Selector
	Since    time.Time
	// Limit is 1 to 500, 0 for the server's default; Before is a Page's Next.
	Limit  int
	Before string
}

// Incidents returns one page, the latest alert first.
func (c *Client) Incidents(ctx context.Context, f IncidentFilter) (p api.Page[api.Incident], err error) {
	return p, c.get(ctx, "incidents", values("state", f.State, "kind", f.Kind, "cluster", f.Cluster, "priority", f.Priority, "selector", f.Selector.String(),
		"since", stamp(f.Since), "limit", number(f.Limit), "before", f.Before), &p)
}

// Incident returns one by its id, or by its id's last twelve digits.
func (c *Client) Incident(ctx context.Context, id string) (i api.Incident, err error) {
	return i, c.get(ctx, "incidents/"+url.PathEscape(id), nil, &i)
}

// IncidentTimeline returns an incident with what happened in it.
func (c *Client) IncidentTimeline(ctx context.Context, id string) (t api.IncidentTimeline, err error) {
	return t, c.get(ctx, "incidents/"+url.PathEscape(id)+"/timeline", nil, &t)
}

// ResolveIncident says that an incident is over, and why.
func (c *Client) ResolveIncident(ctx context.Context, id, reason string) (i api.Incident, err error) {
	return i, c.send(ctx, "incidents/"+url.PathEscape(id)+"/resolve", api.Reason{Reason: reason}, &i)
}

// FalsePositive says that an incident was none, and why.
func (c *Client) FalsePositive(ctx context.Context, id, reason string) (i api.Incident, err error) {
	return i, c.send(ctx, "incidents/"+url.PathEscape(id)+"/false-positive", api.Reason{Reason: reason}, &i)
}

// DeadLetterFilter chooses dead letters; zero fields choose all.
type DeadLetterFilter struct {
	State, Reason, Node string
	Since               time.Time
	Limit               int
	Before              string
}

// DeadLetters returns one page, the latest first, without bodies.
func (c *Client) DeadLetters(ctx context.Context, f DeadLetterFilter) (p api.Page[api.DeadLetter], err error) {
	return p, c.get(ctx, "deadletters", values("state", f.State, "reason", f.Reason, "node", f.Node,
		"since", stamp(f.Since), "limit", number(f.Limit), "before", f.Before), &p)
}

// DeadLetter returns one with its body, by its id or its id's last twelve digits.
func (c *Client) DeadLetter(ctx context.Context, id string) (d api.DeadLetter, err error) {
	return d, c.get(ctx, "deadletters/"+url.PathEscape(id), nil, &d)
}

// Redrive has a dead letter processed again.
func (c *Client) Redrive(ctx context.Context, id, reason string) (d api.DeadLetter, err error) {
	return d, c.send(ctx, "deadletters/"+url.PathEscape(id)+"/redrive", api.Reason{Reason: reason}, &d)
}
