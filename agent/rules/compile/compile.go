// Package compile turns a condition's tree into something that runs: it resolves
// macros and fields, checks types, folds constants, infers the events for which
// the condition can be true, and plans the rest as a tree of closures.
//
// A check whose field is NULL is false whatever its operator, so "a != b" is
// false and "not a = b" is true for a missing a. Checks run from left to right
// and stop as soon as the answer is known.
package compile

import (
	"fmt"

	"riposte/agent/event"
	"riposte/agent/rules/syntax"
)

// Limits of one condition with its macros in place. A condition of a rule that a
// person wrote has a few hundred checks.
const (
	MaxChecks     = 100_000
	MaxMacroDepth = 1000
)

// Error is what is wrong with a condition. Pos is a place in the text of Macro,
// or in the condition's own text if Macro is empty.
type Error struct {
	Pos   syntax.Pos
	Macro string
	Msg   string
	// Kind says what the mistake is about.
	Kind Kind
}

// Kind of an error or warning.
type Kind uint8

// The kinds. Unknown: a field or event type that does not exist; Undefined: a
// macro that does not exist. The others are warnings: Deprecated fields; Unsafe
// comparisons with the text <NA>; Odd is what can be written better, or is
// probably not what was meant.
const (
	Invalid Kind = iota
	Unknown
	Undefined
	Deprecated
	Unsafe
	Odd
)

// Error is the message, with the macro that it is about.
func (e *Error) Error() string {
	if e.Macro != "" {
		return fmt.Sprintf("macro %s: %s: %s", e.Macro, e.Pos, e.Msg)
	}
	return fmt.Sprintf("%s: %s", e.Pos, e.Msg)
}

// Macro is a named condition. It sees only the macros whose Index is below its
// Visibility: those that were defined before it was last touched.
type Macro struct {
	Name              string
	Body              syntax.Node
	Index, Visibility int
}

// Compiler compiles conditions that share macros; each macro is compiled once, and
// so is each condition that several of them contain. It is not safe for concurrent use.
type Compiler struct {
	graph  *graph
	macros map[string]*macro
	names  []string
	// path is the macros that are being compiled, outermost first.
	path     []string
	warnings []*Error
	hosts    map[string]struct{}
}

type macro struct {
	Macro
	resolving, resolved bool
	open, done, used    bool
	part                part
	err                 error
}

// New prepares a compiler for one set of macros.
func New(macros []Macro) *Compiler {
	c := &Compiler{graph: newGraph(), macros: make(map[string]*macro, len(macros)), hosts: map[string]struct{}{}}
	for _, m := range macros {
		c.macros[m.Name] = &macro{Macro: m}
		c.names = append(c.names, m.Name)
	}
	return c
}

// Program is a compiled condition. It is safe for concurrent use.
type Program struct {
	root *node
	eval func(*event.Event) bool
	// Types are the events for which the condition can be true.
	Types Set
	// Checks is how many comparisons the condition has with its macros in place.
	Checks int
}

// Match evaluates the condition alone: from left to right, and nothing is kept. A
// Matcher is faster with many conditions.
func (p *Program) Match(e *event.Event) bool { return p.eval(e) }

// Compile compiles one condition. The error is an *Error.
func (c *Compiler) Compile(n syntax.Node) (*Program, error) {
	p, err := c.node(n)
	if err != nil {
		return nil, err
	}
	return &Program{root: p.node, eval: p.plain(), Types: p.yes, Checks: p.checks}, nil
}

// Warnings takes the warnings that were found since it was asked last. Those of
// a macro are found once, by the first condition that uses it.
func (c *Compiler) Warnings() []*Error {
	list := c.warnings
	c.warnings = nil
	return list
}

// Used says that a compiled condition refers to the macro, directly or not.
func (c *Compiler) Used(name string) bool {
	m := c.macros[name]
	return m != nil && m.used
}

func (c *Compiler) errorAt(p syntax.Pos, format string, args ...any) error {
	return c.problem(Invalid, p, fmt.Sprintf(format, args...))
}

func (c *Compiler) problem(kind Kind, p syntax.Pos, msg string) *Error {
	e := &Error{Pos: p, Msg: msg, Kind: kind}
	if len(c.path) > 0 {
		e.Macro = c.path[len(c.path)-1]
	}
	return e
}

// maxWarnings is how many warnings of one condition are kept.
const maxWarnings = 100

func (c *Compiler) warn(kind Kind, p syntax.Pos, msg string) {
	if len(c.warnings) < maxWarnings {
		c.warnings = append(c.warnings, c.problem(kind, p, msg))
	}
}

// part is a compiled node of the syntax tree.
type part struct {
	*node
	// yes and no are supersets of the events for which the node can be true and false.
	yes, no Set
	checks  int
}

func (c *Compiler) constant(v bool) part {
	if v {
		return part{node: c.graph.yes, yes: allEvents}
	}
	return part{node: c.graph.no, no: allEvents}
}

func (c *Compiler) node(n syntax.Node) (part, error) {
	switch n := n.(type) {
	case *syntax.And:
		return c.terms(n.Terms, false)
	case *syntax.Or:
		return c.terms(n.Terms, true)
	case *syntax.Not:
		p, err := c.node(n.X)
		if err != nil {
			return part{}, err
		}
		p.node = c.graph.negation(p.node)
		p.yes, p.no = p.no, p.yes
		return p, nil
	case *syntax.Macro:
		return c.macro(n)
	case *syntax.Check:
		p, err := c.check(n)
		p.checks = 1
		return p, err
	}
	return part{}, fmt.Errorf("unknown node %T", n)
}

// terms compiles an "and" or an "or".
func (c *Compiler) terms(nodes []syntax.Node, or bool) (part, error) {
	p := c.constant(!or)
	kids := make([]*node, 0, len(nodes))
	for _, n := range nodes {
		t, err := c.node(n)
		if err != nil {
			return part{}, err
		}
		if p.checks += t.checks; p.checks > MaxChecks {
			return part{}, c.errorAt(n.Start(), "the condition has more than %d checks with its macros in place", MaxChecks)
		}
		if or {
			p.yes, p.no = p.yes.Union(t.yes), p.no.Intersect(t.no)
		} else {
			p.yes, p.no = p.yes.Intersect(t.yes), p.no.Union(t.no)
		}
		kids = append(kids, t.node)
	}
	p.node = c.graph.join(or, kids)
	return p, nil
}

func (c *Compiler) macro(n *syntax.Macro) (part, error) {
	if err := c.visible(n); err != nil {
		return part{}, err
	}
	m := c.macros[n.Name]
	switch {
	case m.open:
		return part{}, c.loop(n)
	case len(c.path) >= MaxMacroDepth:
		return part{}, c.errorAt(n.Pos, "macros are nested deeper than %d levels", MaxMacroDepth)
	}
	m.used = true
	if !m.done {
		m.open = true
		c.path = append(c.path, n.Name)
		m.part, m.err = c.node(m.Body)
		c.path = c.path[:len(c.path)-1]
		m.open, m.done = false, true
	}
	return m.part, m.err
}
