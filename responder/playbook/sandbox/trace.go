package sandbox

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	opa "github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// RuleTrace is what became of one rule in one evaluation.
type RuleTrace struct {
	// Rule is its whole name, such as "data.playbooks.example.action".
	Rule         string
	File         string
	Line, Column int
	// True is how often its body held, Held its expressions as they did first.
	True int
	Held []Holding
	// Failed is the expression of the body that went farthest and did not hold. It is
	// nil for a rule that held or was never needed.
	Failed *Failure
}

// Holding is an expression that held, on one line, with what it was about.
type Holding struct {
	Line   int
	Text   string
	Values []Named
}

// Failure is an expression that was false or undefined.
type Failure struct {
	File         string
	Line, Column int
	// Text is the expression, on one line.
	Text string
	// Values are what it was about.
	Values []Named
	// Because is the rule that it refers to and that did not hold, if there is one.
	Because *RuleTrace

	index int
	refs  []ast.Ref
}

// Named is a reference or variable with its value, or "undefined".
type Named struct{ Name, Value string }

const (
	// maxTraced bounds what is kept of one text, in bytes, maxValues the values of one
	// expression, maxHeld the expressions of one rule, maxDepth how far Because goes, and
	// maxFrames the queries that are followed.
	maxTraced = 200
	maxValues = 8
	maxHeld   = 32
	maxDepth  = 5
	maxFrames = 100_000
)

// Trace evaluates as Eval does, and tells what became of each rule, in the order of
// their places. Every rule is tried, also those that an index would leave out.
func (q *Query) Trace(ctx context.Context, input ast.Value, now time.Time, limit time.Duration) (ast.Value, []*RuleTrace, error) {
	t := &tracer{input: input, frames: map[uint64]*RuleTrace{}, rules: map[*ast.Rule]*RuleTrace{}}
	value, err := q.eval(ctx, input, now, limit, opa.EvalQueryTracer(t), opa.EvalRuleIndexing(false), opa.EvalEarlyExit(false))
	return value, t.end(), err
}

type tracer struct {
	input  ast.Value
	frames map[uint64]*RuleTrace
	rules  map[*ast.Rule]*RuleTrace
}

// Enabled is for topdown.
func (t *tracer) Enabled() bool { return true }

// Config is for topdown.
func (t *tracer) Config() topdown.TraceConfig { return topdown.TraceConfig{PlugLocalVars: true} }

// TraceEvent is for topdown.
func (t *tracer) TraceEvent(e topdown.Event) {
	switch n := e.Node.(type) {
	case *ast.Rule:
		r := t.rules[n]
		if r == nil {
			r = &RuleTrace{Rule: n.Ref().GroundPrefix().String()}
			if n.Location != nil {
				r.File, r.Line, r.Column = n.Location.File, n.Location.Row, n.Location.Col
			}
			t.rules[n] = r
		}
		switch e.Op {
		case topdown.EnterOp:
			if len(t.frames) < maxFrames {
				t.frames[e.QueryID] = r
			}
		case topdown.ExitOp:
			if r.True++; r.True == 1 {
				r.Held = t.held(n, e)
			}
		}
	case *ast.Expr:
		if r := t.frames[e.QueryID]; r != nil && e.Op == topdown.FailOp && (r.Failed == nil || n.Index > r.Failed.index) {
			r.Failed = t.failure(n, e)
		}
	}
}

// held are a rule's expressions as they were written: of some the compiler has made
// several, whose texts are parts of the whole.
func (t *tracer) held(n *ast.Rule, e topdown.Event) []Holding {
	var all []Holding
	for _, x := range n.Body {
		if x.Location == nil {
			continue
		}
		h := Holding{Line: x.Location.Row, Text: oneLine(string(x.Location.Text))}
		part := func(of, whole Holding) bool { return of.Line == whole.Line && strings.Contains(whole.Text, of.Text) }
		if h.Text == "" || slices.ContainsFunc(all, func(o Holding) bool { return part(h, o) }) {
			continue
		}
		all = slices.DeleteFunc(all, func(o Holding) bool { return part(o, h) })
		if len(all) == maxHeld {
			break
		}
		h.Values = t.values(string(x.Location.Text), e)
		all = append(all, h)
	}
	return all
}

