package server

import (
	"context"

	"riposte/responder/api"
	"riposte/responder/store"
)

var decisionParameters = paged(
	parameter{name: "playbook"}, parameter{name: "state", kind: wordKind, enum: api.DecisionStates},
	parameter{name: "alert", says: "An alert's id or its last twelve digits."}, sinceParameter,
)

func decisionFilter(c *call) store.DecisionSearch {
	return store.DecisionSearch{Playbook: c.text("playbook"), State: c.text("state"), Alert: c.text("alert"), Since: c.since()}
}

func (s *Server) showDecision(ctx context.Context, c *call) (any, error) {
	row, err := s.Store.Decision(ctx, c.in, c.id())
	if err != nil {
		return nil, err
	}
	d := decisionResource(row)
	input, err := s.Store.DecisionInput(ctx, row.ID)
	d.Input = rawJSON(input)
	return d, err
}

func decisionResource(d store.ListedDecision) api.Decision {
	return api.Decision{
		ID: d.ID, AlertID: d.AlertID, Cluster: d.Cluster, Rule: d.Rule, Playbook: d.Playbook, Revision: d.Revision, Mode: d.Mode, State: d.State,
		Reason: d.Reason, Count: d.Count, DecidedAt: at(d.DecidedNS), Result: maybeJSON(d.Result),
	}
}
