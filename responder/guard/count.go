package guard

import (
	"fmt"
	"time"

	"riposte/responder/store"
)

const (
	// shareSpan is within which time the kills of a workload's replicas add up.
	shareSpan = time.Minute
	// cordonSpan is how long a node that we cordoned counts as such, whatever the API
	// server says: longer than an action waits for its execution.
	cordonSpan = 15 * time.Minute
	// many bounds the answers whose size is no question of a limit.
	many = 10_000
)

// limit is one counting rule as it applies to one effect.
type limit struct {
	rule  string
	tally store.Tally
	// judge is told how many subjects count already, without the effect's own unless
	// the rule is about repetition, and which they all are.
	judge func(others int, all map[string]bool) Verdict
}

// limits are what an effect is measured against. A claim leaves out what is about
// the moment of the decision: whether something was done shortly before; and the
// budgets, unless they are other ones now: what was reserved before this one has
// only become less since.
func (g *Guard) limits(e *Effect, claim bool) []limit {
	if !e.Counted {
		return nil
	}
	set := g.settings()
	l := &set.limits
	var all []limit
	for _, k := range e.keys() {
		budgets := k.Scope
		if claim && e.Limits == set.fingerprint {
			budgets = ""
		}
		switch budgets {
		case scopePlaybook:
			all = append(all, budget(RuleBudgetPlaybook, k, l.of(e.Playbook), "playbook "+e.Playbook))
		case scopeWorkload:
			all = append(all, budget(RuleBudgetWorkload, k, l.Workload, "workload "+e.Namespace+"/"+e.Workload))
		case scopeNamespace:
			all = append(all, budget(RuleBudgetNamespace, k, l.Namespace, "namespace "+e.Namespace))
		case scopeNode:
			all = append(all, budget(RuleBudgetNode, k, l.Node, "node "+e.Node))
		case scopeCluster:
			all = append(all, budget(RuleBudgetCluster, k, l.Cluster, "cluster "+e.Cluster))
		}
		switch {
		case k.Scope == scopeTarget && l.Cooldown > 0 && !claim:
			all = append(all, limit{RuleCooldown, store.Tally{CountKey: k, Type: e.Type, Span: l.Cooldown, Limit: 1}, func(others int, _ map[string]bool) Verdict {
				if others == 0 {
					return Verdict{}
				}
				return refuse(RuleCooldown, "%s was done to this target less than %s ago", e.Type, l.Cooldown)
			}})
		case k.Scope == scopeWorkload && e.Kills:
			all = append(all, g.share(e, k))
			if l.LoopWindow > 0 && !claim {
				all = append(all, limit{RuleLoop, store.Tally{CountKey: k, Kills: true, Span: l.LoopWindow, Settle: l.LoopSettle, Limit: 1}, func(others int, _ map[string]bool) Verdict {
					if others == 0 {
						return Verdict{}
					}
					return ask(RuleLoop, "%s of namespace %s was killed within the last %s and offends again: killing does not help", e.Workload, e.Namespace, l.LoopWindow)
				}})
			}
		case k.Scope == scopeCordon:
			all = append(all, g.cordons(e, k))
		}
	}
	return all
}

func ask(rule, format string, args ...any) Verdict {
	return Verdict{Outcome: Ask, Rule: rule, Reason: fmt.Sprintf(format, args...)}
}

func budget(rule string, k store.CountKey, b Budget, whose string) limit {
	return limit{rule, store.Tally{CountKey: k, Span: b.Window, Limit: b.Count + 1}, func(others int, _ map[string]bool) Verdict {
		if others < b.Count {
			return Verdict{}
		}
		return ask(rule, "the budget of %s is used up: %s", whose, b)
	}}
}

// share is about a workload's ready replicas. Those that were just killed may or
// may not be missing among the ready ones already; they count as ready before.
func (g *Guard) share(e *Effect, k store.CountKey) limit {
	most := g.settings().limits.ReadyShare
	return limit{RuleShare, store.Tally{CountKey: k, Kills: true, Span: shareSpan, Limit: many}, func(others int, _ map[string]bool) Verdict {
		allowed := max(1, (e.facts.ready+others)*most/100)
		if others < allowed {
			return Verdict{}
		}
		return ask(RuleShare, "%d replicas of %s were killed within a minute, %d are ready, and %d %% may go at once", others, e.Workload,
			e.facts.ready, most)
	}}
}

func (g *Guard) cordons(e *Effect, k store.CountKey) limit {
	most := g.settings().limits.CordonedNodes
	return limit{RuleCordoned, store.Tally{CountKey: k, Span: cordonSpan, Limit: many}, func(off int, ours map[string]bool) Verdict {
		for _, n := range e.facts.cordoned {
			if s := nodeSubject(e.Cluster, n); s != e.Subject && !ours[s] {
				off++
			}
		}
		if off < most {
			return Verdict{}
		}
		return ask(RuleCordoned, "%d nodes of cluster %s take no new pods, and %d may at once", off, e.Cluster, most)
	}}
}

// repeats are the rules that are about the effect's own subject too.
func repeats(rule string) bool { return rule == RuleCooldown || rule == RuleLoop }

// tallies collects the questions of many effects, each once, and their answers.
type tallies struct {
	at    map[store.Tally]int
	byKey map[store.CountKey][]int
	asked []store.Tally
	found []map[string]bool
}

func (t *tallies) want(all []limit) {
	if t.at == nil {
		t.at, t.byKey = map[store.Tally]int{}, map[store.CountKey][]int{}
	}
	for _, l := range all {
		if _, there := t.at[l.tally]; !there {
			t.at[l.tally] = len(t.asked)
			t.byKey[l.tally.CountKey] = append(t.byKey[l.tally.CountKey], len(t.asked))
			t.asked = append(t.asked, l.tally)
		}
	}
}

// answer takes what the store found.
func (t *tallies) answer(found [][]string) {
	t.found = make([]map[string]bool, len(t.asked))
	for i := range t.found {
		t.found[i] = map[string]bool{}
	}
	for i, subjects := range found {
		for _, s := range subjects {
			t.found[i][s] = true
		}
	}
}

// accept counts an effect for those that are judged after it.
func (t *tallies) accept(e *Effect) {
	for _, k := range e.keys() {
		for _, i := range t.byKey[k] {
			if q := &t.asked[i]; q.Settle == 0 && (!q.Kills || e.Kills) && (q.Type == "" || q.Type == e.Type) {
				t.found[i][e.Subject] = true
			}
		}
	}
}

// judge measures an effect against its limits. It returns every verdict.
func (t *tallies) judge(e *Effect, all []limit) []Verdict {
	var out []Verdict
	for _, l := range all {
		set := t.found[t.at[l.tally]]
		n := len(set)
		if set[e.Subject] && !repeats(l.rule) {
			n--
		}
		if v := l.judge(n, set); v.Outcome != "" {
			out = append(out, v)
		}
	}
	return out
}
