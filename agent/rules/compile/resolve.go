package compile

import (
	"fmt"
	"strings"

	"riposte/agent/rules/syntax"
)

// Resolve checks that the macros which a macro refers to exist, directly and
// through others, whether a condition uses it or not. The error is an *Error.
func (c *Compiler) Resolve(name string) error {
	m := c.macros[name]
	switch {
	case m == nil || m.resolved:
		return nil
	case len(c.path) >= MaxMacroDepth:
		return c.errorAt(m.Body.Start(), "macros are nested deeper than %d levels", MaxMacroDepth)
	}
	m.resolving = true
	c.path = append(c.path, name)
	defer func() {
		c.path = c.path[:len(c.path)-1]
		m.resolving, m.resolved = false, true
	}()
	for _, ref := range References(m.Body) {
		if err := c.visible(ref); err != nil {
			return err
		}
		if to := c.macros[ref.Name]; to.resolving {
			return c.loop(ref)
		}
		c.macros[ref.Name].used = true
		if err := c.Resolve(ref.Name); err != nil {
			return err
		}
	}
	return nil
}

// Use marks the macros that a condition names as used, whether it compiles or not.
func (c *Compiler) Use(n syntax.Node) {
	for _, ref := range References(n) {
		if m := c.macros[ref.Name]; m != nil {
			m.used = true
		}
	}
}

// visible says why a macro cannot be referred to from here.
func (c *Compiler) visible(n *syntax.Macro) error {
	m, visibility := c.macros[n.Name], int(^uint(0)>>1)
	if len(c.path) > 0 {
		visibility = c.macros[c.path[len(c.path)-1]].Visibility
	}
	switch {
	case m == nil:
		msg := "undefined macro " + n.Name
		if near := syntax.Nearest(n.Name, c.names); near != "" {
			msg += ": did you mean " + near + "?"
		}
		return c.problem(Undefined, n.Pos, msg)
	case m.Index >= visibility:
		return c.problem(Undefined, n.Pos, fmt.Sprintf("undefined macro %s: it is defined after this macro, move it up", n.Name))
	}
	return nil
}

// loop says by which way a macro refers to itself.
func (c *Compiler) loop(n *syntax.Macro) error {
	from := 0
	for i, name := range c.path {
		if name == n.Name {
			from = i
		}
	}
	loop := append(append([]string{}, c.path[from:]...), n.Name)
	if len(loop) > 10 {
		loop = append(append(loop[:4:4], "..."), loop[len(loop)-4:]...)
	}
	return c.problem(Undefined, n.Pos, fmt.Sprintf("macro %s refers to itself: %s", n.Name, strings.Join(loop, " -> ")))
}

// References lists the macros that a condition names, in their order.
func References(n syntax.Node) []*syntax.Macro {
	var list []*syntax.Macro
	syntax.Walk(n, func(n syntax.Node) {
		if m, ok := n.(*syntax.Macro); ok {
			list = append(list, m)
		}
	})
	return list
}
