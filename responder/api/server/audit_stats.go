package server

import (
	"context"
	"strings"
	"time"

	"riposte/responder/api"
	"riposte/responder/store"
)

var countParameters = []parameter{
	{name: "by", says: "What to count by, in this order, by commas: " + strings.Join(api.AuditCounts, ", ") + ". Without it, by day."},
	{name: "kind", kind: wordKind, enum: auditKinds()},
	{name: "namespace", says: "The target's."},
	{name: "playbook"},
	{name: "action", says: "The action's type."},
	{name: "result"},
	{name: "since", kind: timeKind, says: "Leave out earlier days (UTC)."},
	{name: "until", kind: timeKind, says: "Leave out this day and later ones (UTC)."},
}

func (s *Server) countAudit(ctx context.Context, c *call) (any, error) {
	by := []string{"day"}
	if text := c.text("by"); text != "" {
		by = strings.Split(text, ",")
	}
	rows, err := s.Store.Counts(ctx, c.in, store.CountFilter{
		Kind: c.text("kind"), Namespace: c.text("namespace"), Playbook: c.text("playbook"), Action: c.text("action"), Result: c.text("result"),
		Since: c.since(), Until: c.time("until"),
	}, by)
	p := api.Page[api.AuditCount]{Items: make([]api.AuditCount, 0, len(rows))}
	for _, r := range rows {
		p.Items = append(p.Items, countResource(r, by))
	}
	return p, err
}

func countResource(r store.CountRow, by []string) api.AuditCount {
	one := api.AuditCount{Entries: r.Entries}
	for _, name := range by {
		switch name {
		case "day":
			day := r.Day.Format(time.DateOnly)
			one.Day = &day
		case "cluster":
			one.Cluster = &r.Cluster
		case "kind":
			one.Kind = &r.Kind
		case "namespace":
			one.Namespace = &r.Namespace
		case "playbook":
			one.Playbook = &r.Playbook
		case "action":
			one.Action = &r.Action
		case "result":
			one.Result = &r.Result
		}
	}
	return one
}
