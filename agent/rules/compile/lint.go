package compile

import (
	"fmt"
	"slices"
	"strings"

	"riposte/agent/rules/field"
	"riposte/agent/rules/syntax"
)

// lint warns about what compiles, but is probably not what was meant.
func (c *Compiler) lint(n *syntax.Check, left source) {
	if left.ref != nil && left.ref.Class == "syscall" && left.ref.Flags&field.Deprecated != 0 {
		c.warn(Deprecated, n.Start(), deprecation(left.ref.Name))
	}
	switch r := n.Right.(type) {
	case *syntax.Value:
		c.lintValue(n, left, r)
	case *syntax.List:
		for _, item := range r.Items {
			if v, ok := item.(*syntax.Value); ok {
				c.lintValue(n, left, v)
			}
		}
	}
}

func deprecation(name string) string {
	if name == "evt.dir" {
		return "evt.dir is deprecated: calls are seen at their exit alone, so that evt.dir = < is always true and evt.dir = > never; leave it out"
	}
	return name + " is deprecated: calls are seen at their exit alone, so that it has no value"
}

func (c *Compiler) lintValue(n *syntax.Check, left source, v *syntax.Value) {
	bare := strings.TrimSpace(v.Text)
	switch {
	case looksLikeField(bare):
		c.warn(Odd, v.Pos, fmt.Sprintf("%q is the name of a field, but is compared as text: write val(%s) for the field's value", v.Text, bare))
	case looksLikeCall(bare):
		c.warn(Odd, v.Pos, fmt.Sprintf("%q looks like a transformer, but is compared as text", v.Text))
	case n.Op == syntax.Regex && simpleRegex(v.Text):
		c.warn(Odd, v.Pos, fmt.Sprintf("the regular expression %q can be written with a simpler and faster operator, such as =, startswith, endswith or contains", v.Text))
	case v.Text == "<NA>" && left.ref != nil && unsafeField(left.ref.Name) && comparesEqual(n.Op):
		c.warn(Unsafe, v.Pos, left.ref.Name+" is compared with <NA>, which does not find out whether it has a value: use exists")
	}
}

func looksLikeField(s string) bool {
	name, arg, found := strings.Cut(s, "[")
	if !strings.Contains(name, ".") || found && !strings.HasSuffix(arg, "]") {
		return false
	}
	if _, ok := field.Lookup(name); ok {
		return true
	}
	return strings.HasPrefix(name, "evt.arg.") || strings.HasPrefix(name, "evt.rawarg.")
}

func looksLikeCall(s string) bool {
	name, _, found := strings.Cut(s, "(")
	if !found || !strings.HasSuffix(s, ")") {
		return false
	}
	return name == syntax.Val || slices.Contains(syntax.Transformers(), name)
}

// simpleRegex says that all that is special in a regular expression are anchors
// and a "match anything" at its ends.
func simpleRegex(s string) bool {
	s = strings.TrimSuffix(strings.TrimPrefix(s, "^"), "$")
	if len(s) > 2 && s[0] == '.' && strings.IndexByte("*+?", s[1]) >= 0 {
		s = s[2:]
	}
	if n := len(s); n > 2 && s[n-2] == '.' && strings.IndexByte("*+?", s[n-1]) >= 0 {
		s = s[:n-2]
	}
	return !strings.ContainsAny(s, `.[]{}()\\*+?|^$`)
}

// unsafeField says that a field has the text <NA> for a missing value.
func unsafeField(name string) bool {
	return strings.HasPrefix(name, "ka.") || strings.HasPrefix(name, "jevt.")
}

func comparesEqual(op syntax.Op) bool {
	return op == syntax.Eq || op == syntax.Eq2 || op == syntax.Ne || op == syntax.In || op == syntax.Intersects || op == syntax.PMatch
}
