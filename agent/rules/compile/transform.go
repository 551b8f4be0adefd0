package compile

import (
	"encoding/base64"
	"errors"
	"path"
	"strings"

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

// argument compiles one argument of a transformer: a field, a call, a text or a list.
func (c *Compiler) argument(o syntax.Operand) (source, error) {
	switch o := o.(type) {
	case *syntax.Value:
		v := field.Value{OK: true, Text: o.Text}
		return source{typ: field.Text, read: func(*event.Event, int) field.Value { return v }}, nil
	case *syntax.List:
		items := make([]func(*event.Event, int) field.Value, len(o.Items))
		ofEvent := false
		for i, item := range o.Items {
			s, err := c.argument(item)
			if err != nil {
				return source{}, err
			}
			if s.typ != field.Text {
				return source{}, c.errorAt(item.Start(), "%s is of type %s, text is needed here", item, s.typ)
			}
			items[i] = s.read
			ofEvent = ofEvent || s.event
		}
		return source{typ: field.Texts, event: ofEvent, read: func(e *event.Event, _ int) field.Value {
			l := make([]string, len(items))
			for i, read := range items {
				v := read(e, 0)
				if !v.OK {
					return field.Value{}
				}
				l[i] = v.Text
			}
			return field.ListOf(l)
		}}, nil
	}
	s, err := c.source(o)
	if err == nil && s.ref != nil && (s.ref.NoTransform || s.many != field.One) {
		return s, c.errorAt(o.Start(), "%s cannot be used in a transformer", o)
	}
	return s, err
}

// transformer compiles a call. A NULL argument makes it NULL.
func (c *Compiler) transformer(call *syntax.Call) (source, error) {
	args := make([]source, len(call.Args))
	event := false
	for i, a := range call.Args {
		s, err := c.argument(a)
		if err != nil {
			return source{}, err
		}
		args[i] = s
		event = event || s.event
	}
	s, err := c.call(call, args)
	s.event = event
	return s, err
}

func (c *Compiler) call(call *syntax.Call, args []source) (source, error) {
	want := func(types ...field.Type) error {
		if len(args) != len(types) {
			return c.errorAt(call.Pos, "%s() takes %d argument(s), not %d", call.Name, len(types), len(args))
		}
		for i, t := range types {
			if t == field.Texts && args[i].ref != nil && args[i].ref.Name == "proc.args" && !args[i].ref.Argument.Set {
				args[i] = argumentList
			}
			if args[i].typ != t && (t != field.Text || args[i].typ != field.Bytes) {
				return c.errorAt(call.Args[i].Start(), "%s is of type %s, %s() needs %s here", call.Args[i], args[i].typ, call.Name, t)
			}
		}
		return nil
	}
	one := func(change func(string) (string, bool)) (source, error) {
		if err := want(field.Text); err != nil {
			return source{}, err
		}
		read := args[0].read
		return source{typ: field.Text, read: func(e *event.Event, _ int) field.Value {
			v := read(e, 0)
			if !v.OK {
				return v
			}
			s, ok := change(v.Text)
			return field.Value{OK: ok, Text: s}
		}}, nil
	}
	switch call.Name {
	case "tolower":
		return one(func(s string) (string, bool) { return lower(s), true })
	case "toupper":
		return one(func(s string) (string, bool) { return upper(s), true })
	case "b64":
		return one(func(s string) (string, bool) {
			b, err := base64.StdEncoding.DecodeString(s)
			return string(b), err == nil
		})
	case "basename":
		return one(func(s string) (string, bool) {
			if s == "" {
				return "", true
			}
			return path.Base(s), true
		})
	case "len":
		if len(args) == 1 && args[0].typ == field.Texts {
			read := args[0].read
			return source{typ: field.Uint64, read: func(e *event.Event, _ int) field.Value {
				v := read(e, 0)
				return field.Value{OK: v.OK, Int: int64(len(v.List()))}
			}}, nil
		}
		if err := want(field.Text); err != nil {
			return source{}, err
		}
		read := args[0].read
		return source{typ: field.Uint64, read: func(e *event.Event, _ int) field.Value {
			v := read(e, 0)
			return field.Value{OK: v.OK, Int: int64(len(v.Text))}
		}}, nil
	case "join":
		if err := want(field.Text, field.Texts); err != nil {
			return source{}, err
		}
		sep, list := args[0].read, args[1].read
		return source{typ: field.Text, read: func(e *event.Event, _ int) field.Value {
			s, l := sep(e, 0), list(e, 0)
			if !s.OK || !l.OK {
				return field.Value{}
			}
			return field.Value{OK: true, Text: strings.Join(l.List(), s.Text)}
		}}, nil
	case "getopt":
		if err := want(field.Texts, field.Text); err != nil {
			return source{}, err
		}
		literal, ok := call.Args[1].(*syntax.Value)
		if !ok {
			return source{}, c.errorAt(call.Args[1].Start(), "the options of getopt() must be a quoted text")
		}
		return c.getopt(call, args[0], literal.Text)
	case "concat":
		types := make([]field.Type, max(1, len(args)))
		if err := want(types...); err != nil {
			return source{}, err
		}
		return source{typ: field.Text, read: func(e *event.Event, _ int) field.Value {
			var b strings.Builder
			for _, a := range args {
				v := a.read(e, 0)
				if !v.OK {
					return v
				}
				b.WriteString(v.Text)
			}
			return field.Value{OK: true, Text: b.String()}
		}}, nil
	}
	return source{}, c.errorAt(call.Pos, "unknown transformer %s()", call.Name)
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
