package server

import (
	"context"

	"riposte/responder/api"
	"riposte/responder/store"
)

var deadLetterParameters = paged(
	parameter{name: "state", kind: wordKind, enum: []string{"dead", "redriven"}},
	parameter{name: "reason"}, parameter{name: "node"}, sinceParameter,
)

func deadLetterFilter(c *call) store.DeadLetterFilter {
	return store.DeadLetterFilter{State: c.text("state"), Reason: c.text("reason"), Node: c.text("node"), Since: c.since()}
}

func (s *Server) showDeadLetter(ctx context.Context, c *call) (any, error) {
	row, err := s.Store.DeadLetter(ctx, c.in, c.id())
	letter := deadLetterResource(row)
	letter.Body = rawJSON(string(row.Body))
	return letter, err
}

// redriveDeadLetter has a message processed as if it had just come.
func (s *Server) redriveDeadLetter(ctx context.Context, c *call) (any, error) {
	reason, err := needReason(c.body.(*api.Reason).Reason)
	if err != nil {
		return nil, err
	}
	row, err := s.Store.DeadLetter(ctx, c.in, c.id())
	if err != nil {
		return nil, err
	}
	if err := s.Redrive(ctx, row.ID, c.actor(), reason); err != nil {
		return nil, err
	}
	row, err = s.Store.DeadLetter(ctx, c.in, row.ID)
	return deadLetterResource(row), err
}

func deadLetterResource(d store.DeadLetter) api.DeadLetter {
	return api.DeadLetter{
		ID: d.ID, State: d.State, Subject: d.Subject, MessageID: d.MessageID, Cluster: d.Cluster, Node: d.Node, Reason: d.Reason, Error: d.Error,
		Deaths: d.Deaths, Bytes: len(d.Body), ReceivedAt: d.ReceivedAt.UTC(), DiedAt: d.DiedAt.UTC(),
	}
}
