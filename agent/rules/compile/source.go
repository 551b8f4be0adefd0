package compile

import (
	"errors"

	"riposte/agent/event"
	"riposte/agent/rules/field"
	"riposte/agent/rules/syntax"
)

// source compiles a field or a transformer.
func (c *Compiler) source(o syntax.Operand) (source, error) {
	switch o := o.(type) {
	case *syntax.Field:
		ref, err := field.Resolve(o)
		if err != nil {
			kind := Invalid
			if unknown := (*field.UnknownError)(nil); errors.As(err, &unknown) {
				kind = Unknown
			}
			return source{}, c.problem(kind, o.Pos, err.Error())
		}
		many := ref.Many
		if ref.Argument.Set {
			many = field.One
		}
		return source{typ: ref.Type, many: many, ref: &ref, event: ref.Scope < field.Process, read: func(e *event.Event, i int) field.Value {
			return ref.Get(e, ref.Argument, i)
		}}, nil
	case *syntax.Call:
		return c.transformer(o)
	}
	return source{}, c.errorAt(o.Start(), "%s is not a field", o)
}

// rightSource compiles the field or transformer on a check's right side.
func (c *Compiler) rightSource(n *syntax.Check, left source, call *syntax.Call) (right source, err error) {
	if n.Op == syntax.PMatch || n.Op == syntax.Regex {
		return right, c.errorAt(call.Pos, "operator %s needs literals on its right side", n.Op)
	}
	if left.typ == field.Net || left.many != field.One {
		return right, c.errorAt(n.Left.Start(), "%s cannot be compared with a field", n.Left)
	}
	if call.Name == syntax.Val {
		if len(call.Args) != 1 {
			return right, c.errorAt(call.Pos, "val() takes one field")
		}
		if _, ok := call.Args[0].(*syntax.Field); !ok {
			return right, c.errorAt(call.Args[0].Start(), "val() takes a field")
		}
		right, err = c.source(call.Args[0])
	} else {
		right, err = c.transformer(call)
	}
	switch {
	case err != nil:
		return right, err
	case right.ref != nil && (right.ref.NoRight || right.many != field.One):
		return right, c.errorAt(call.Args[0].Start(), "%s cannot stand on the right side", call.Args[0])
	case right.typ != left.typ && (!left.typ.Number() || !right.typ.Number()):
		return right, c.errorAt(call.Pos, "%s is of type %s, but %s of type %s", n.Left, left.typ, call, right.typ)
	}
	return right, nil
}

// compareSources compiles a check with a field or transformer on both sides.
func (c *Compiler) compareSources(n *syntax.Check, left, right source) (func(*event.Event) bool, error) {
	compare, err := comparator(n.Op, left.typ)
	if err != nil {
		return nil, c.errorAt(n.OpPos, "%s", err)
	}
	l, r := left.read, right.read
	return func(e *event.Event) bool {
		a := l(e, 0)
		if !a.OK {
			return false
		}
		b := r(e, 0)
		return b.OK && compare(a, b)
	}, nil
}
