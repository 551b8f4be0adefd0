package compile

import (
	"riposte/agent/rules/field"
	"riposte/agent/rules/syntax"
)

var operatorCosts = map[syntax.Op]int{
	syntax.Contains: 3, syntax.IContains: 5, syntax.BContains: 3, syntax.Glob: 4, syntax.IGlob: 5, syntax.PMatch: 3, syntax.Regex: 20,
}

// Cost is a rough measure of what a comparison takes: 1 is about one of a field with
// a text.
func Cost(n *syntax.Check) int {
	c := max(operatorCosts[n.Op], 1)
	if l, ok := n.Right.(*syntax.List); ok && (n.Mod != "" || n.Op == syntax.PMatch) {
		c *= max(len(l.Items), 1)
	}
	for _, f := range append(syntax.Fields(n.Left), syntax.Fields(n.Right)...) {
		if ref, err := field.Resolve(f); err == nil && ref.Many == field.Any && !ref.Argument.Set {
			// Every ancestor is compared.
			c *= 4
		}
	}
	for _, o := range []syntax.Operand{n.Left, n.Right} {
		if call, ok := o.(*syntax.Call); ok && call.Name != syntax.Val {
			c += 5
		}
	}
	return c
}
