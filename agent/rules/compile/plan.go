package compile

import (
	"cmp"
	"slices"

	"riposte/agent/event"
)

// plan is what a Matcher does for one type of event: the conditions with the type
// filled in, regrouped by what they depend on.
type plan struct {
	// any says whether one of the conditions can be true for the process: if not,
	// nothing else is looked at.
	any   func(*event.Event) bool
	conds []conditionPlan
}

type conditionPlan struct {
	// index is the condition's place in the Matcher's list.
	index int
	// can says whether the condition can be true for the process, eval whether it is.
	can, eval func(*event.Event) bool
}

// planner makes the plan of one type of event.
type planner struct {
	m      *Matcher
	typ    event.Type
	typed  map[int]*node
	bounds map[bound]*node
	uses   map[int]int
	evals  map[int]func(*event.Event) bool
}

func (m *Matcher) plan(t event.Type) *plan {
	p := &planner{m: m, typ: t, typed: map[int]*node{}, bounds: map[bound]*node{}, uses: map[int]int{}, evals: map[int]func(*event.Event) bool{}}
	made := &plan{}
	var roots, gates []*node
	var indexes []int
	for i, c := range m.programs {
		root := p.regroup(p.fill(c.root))
		if root.op == never {
			continue
		}
		gate := p.bound(root, true)
		indexes = append(indexes, i)
		roots, gates = append(roots, root), append(gates, gate)
	}
	// The nodes that several conditions, or several parts of one, refer to are kept
	// for the rest of an event.
	seen := map[int]bool{}
	for _, r := range roots {
		p.count(r, seen)
	}
	for i, r := range roots {
		made.conds = append(made.conds, conditionPlan{index: indexes[i], can: p.eval(gates[i]), eval: p.eval(r)})
	}
	made.any = p.eval(m.graph.join(true, gates))
	return made
}

// fill puts the type of event into a condition.
func (p *planner) fill(n *node) *node {
	if done := p.typed[n.id]; done != nil {
		return done
	}
	out := n
	switch {
	case n.op == ofTypes && p.typ != event.Syscall:
		// The type syscall stands for many calls without an event of their own.
		out = p.m.graph.constant(n.types.has(p.typ))
	case n.op == not:
		out = p.m.graph.negation(p.fill(n.kids[0]))
	case n.op == and || n.op == or:
		kids := make([]*node, len(n.kids))
		for i, k := range n.kids {
			kids[i] = p.fill(k)
		}
		out = p.m.graph.join(n.op == or, kids)
	}
	p.typed[n.id] = out
	return out
}

// regroup moves what depends on the process alone to the front and makes one node
// of it, and what is dear to the end. Conditions have no side effects, so their order
// is free.
func (p *planner) regroup(n *node) *node {
	switch {
	case !n.event || n.op != not && n.op != and && n.op != or:
		return n
	case n.op == not:
		return p.m.graph.negation(p.regroup(n.kids[0]))
	}
	var own, rest []*node
	for _, k := range n.kids {
		if k.event {
			rest = append(rest, p.regroup(k))
		} else {
			own = append(own, k)
		}
	}
	for _, list := range [][]*node{own, rest} {
		slices.SortStableFunc(list, func(a, b *node) int { return cmp.Compare(a.cost/dear, b.cost/dear) })
	}
	if len(own) > 0 {
		rest = slices.Insert(rest, 0, p.m.graph.join(n.op == or, own))
	}
	return p.m.graph.group(n.op == or, rest)
}

// dear is the cost from which a comparison is better made after the others.
const dear = 20

type bound struct {
	id    int
	upper bool
}

// bound is the nearest condition of the process alone that is true whenever n can be
// (upper), or that is only true if n is true in any case.
func (p *planner) bound(n *node, upper bool) *node {
	if !n.event {
		return n
	}
	key := bound{n.id, upper}
	if done := p.bounds[key]; done != nil {
		return done
	}
	var out *node
	switch n.op {
	case not:
		out = p.m.graph.negation(p.bound(n.kids[0], !upper))
	case and, or:
		kids := make([]*node, len(n.kids))
		for i, k := range n.kids {
			kids[i] = p.bound(k, upper)
		}
		out = p.m.graph.join(n.op == or, kids)
	default:
		out = p.m.graph.constant(upper)
	}
	p.bounds[key] = out
	return out
}

// count counts how often a node of event scope is referred to.
func (p *planner) count(n *node, seen map[int]bool) {
	p.uses[n.id]++
	if seen[n.id] || !n.event {
		return
	}
	seen[n.id] = true
	for _, k := range n.kids {
		p.count(k, seen)
	}
}

// eval makes a node's closure: the answer to a condition of the process is kept with
// the process, that of a shared one for the event.
func (p *planner) eval(n *node) func(*event.Event) bool {
	if done := p.evals[n.id]; done != nil {
		return done
	}
	var f func(*event.Event) bool
	switch {
	case !n.event:
		f = p.m.remembered(n)
	default:
		f = n.closure(p.eval)
		if p.uses[n.id] > 1 {
			f = p.m.shared(n, f)
		}
	}
	p.evals[n.id] = f
	return f
}
