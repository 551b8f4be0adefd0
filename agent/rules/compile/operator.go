package compile

import (
	"slices"

	"riposte/agent/rules/field"
	"riposte/agent/rules/syntax"
)

// allowed says which operators go with a type.
func allowed(t field.Type, op syntax.Op) bool {
	switch op {
	case syntax.Exists, syntax.In, syntax.Intersects:
		return true
	case syntax.Eq, syntax.Eq2, syntax.Ne:
		return t != field.Texts
	case syntax.Lt, syntax.Le, syntax.Gt, syntax.Ge:
		return t.Number() || t == field.Text
	case syntax.Contains, syntax.StartsWith, syntax.EndsWith:
		return t == field.Text || t == field.Bytes
	case syntax.BContains, syntax.BStartsWith:
		return t == field.Bytes
	}
	return t == field.Text
}

// literalTest compiles the right side of a check that has literals there.
func (c *Compiler) literalTest(n *syntax.Check, typ field.Type) (test, error) {
	switch r := n.Right.(type) {
	case *syntax.Value:
		return c.valueTest(n.Op, typ, r)
	case *syntax.List:
		switch {
		case n.Mod != "":
			return c.modified(n.Op, n.Mod, typ, r)
		case n.Op == syntax.PMatch:
			return pathMatch(texts(r)), nil
		}
		return c.membership(n.Op, typ, r)
	}
	return nil, c.errorAt(n.OpPos, "operator %s has nothing to compare with", n.Op)
}

// modified requires an operator of one, any or all values of a list.
func (c *Compiler) modified(op syntax.Op, mod syntax.Modifier, typ field.Type, l *syntax.List) (test, error) {
	tests := make([]test, len(l.Items))
	for i, item := range l.Items {
		t, err := c.valueTest(op, typ, item.(*syntax.Value))
		if err != nil {
			return nil, err
		}
		tests[i] = t
	}
	return func(v field.Value) bool {
		passed := 0
		for _, t := range tests {
			if t(v) {
				passed++
			}
		}
		switch mod {
		case syntax.OneOf:
			return passed == 1
		case syntax.AnyOf:
			return passed > 0
		}
		return passed == len(tests)
	}, nil
}

func texts(l *syntax.List) []string {
	s := make([]string, len(l.Items))
	for i, item := range l.Items {
		s[i] = item.(*syntax.Value).Text
	}
	return s
}

// valueTest compiles a comparison with one literal.
func (c *Compiler) valueTest(op syntax.Op, typ field.Type, v *syntax.Value) (test, error) {
	t, err := literal(op, typ, v.Text)
	if err != nil {
		return nil, c.errorAt(v.Pos, "%s", err)
	}
	return t, nil
}

func literal(op syntax.Op, typ field.Type, s string) (test, error) {
	switch typ {
	case field.Text, field.Bytes:
		return textTest(op, s)
	case field.Net:
		p, err := parseNet(s)
		if err != nil {
			return nil, err
		}
		want := op != syntax.Ne
		return func(v field.Value) bool { return p.Contains(v.Addr) == want }, nil
	case field.IP:
		a, err := parseIP(s)
		if err != nil {
			return nil, err
		}
		want := op != syntax.Ne
		return func(v field.Value) bool { return (v.Addr == a) == want }, nil
	}
	x, err := parseNumber(typ, s)
	if err != nil {
		return nil, err
	}
	return numberTest(op, typ, x), nil
}

func numberTest(op syntax.Op, typ field.Type, x int64) test {
	switch op {
	case syntax.Ne:
		return func(v field.Value) bool { return v.Int != x }
	case syntax.Lt, syntax.Le, syntax.Gt, syntax.Ge:
		return func(v field.Value) bool { return ordered(op, compareNumbers(typ, v.Int, x)) }
	}
	return func(v field.Value) bool { return v.Int == x }
}

// membership compiles in and intersects. For one value they are the same; of a
// list, in wants every element in the set and intersects at least one.
func (c *Compiler) membership(op syntax.Op, typ field.Type, l *syntax.List) (test, error) {
	switch typ {
	case field.Text, field.Bytes, field.Texts:
		set := textSet(texts(l))
		if typ != field.Texts {
			return func(v field.Value) bool { return set(v.Text) }, nil
		}
		if op == syntax.In {
			return func(v field.Value) bool {
				for _, s := range v.List() {
					if !set(s) {
						return false
					}
				}
				return len(v.List()) > 0
			}, nil
		}
		return func(v field.Value) bool { return slices.ContainsFunc(v.List(), set) }, nil
	case field.IP, field.Net:
		tests := make([]test, len(l.Items))
		if len(tests) == 0 {
			return func(field.Value) bool { return false }, nil
		}
		for i, item := range l.Items {
			t, err := c.valueTest(syntax.Eq, typ, item.(*syntax.Value))
			if err != nil {
				return nil, err
			}
			tests[i] = t
		}
		return func(v field.Value) bool {
			for _, t := range tests {
				if t(v) {
					return true
				}
			}
			return false
		}, nil
	}
	set := make(map[int64]struct{}, len(l.Items))
	for _, item := range l.Items {
		x, err := parseNumber(typ, item.(*syntax.Value).Text)
		if err != nil {
			return nil, c.errorAt(item.Start(), "%s", err)
		}
		set[x] = struct{}{}
	}
	return func(v field.Value) bool {
		_, ok := set[v.Int]
		return ok
	}, nil
}

// textSet answers for short lists by looking at each, for others by hash.
func textSet(values []string) func(string) bool {
	if len(values) <= 4 {
		return func(s string) bool { return slices.Contains(values, s) }
	}
	set := make(map[string]struct{}, len(values))
	for _, v := range values {
		set[v] = struct{}{}
	}
	return func(s string) bool {
		_, ok := set[s]
		return ok
	}
}