func (t *tracer) failure(n *ast.Expr, e topdown.Event) *Failure {
	f := &Failure{index: n.Index}
	if loc := n.Location; loc != nil {
		f.File, f.Line, f.Column, f.Text = loc.File, loc.Row, loc.Col, oneLine(string(loc.Text))
		f.Values = t.values(string(loc.Text), e)
	}
	ast.WalkRefs(n, func(r ast.Ref) bool {
		if r.HasPrefix(ast.DefaultRootRef) {
			f.refs = append(f.refs, r.GroundPrefix())
		}
		return false
	})
	return f
}

// values looks up what an expression, as it was written, speaks of.
func (t *tracer) values(text string, e topdown.Event) []Named {
	body, err := ast.ParseBodyWithOpts(text, ast.ParserOptions{RegoVersion: ast.RegoV1, Capabilities: capabilities})
	if err != nil {
		return nil
	}
	var out []Named
	add := func(name string, v ast.Value) {
		if len(out) == maxValues || slices.ContainsFunc(out, func(n Named) bool { return n.Name == name }) {
			return
		}
		shown := "undefined"
		if v != nil {
			shown = oneLine(v.String())
		}
		out = append(out, Named{name, shown})
	}
	locals := map[ast.Var]ast.Value{}
	if e.Locals != nil {
		e.Locals.Iter(func(k, v ast.Value) bool {
			if name, ok := k.(ast.Var); ok {
				if m, there := e.LocalMetadata[name]; there {
					name = m.Name
				}
				locals[name] = v
			}
			return false
		})
	}
	ast.WalkTerms(body, func(x *ast.Term) bool {
		switch v := x.Value.(type) {
		case ast.Ref:
			if head, ok := v[0].Value.(ast.Var); ok && v.IsGround() {
				switch root := locals[head]; {
				case head.Equal(ast.InputRootDocument.Value):
					add(v.String(), find(t.input, v[1:]))
				case root != nil:
					add(v.String(), find(root, v[1:]))
				}
				return true
			}
		case ast.Var:
			if root := locals[v]; root != nil && !v.IsWildcard() {
				add(string(v), root)
			}
		}
		return false
	})
	return out
}

func find(v ast.Value, path ast.Ref) ast.Value {
	if len(path) == 0 {
		return v
	}
	found, err := v.Find(path)
	if err != nil {
		return nil
	}
	return found
}

func oneLine(s string) string { return Plain(strings.Join(strings.Fields(s), " "), maxTraced) }

// end links failures with the rules that they failed for, and sorts.
func (t *tracer) end() []*RuleTrace {
	all := make([]*RuleTrace, 0, len(t.rules))
	byName := map[string]*RuleTrace{}
	for _, r := range t.rules {
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b *RuleTrace) int {
		if d := strings.Compare(a.File, b.File); d != 0 {
			return d
		}
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	for _, r := range all {
		if r.True > 0 {
			r.Failed = nil
		}
		// Of several definitions of one rule the one that went farthest is the nearest.
		if old := byName[r.Rule]; old == nil || old.True == 0 && (r.True > 0 || old.progress() < r.progress()) {
			byName[r.Rule] = r
		}
	}
	for _, r := range all {
		r.link(byName, maxDepth)
	}
	return all
}

func (r *RuleTrace) progress() int {
	if r.Failed == nil {
		return -1
	}
	return r.Failed.index
}

func (r *RuleTrace) link(byName map[string]*RuleTrace, depth int) {
	f := r.Failed
	if f == nil || f.Because != nil || depth == 0 {
		return
	}
	for _, ref := range f.refs {
		for n := len(ref); n > 1; n-- {
			if other := byName[ref[:n].String()]; other != nil && other != r && other.True == 0 && other.Failed != nil {
				f.Because = other
				other.link(byName, depth-1)
				return
			}
		}
	}
}
