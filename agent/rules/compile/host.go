package compile

import (
	"maps"
	"slices"
	"strings"

	"riposte/agent/event"
	"riposte/agent/rules/field"
	"riposte/agent/rules/syntax"
)

// Hosts are the domain names that the conditions compare addresses with. Somebody has
// to find out their addresses while the conditions are in use.
func (c *Compiler) Hosts() []string { return slices.Sorted(maps.Keys(c.hosts)) }

// notice keeps the names on the right side of a comparison.
func (c *Compiler) notice(right syntax.Operand) {
	switch r := right.(type) {
	case *syntax.Value:
		c.hosts[r.Text] = struct{}{}
	case *syntax.List:
		for _, item := range r.Items {
			c.notice(item)
		}
	}
}

// otherName compiles fd.sip.name != x: true of every known address that is not x's,
// whether it has any name or not.
func (c *Compiler) otherName(n *syntax.Check, left source) (part, error) {
	t, err := c.literalTest(&syntax.Check{Left: n.Left, Op: syntax.Eq, OpPos: n.OpPos, Mod: n.Mod, Right: n.Right}, left.typ)
	if err != nil {
		return part{}, err
	}
	address, err := field.Resolve(&syntax.Field{Name: strings.TrimSuffix(left.ref.Name, ".name")})
	if err != nil {
		return part{}, err
	}
	named := apply(left, syntax.Eq, t)
	return c.atom(n, left, func(e *event.Event) bool { return address.Read(e).OK && !named(e) }), nil
}
