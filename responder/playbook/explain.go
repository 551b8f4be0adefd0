package playbook

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"

	"riposte/responder/playbook/sandbox"
)

// Explanation says why one playbook does what it does about one input, or nothing.
type Explanation struct {
	Playbook *Playbook
	// Misses are the keys of the trigger that do not fit, and why. It was not asked then.
	Misses   []string
	Decision Decision
	// Actions are its rules "action", in the order of their places.
	Actions []*sandbox.RuleTrace
}

// Explain asks every playbook about an input and looks on. First come those that act,
// then those that were asked in vain, then those whose triggers do not fit, the
// nearest first.
func (s *Set) Explain(ctx context.Context, r *Recorded) []Explanation {
	all := make([]Explanation, 0, len(s.playbooks))
	for _, p := range s.playbooks {
		all = append(all, s.explain(ctx, p, r))
	}
	slices.SortStableFunc(all, func(a, b Explanation) int { return cmp.Compare(a.distance(), b.distance()) })
	return all
}

func (s *Set) explain(ctx context.Context, p *Playbook, r *Recorded) Explanation {
	e := Explanation{Playbook: p, Misses: p.Trigger.Misses(r.Input.Alert)}
	if len(e.Misses) > 0 {
		return e
	}
	e.Decision = s.Replay(ctx, p, r)
	if r.value != nil {
		// Its error is the decision's refusal.
		_, rules, _ := p.query.Trace(ctx, r.value, r.Input.Now, s.options.Deadline)
		e.Actions = slices.DeleteFunc(rules, func(t *sandbox.RuleTrace) bool { return t.Rule != "data."+playbookPackage+p.Name+".action" })
	}
	return e
}

// ErrNotLoaded says that no playbook of a name is loaded.
var ErrNotLoaded = errors.New("no playbook of this name is loaded")

// Explain asks one playbook of the current set about an input's JSON and looks on.
func (h *Holder) Explain(ctx context.Context, name string, input json.RawMessage) (Explanation, error) {
	return h.Set().ExplainOne(ctx, name, input)
}

// ExplainOne asks one playbook about an input's JSON and looks on.
func (s *Set) ExplainOne(ctx context.Context, name string, input json.RawMessage) (Explanation, error) {
	i := slices.IndexFunc(s.playbooks, func(p *Playbook) bool { return p.Name == name })
	if i < 0 {
		return Explanation{}, ErrNotLoaded
	}
	r, err := ReadRecorded(input)
	if err != nil {
		return Explanation{}, err
	}
	return s.explain(ctx, s.playbooks[i], r), nil
}

func (e Explanation) distance() int {
	switch {
	case len(e.Misses) > 0:
		return 2 + len(e.Misses)
	case len(e.Decision.Proposals) == 0:
		return 1
	}
	return 0
}
