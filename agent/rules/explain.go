package rules

import (
	"fmt"
	"strings"

	"riposte/agent/event"
	"riposte/agent/rules/compile"
	"riposte/agent/rules/field"
	"riposte/agent/rules/syntax"
)

// Part is a condition with its macros in place, as a tree that people can read.
type Part struct {
	// Text is "and", "or", "not" or a comparison.
	Text string
	// Macro is the macro that the part comes from, empty if it stands in the rule.
	Macro string
	// Scope is what the part depends on: the shortest-lived of its fields.
	Scope field.Scope
	// Cost is a rough measure: 1 is about one comparison of a field with a text.
	Cost  int
	Parts []*Part

	program *compile.Program
	left    []compile.Reader
	names   []string
}

// maxParts bounds what is explained of one condition.
const maxParts = 20_000

// Explain shows how a rule's condition is made up.
func (r *Ruleset) Explain(rule *Rule) (*Part, error) {
	x := explainer{rules: r}
	return x.part(rule.tree, "", 0)
}

// Expand puts macros into a condition. Where that would be too much they stay.
func (r *Ruleset) Expand(n syntax.Node) syntax.Node {
	left := maxParts
	return r.expandNode(n, &left, 0)
}

func (r *Ruleset) expandNode(n syntax.Node, left *int, depth int) syntax.Node {
	if *left--; *left < 0 || depth > syntax.MaxDepth {
		return n
	}
	terms := func(list []syntax.Node) []syntax.Node {
		out := make([]syntax.Node, len(list))
		for i, t := range list {
			out[i] = r.expandNode(t, left, depth+1)
		}
		return out
	}
	switch n := n.(type) {
	case *syntax.And:
		return &syntax.And{Terms: terms(n.Terms)}
	case *syntax.Or:
		return &syntax.Or{Terms: terms(n.Terms)}
	case *syntax.Not:
		return &syntax.Not{Pos: n.Pos, X: r.expandNode(n.X, left, depth+1)}
	case *syntax.Macro:
		if body := r.bodies[n.Name]; body != nil {
			return r.expandNode(body, left, depth+1)
		}
	}
	return n
}

type explainer struct {
	rules *Ruleset
	count int
}

func (x *explainer) part(n syntax.Node, macro string, depth int) (*Part, error) {
	if x.count++; x.count > maxParts || depth > syntax.MaxDepth {
		return nil, fmt.Errorf("the condition has more than %d parts", maxParts)
	}
	p := &Part{Macro: macro, Scope: field.Host}
	var terms []syntax.Node
	switch n := n.(type) {
	case *syntax.And:
		p.Text, terms = "and", n.Terms
	case *syntax.Or:
		p.Text, terms = "or", n.Terms
	case *syntax.Not:
		p.Text, terms = "not", []syntax.Node{n.X}
	case *syntax.Macro:
		return x.part(x.rules.bodies[n.Name], n.Name, depth+1)
	case *syntax.Check:
		return p, x.check(p, n)
	}
	for _, t := range terms {
		sub, err := x.part(t, "", depth+1)
		if err != nil {
			return nil, err
		}
		p.Parts = append(p.Parts, sub)
		p.Scope = min(p.Scope, sub.Scope)
		p.Cost += sub.Cost
	}
	return p, nil
}

func (x *explainer) check(p *Part, n *syntax.Check) (err error) {
	compiler := compile.New(nil)
	if p.program, err = compiler.Compile(n); err != nil {
		return err
	}
	p.Text, p.Cost = n.String(), compile.Cost(n)
	operands := []syntax.Operand{n.Left}
	if c, ok := n.Right.(*syntax.Call); ok {
		operands = append(operands, c)
		if c.Name == syntax.Val && len(c.Args) == 1 {
			operands[1] = c.Args[0]
		}
	}
	for _, o := range operands {
		for _, f := range syntax.Fields(o) {
			if ref, err := field.Resolve(f); err == nil {
				p.Scope = min(p.Scope, ref.Scope)
			}
		}
		r, err := compiler.Reader(o)
		if err != nil {
			return err
		}
		p.left = append(p.left, r)
		p.names = append(p.names, o.String())
	}
	return nil
}

// True evaluates the part for an event.
func (p *Part) True(e *event.Event) bool {
	switch {
	case p.program != nil:
		return p.program.Match(e)
	case p.Text == "not":
		return !p.Parts[0].True(e)
	}
	for _, sub := range p.Parts {
		if sub.True(e) == (p.Text == "or") {
			return p.Text == "or"
		}
	}
	return p.Text == "and"
}

// Values shows what a comparison's fields have for an event, such as
// proc.name is "sh". It is empty for a part that is no comparison.
func (p *Part) Values(e *event.Event) string {
	list := make([]string, len(p.left))
	for i, r := range p.left {
		shown, v := r.Read(e)
		if v == nil {
			shown = "missing"
		} else {
			shown = `"` + Escape(shown) + `"`
		}
		list[i] = p.names[i] + " is " + shown
	}
	return strings.Join(list, ", ")
}

// Reasons lists the comparisons that make the part what it is for an event:
// what would have to be otherwise for it to be the opposite.
func (p *Part) Reasons(e *event.Event) []*Part {
	if p.program != nil {
		return []*Part{p}
	}
	truth := p.True(e)
	var list []*Part
	for _, sub := range p.Parts {
		decides := p.Text == "not" || sub.True(e) == truth
		if decides {
			list = append(list, sub.Reasons(e)...)
		}
	}
	return list
}
