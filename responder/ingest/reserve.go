package ingest

import (
	"context"

	"riposte/responder/audit"
	"riposte/responder/guard"
	"riposte/responder/store"
)

// states are what an action becomes by the guard's verdict about it.
var states = map[guard.Outcome]string{guard.Allow: "planned", guard.Watch: "observed", guard.Ask: "waiting", guard.Refuse: "refused"}

// reserve has the guard count, and change the rows of, the actions that were stored
// under their own id and may come to an effect. It changes the actions to what they
// became, and fates: one that people would be asked about joins the one that they are
// asked about already.
func (in *Ingest) reserve(ctx context.Context, tx store.Tx, actions []proposed, fates []store.Planned) ([]audit.Entry, error) {
	var asked []guard.Proposed
	var at []*proposed
	var which []*store.Planned
	until := in.Now().Add(in.ApprovalTTL).UnixNano()
	for i := range actions {
		a, fate := &actions[i], &fates[i]
		if a.effect == nil || fate.Joined != "" {
			continue
		}
		e := *a.effect
		e.ActionID = a.ID
		asked = append(asked, guard.Proposed{Effect: &e, Waiting: a.State == "waiting", Rule: a.RefusedBy, Reason: a.Note, AskUntil: until, Instead: fate.Superseded})
		at, which = append(at, a), append(which, fate)
	}
	r, err := in.Guard.Reserve(ctx, tx, asked)
	if err != nil {
		return nil, err
	}
	for i, v := range r.Verdicts {
		at[i].State, at[i].RefusedBy, at[i].Note = states[v.Outcome], v.Rule, v.Reason
		waiting := which[i].Superseded
		if waiting == "" || v.Outcome == guard.Allow {
			continue
		}
		which[i].Superseded = ""
		if v.Outcome != guard.Ask {
			continue
		}
		which[i].Joined = waiting
		for j := range fates {
			if fates[j].Joined == at[i].ID {
				fates[j].Joined = waiting
			}
		}
	}
	return r.Entries, nil
}
