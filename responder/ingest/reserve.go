package ingest

import (
	"context"
	"slices"

	"riposte/responder/audit"
	"riposte/responder/guard"
	"riposte/responder/store"
)

// states are what an action becomes by the guard's verdict about it.
var states = map[guard.Outcome]string{guard.Allow: "planned", guard.Watch: "observed", guard.Ask: "waiting", guard.Refuse: "refused"}

// reserve has the guard count, and change the rows of, the actions that were stored under their own id and
// may come to an effect. It returns the drafts with the actions as they became;
// the given ones stay as they are, because the transaction may be repeated. fates
// are changed: one that people would be asked about joins the one that they are
// asked about already.
func (in *Ingest) reserve(ctx context.Context, tx store.Tx, fresh []draft, fates []store.Planned) ([]draft, []audit.Entry, error) {
	fresh = slices.Clone(fresh)
	var asked []guard.Proposed
	var at []*proposed
	var which []*store.Planned
	all := fates
	until := in.Now().Add(in.ApprovalTTL).UnixNano()
	for i := range fresh {
		fresh[i].actions = slices.Clone(fresh[i].actions)
		for j := range fresh[i].actions {
			a := &fresh[i].actions[j]
			fate := &fates[0]
			fates = fates[1:]
			if a.effect == nil || fate.Joined != "" {
				continue
			}
			e := *a.effect
			e.ActionID = a.ID
			asked = append(asked, guard.Proposed{Effect: &e, Waiting: a.State == "waiting", Rule: a.RefusedBy, Reason: a.Note, AskUntil: until, Instead: fate.Superseded})
			at, which = append(at, a), append(which, fate)
		}
	}
	r, err := in.Guard.Reserve(ctx, tx, asked)
	if err != nil {
		return nil, nil, err
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
		for j := range all {
			if all[j].Joined == at[i].ID {
				all[j].Joined = waiting
			}
		}
	}
	return fresh, r.Entries, nil
}
