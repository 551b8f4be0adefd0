package client

import (
	"context"
	"net/url"
	"strings"
	"time"

	"riposte/responder/api"
	"riposte/responder/selector"
)

// AuditFilter chooses entries of the record; zero fields choose all.
type AuditFilter struct {
	Kind, Actor string
	// Action, Alert and Incident are ids, or their last twelve digits.
	Action, Alert, Incident string
	// Type is the action's, Result how it went.
	Type, Result string
	// Playbook is its name, Revision a revision or its first twelve digits.
	Playbook, Revision string
	// TargetKind, Namespace, Name and UID are the target's, Selector what its labels were
	// like then.
	TargetKind, Namespace, Name, UID string
	Selector                         selector.Selector
	// Text are words of notes and reasons.
	Text         string
	Since, Until time.Time
	// Limit is 1 to 500, 0 for the server's default; Before is a Page's Next.
	Limit  int
	Before string
}

// Audit returns one page of the record, newest first.
func (c *Client) Audit(ctx context.Context, f AuditFilter) (p api.Page[api.AuditEntry], err error) {
	return p, c.get(ctx, "audit", values(
		"kind", f.Kind, "actor", f.Actor, "action", f.Action, "alert", f.Alert, "incident", f.Incident, "type", f.Type, "result", f.Result,
		"playbook", f.Playbook, "revision", f.Revision, "target_kind", f.TargetKind, "namespace", f.Namespace, "name", f.Name, "uid", f.UID,
		"selector", f.Selector.String(), "text", f.Text, "since", stamp(f.Since), "until", stamp(f.Until), "limit", number(f.Limit), "before", f.Before), &p)
}

// CountFilter chooses what is counted; zero fields choose all.
type CountFilter struct {
	Kind, Namespace, Playbook, Action, Result string
	// Since and Until are days in UTC: Since the first, Until the one after the last.
	Since, Until time.Time
}

// AuditCounts counts the record's entries by some of api.AuditCounts, in this order.
func (c *Client) AuditCounts(ctx context.Context, f CountFilter, by []string) (p api.Page[api.AuditCount], err error) {
	return p, c.get(ctx, "audit/stats", values("by", strings.Join(by, ","), "kind", f.Kind, "namespace", f.Namespace, "playbook", f.Playbook,
		"action", f.Action, "result", f.Result, "since", stamp(f.Since), "until", stamp(f.Until)), &p)
}

// Story tells all about an action or an alert, by its id or the last twelve digits of
// it, or about an entry, as NUMBER or CLUSTER/NUMBER.
func (c *Client) Story(ctx context.Context, id string) (s api.Story, err error) {
	return s, c.get(ctx, "audit/stories/"+url.PathEscape(id), nil, &s)
}
