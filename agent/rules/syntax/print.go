package syntax

import (
	"fmt"
	"strings"
)

// String joins the terms with "or".
func (n *Or) String() string { return join(n.Terms, " or ") }

// String joins the terms with "and".
func (n *And) String() string { return join(n.Terms, " and ") }

// String is "not" and the term, in parentheses where they are needed.
func (n *Not) String() string {
	if _, ok := n.X.(*Not); ok {
		// Two in a row would cancel each other.
		return "not (" + n.X.String() + ")"
	}
	return "not " + term(n.X)
}

// String is the name.
func (n *Macro) String() string { return n.Name }

// String is the comparison.
func (n *Check) String() string {
	var b strings.Builder
	b.WriteString(n.Left.String())
	b.WriteByte(' ')
	b.WriteString(string(n.Op))
	if n.Mod != "" {
		b.WriteByte(' ')
		b.WriteString(string(n.Mod))
	}
	if n.Right != nil {
		b.WriteByte(' ')
		b.WriteString(n.Right.String())
	}
	return b.String()
}

// String is the name with the argument.
func (o *Field) String() string {
	if !o.HasArg {
		return o.Name
	}
	return o.Name + bracketed(o.Arg)
}

// bracketed writes an argument, in quotes where it needs them.
func bracketed(arg string) string {
	if arg != "" && strings.IndexFunc(arg, func(r rune) bool { return r >= 0x7f || !isArgByte(byte(r)) }) < 0 {
		return "[" + arg + "]"
	}
	return "[" + quote(arg) + "]"
}

// String is the name with its arguments.
func (o *Call) String() string {
	s := o.Name + "(" + joinOperands(o.Args) + ")"
	if o.HasArg {
		s += bracketed(o.Arg)
	}
	return s
}

// String is the text, quoted if it was.
func (o *Value) String() string {
	if o.Quoted {
		return quote(o.Text)
	}
	return o.Text
}

// String is the values in parentheses.
func (o *List) String() string { return "(" + joinOperands(o.Items) + ")" }

func join(terms []Node, op string) string {
	s := make([]string, len(terms))
	for i, t := range terms {
		s[i] = term(t)
	}
	return strings.Join(s, op)
}

// term puts what holds several terms into parentheses.
func term(n Node) string {
	switch n.(type) {
	case *And, *Or:
		return "(" + n.String() + ")"
	}
	return n.String()
}

func joinOperands(list []Operand) string {
	s := make([]string, len(list))
	for i, o := range list {
		s[i] = o.String()
	}
	return strings.Join(s, ", ")
}

// quote writes a text so that the scanner reads the same bytes again.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c == 0x7f:
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
