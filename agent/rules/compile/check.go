package compile

import (
	"fmt"
	"strconv"

	"riposte/agent/event"
	"riposte/agent/rules/field"
	"riposte/agent/rules/syntax"
)

// source is a side of a check that is read from the event: a field or a transformer.
type source struct {
	typ  field.Type
	many field.Many
	read func(e *event.Event, i int) field.Value
	// ref is set for a plain field.
	ref *field.Ref
	// event says that the value depends on more than the process and its container.
	event bool
}

// test compares a value that is not NULL with what it was made for.
type test func(v field.Value) bool

func (c *Compiler) check(n *syntax.Check) (part, error) {
	left, err := c.source(n.Left)
	if err != nil {
		return part{}, err
	}
	c.lint(n, left)
	if left.ref != nil {
		p, special, err := c.special(n, left.ref)
		if special || err != nil {
			return p, err
		}
	}
	if n.Op == syntax.Exists {
		read := left.read
		return c.atom(n, left, func(e *event.Event) bool { return read(e, 0).OK }), nil
	}
	if !allowed(left.typ, n.Op) {
		return part{}, c.errorAt(n.OpPos, "operator %s cannot be used with %s, which is of type %s", n.Op, n.Left, left.typ)
	}
	if call, ok := n.Right.(*syntax.Call); ok {
		right, err := c.rightSource(n, left, call)
		if err != nil {
			return part{}, err
		}
		eval, err := c.compareSources(n, left, right)
		left.event = left.event || right.event
		return c.atom(n, left, eval), err
	}
	t, err := c.literalTest(n, left.typ)
	if err != nil {
		return part{}, err
	}
	if l, ok := n.Right.(*syntax.List); ok && left.typ == field.Net && left.many == field.EitherEnd && len(l.Items) > 1 {
		// Falco looks at the first value alone here; of the others only the form counts.
		if t, err = c.valueTest(syntax.Eq, left.typ, l.Items[0].(*syntax.Value)); err != nil {
			return part{}, err
		}
	}
	if left.many == field.Domains {
		c.notice(n.Right)
		if n.Op == syntax.Ne {
			return c.otherName(n, left)
		}
	}
	return c.atom(n, left, apply(left, n.Op, t)), nil
}

// atom is a comparison that can be true or false for any type of event. Of a field
// that is always NULL it is false, though no type is ruled out by that.
func (c *Compiler) atom(n *syntax.Check, left source, eval func(*event.Event) bool) part {
	p := part{node: c.graph.no, yes: allEvents, no: allEvents}
	if left.ref == nil || left.ref.Captured() {
		p.node = c.graph.atom(n.String(), left.event, Cost(n), eval)
		p.cover = coverOf(n, left)
	}
	return p
}

// apply runs a test over the value or values of a source.
func apply(s source, op syntax.Op, t test) func(*event.Event) bool {
	read := s.read
	switch {
	case s.many == field.One && s.ref != nil:
		get, arg := s.ref.Getter(), s.ref.Argument
		return func(e *event.Event) bool {
			v := get(e, arg, 0)
			return v.OK && t(v)
		}
	case s.many == field.One:
		return func(e *event.Event) bool {
			v := read(e, 0)
			return v.OK && t(v)
		}
	case s.many == field.EitherEnd && op == syntax.Ne:
		return func(e *event.Event) bool {
			known := false
			for i := 0; ; i++ {
				v := read(e, i)
				if !v.OK {
					return known
				}
				if !t(v) {
					return false
				}
				known = true
			}
		}
	}
	return func(e *event.Event) bool {
		for i := 0; ; i++ {
			v := read(e, i)
			if !v.OK {
				return false
			}
			if t(v) {
				return true
			}
		}
	}
}

// special compiles the fields whose values are known before any event.
func (c *Compiler) special(n *syntax.Check, ref *field.Ref) (part, bool, error) {
	switch ref.Name {
	case "evt.type":
		return c.eventType(n)
	case "evt.dir":
		if v, ok := n.Right.(*syntax.Value); ok && n.Mod == "" {
			switch n.Op {
			case syntax.Eq, syntax.Eq2:
				return c.constant(v.Text == "<"), true, nil
			case syntax.Ne:
				return c.constant(v.Text != "<"), true, nil
			}
		}
	case "evt.around":
		if n.Op != syntax.Eq && n.Op != syntax.Eq2 {
			return part{}, true, c.errorAt(n.OpPos, "evt.around is only compared with =")
		}
		v, ok := n.Right.(*syntax.Value)
		if !ok {
			return part{}, true, c.errorAt(n.OpPos, "evt.around is only compared with a number of milliseconds")
		}
		limit, err := c.valueTest(syntax.Le, field.Uint64, v)
		around := *ref
		return c.atom(n, source{ref: ref, event: true}, func(e *event.Event) bool { return limit(around.Read(e)) }), true, err
	case "evt.num":
		if always, ok := eventNumber(n); ok {
			return c.constant(always), true, nil
		}
	}
	return part{}, false, nil
}

// eventNumber folds comparisons that cannot change, because numbers begin at 1:
// evt.num=0 is how rules write "never".
func eventNumber(n *syntax.Check) (always, ok bool) {
	v, ok := n.Right.(*syntax.Value)
	if !ok || n.Mod != "" {
		return false, false
	}
	x, err := strconv.ParseInt(v.Text, 10, 64)
	if err != nil || x < 0 {
		return false, false
	}
	switch {
	case x == 0 && (n.Op == syntax.Eq || n.Op == syntax.Eq2 || n.Op == syntax.Le), x <= 1 && n.Op == syntax.Lt:
		return false, true
	case x == 0 && (n.Op == syntax.Ne || n.Op == syntax.Gt), x <= 1 && n.Op == syntax.Ge:
		return true, true
	}
	return false, false
}

// eventType compiles = != and in on evt.type to a set, and checks the names.
func (c *Compiler) eventType(n *syntax.Check) (part, bool, error) {
	if _, ok := n.Right.(*syntax.Call); ok {
		return part{}, true, c.errorAt(n.Right.Start(), "evt.type cannot be compared with a field")
	}
	var values []*syntax.Value
	switch r := n.Right.(type) {
	case *syntax.Value:
		values = append(values, r)
	case *syntax.List:
		for _, item := range r.Items {
			values = append(values, item.(*syntax.Value))
		}
	}
	if n.Mod != "" || n.Op != syntax.Eq && n.Op != syntax.Eq2 && n.Op != syntax.Ne && n.Op != syntax.In {
		return part{}, false, nil
	}
	var s Set
	var captured typeBits
	var calls []string // those without a type of their own
	for _, v := range values {
		i, ok := eventIndex(v.Text)
		if !ok {
			if near := syntax.Nearest(v.Text, field.EventNames()); near != "" {
				return part{}, true, c.problem(Unknown, v.Pos, fmt.Sprintf("unknown event type %s: did you mean %s?", v.Text, near))
			}
			return part{}, true, c.problem(Unknown, v.Pos, "unknown event type "+v.Text)
		}
		s.add(i)
		if t, ok := event.TypeOf(v.Text); ok {
			captured.add(t)
		} else {
			calls = append(calls, v.Text)
		}
	}
	p := part{node: c.graph.ofTypes(captured, calls), yes: s, no: s.Complement()}
	if n.Op == syntax.Ne {
		p.node = c.graph.negation(p.node)
		p.yes, p.no = p.no, p.yes
	}
	return p, true, nil
}
