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
// the given ones stay as they are, because the transaction may be repeated.
func (in *Ingest) reserve(ctx context.Context, tx store.Tx, fresh []draft, fates []store.Planned) ([]draft, []audit.Entry, error) {
	fresh = slices.Clone(fresh)
	var asked []guard.Proposed
	var at []*proposed
	until := in.Now().Add(in.ApprovalTTL).UnixNano()
	for i := range fresh {
		fresh[i].actions = slices.Clone(fresh[i].actions)
		for j := range fresh[i].actions {
			a := &fresh[i].actions[j]
			fate := fates[0]
			fates = fates[1:]
			if a.effect == nil || fate.Joined != "" {
				continue
			}
			e := *a.effect
			e.ActionID = a.ID
			asked = append(asked, guard.Proposed{Effect: &e, Waiting: a.State == "waiting", Rule: a.RefusedBy, Reason: a.Note, AskUntil: until})
			at = append(at, a)
		}
	}
	r, err := in.Guard.Reserve(ctx, tx, asked)
	if err != nil {
		return nil, nil, err
	}
	for i, v := range r.Verdicts {
		at[i].State, at[i].RefusedBy, at[i].Note = states[v.Outcome], v.Rule, v.Reason
	}
	return fresh, r.Entries, nil
}
