// Package sandbox is where Riposte's Rego runs: the built-ins that it may call,
// strict compilation against a schema of its input, and evaluation under a
// deadline at a given time. Playbooks and the guard both use it.
//
// What runs here depends on its files and its input alone: whatever could bring
// in the network, the clock, chance or the process's environment is not there,
// and naming it is a compile error. So the same input gives the same result, and
// a decision can be replayed.
package sandbox

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// capabilities are OPA's, without what is not a function of its arguments.
var capabilities = deterministic()

func deterministic() *ast.Capabilities {
	c := ast.CapabilitiesForThisVersion()
	kept := make([]*ast.Builtin, 0, len(c.Builtins))
	for _, b := range c.Builtins {
		if allowed(b) {
			kept = append(kept, b)
		}
	}
	c.Builtins = kept
	// An empty list, unlike nil, lets a schema's $ref reach no host.
	c.AllowNet = []string{}
	return c
}

// endless are built-ins of which one call can take any time and memory, and does
// not look at the deadline while it does.
var endless = []string{
	ast.NetCIDRExpand.Name, // a set of 16 million addresses
	ast.BitsShiftLeft.Name, // bits.lsh(1, 1000000000)
	ast.Product.Name,       // of large numbers
	ast.RenderTemplate.Name,
}

func allowed(b *ast.Builtin) bool {
	switch {
	case b.Name == ast.NowNanos.Name:
		// Not the clock here: Eval pins it.
		return true
	case b.Name == ast.Trace.Name || slices.Contains(endless, b.Name):
		return false
	}
	return !b.Nondeterministic
}
