package guard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"riposte/responder/action"
	"riposte/responder/playbook/sandbox"
	"riposte/responder/store"
)

// Release is the last look right before an effect: between the decision and now
// a kill switch may have been thrown, the playbook may have stepped back, the
// limits may be other ones, or a person may have been wrong about the budgets.
// Hold in the verdict says that asking again may get another answer.
func (g *Guard) Release(ctx context.Context, r action.Request) Verdict {
	v := g.release(ctx, r)
	g.count(v)
	return v
}

func (g *Guard) release(ctx context.Context, r action.Request) Verdict {
	if v := g.namespace(r.Target.Namespace); v.Outcome != "" {
		return v
	}
	if v := g.killed(r.Target.Cluster, ""); v.Outcome != "" {
		return held(v)
	}
	if g.parts.Store == nil {
		return Verdict{Outcome: Allow}
	}
	j, err := g.parts.Store.Judged(ctx, r.ID)
	var e Effect
	switch {
	case errors.Is(err, store.ErrNotFound):
		return refuse(RuleNotJudged, "the guard never judged this action")
	case err == nil:
		if err := json.Unmarshal(j.Effect, &e); err != nil {
			return refuse(RuleNotJudged, "what the guard judged cannot be read: %v", err)
		}
	}
	if err == nil {
		var v Verdict
		if v, err = g.again(ctx, &e, j); err == nil {
			return v
		}
	}
	return held(refuse(RuleUnavailable, "the guard cannot look: %s", sandbox.Plain(err.Error(), maxReason)))
}

func held(v Verdict) Verdict {
	v.Hold = true
	return v
}

// again asks what may have changed since the action was planned. What people have
// agreed about is not asked again.
func (g *Guard) again(ctx context.Context, e *Effect, j store.Judged) (Verdict, error) {
	if v := g.protectedEffect(e); v.Outcome != "" {
		return v, nil
	}
	if v := g.killed(e.Cluster, e.Playbook); v.Outcome != "" {
		return held(v), nil
	}
	for _, s := range switchesOf(j.Switches) {
		if s.stops(e) {
			return held(stoppedBy(s)), nil
		}
	}
	granted := func(rule string) bool { return slices.Contains(j.Granted, rule) }
	var asks []Verdict
	if j.Granted == nil {
		// What was reserved before its playbook stepped back is still within the budget.
		if j.Mode.SteppedBack != RuleBudgetPlaybook {
			switch v := g.inMode(e, j.Mode); v.Outcome {
			case Watch, Refuse:
				return refuse(v.Rule, "%s", v.Reason), nil
			case Ask:
				asks = append(asks, v)
			}
		}
	}
	asks = append(asks, g.consent(e)...)
	if v := g.learn(ctx, e); v.Outcome != "" {
		return v, nil
	}
	var t tallies
	limits := g.limits(e, true)
	t.want(limits)
	var err error
	if t.found, err = g.parts.Store.TalliesBefore(ctx, j.Seq, t.asked); err != nil {
		return Verdict{}, err
	}
	if e.Counted && j.Seq == 0 {
		return refuse(RuleNotJudged, "the action has no place in the budgets"), nil
	}
	asks = append(asks, t.judge(e, limits, nil)...)
	for _, v := range asks {
		if !granted(v.Rule) {
			return refuse(v.Rule, "%s", fmt.Sprintf("nobody agreed to this: %s", v.Reason)), nil
		}
	}
	return Verdict{Outcome: Allow}, nil
}
