package server

import (
	"context"
	"encoding/json"
	"fmt"

	"riposte/responder/api"
	"riposte/responder/playbook/sandbox"
	"riposte/responder/store"
)

// fired puts a decision's input to its playbook again, as it was then, and tells which
// rules fired and on what; else note says why that cannot be told.
func (s *Server) fired(ctx context.Context, d store.ListedDecision, input string) (rules []api.StoryRule, note string) {
	rules = []api.StoryRule{}
	if s.Explain == nil {
		return rules, "this server has no playbooks to ask"
	}
	e, err := s.Explain(ctx, d.Playbook, d.Revision, json.RawMessage(input))
	switch {
	case err != nil:
		return rules, fmt.Sprintf("it cannot be asked again: %v", err)
	case e.Playbook.Revision != d.Revision:
		return rules, fmt.Sprintf("it decided at revision %.12s and is loaded at %.12s: what it was then is not kept, so what fired is not known", d.Revision, e.Playbook.Revision)
	case len(e.Misses) > 0:
		return rules, "its trigger does not fit the recorded input"
	case e.Decision.Refusal != "":
		note = "asked again it was refused: " + e.Decision.Refusal
	}
	for _, r := range e.Actions {
		if r.True > 0 {
			rules = append(rules, ruleResource(r))
		}
	}
	return rules, note
}

func ruleResource(r *sandbox.RuleTrace) api.StoryRule {
	one := api.StoryRule{Rule: r.Rule, File: r.File, Line: r.Line, Conditions: []api.StoryCondition{}}
	for _, h := range r.Held {
		c := api.StoryCondition{Line: h.Line, Text: h.Text}
		for _, v := range h.Values {
			c.Values = append(c.Values, api.StoryValue(v))
		}
		one.Conditions = append(one.Conditions, c)
	}
	return one
}
