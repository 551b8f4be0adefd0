package compile

import (
	"encoding/base64"
	"path"
	"strings"

	"riposte/agent/event"
	"riposte/agent/rules/field"
	"riposte/agent/rules/syntax"
)

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

// call compiles a transformer whose arguments are compiled.
func (c *Compiler) call(call *syntax.Call, args []source) (source, error) {
	switch call.Name {
	case "tolower":
		return c.change(call, args, func(s string) (string, bool) { return lower(s), true })
	case "toupper":
		return c.change(call, args, func(s string) (string, bool) { return upper(s), true })
	case "b64":
		return c.change(call, args, func(s string) (string, bool) {
			b, err := base64.StdEncoding.DecodeString(s)
			return string(b), err == nil
		})
	case "basename":
		return c.change(call, args, func(s string) (string, bool) {
			if s == "" {
				return "", true
			}
			return path.Base(s), true
		})
	case "len":
		return c.length(call, args)
	case "join":
		return c.join(call, args)
	case "getopt":
		return c.getopt(call, args)
	case "concat":
		return c.concat(call, args)
	}
	return source{}, c.errorAt(call.Pos, "unknown transformer %s()", call.Name)
}

// want refuses other arguments than those of the given types.
func (c *Compiler) want(call *syntax.Call, args []source, types ...field.Type) error {
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

// change makes another text of one text, or NULL.
func (c *Compiler) change(call *syntax.Call, args []source, to func(string) (string, bool)) (source, error) {
	if err := c.want(call, args, field.Text); err != nil {
		return source{}, err
	}
	read := args[0].read
	return source{typ: field.Text, read: func(e *event.Event, _ int) field.Value {
		v := read(e, 0)
		if !v.OK {
			return v
		}
		s, ok := to(v.Text)
		return field.Value{OK: ok, Text: s}
	}}, nil
}

// length counts a list's items, or a text's bytes.
func (c *Compiler) length(call *syntax.Call, args []source) (source, error) {
	of := func(v field.Value) int { return len(v.Text) }
	if len(args) == 1 && args[0].typ == field.Texts {
		of = func(v field.Value) int { return len(v.List()) }
	} else if err := c.want(call, args, field.Text); err != nil {
		return source{}, err
	}
	read := args[0].read
	return source{typ: field.Uint64, read: func(e *event.Event, _ int) field.Value {
		v := read(e, 0)
		return field.Value{OK: v.OK, Int: int64(of(v))}
	}}, nil
}

// join puts its first argument between the items of the second.
func (c *Compiler) join(call *syntax.Call, args []source) (source, error) {
	if err := c.want(call, args, field.Text, field.Texts); err != nil {
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
}

// concat puts texts one after the other.
func (c *Compiler) concat(call *syntax.Call, args []source) (source, error) {
	if err := c.want(call, args, make([]field.Type, max(1, len(args)))...); err != nil {
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
