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
	"strings"

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

func allowed(b *ast.Builtin) bool {
	switch {
	case b.Name == ast.NowNanos.Name:
		// Not the clock here: Eval pins it.
		return true
	case b.Name == "trace" || strings.HasPrefix(b.Name, "io.jwt.encode"):
		return false
	case b.Name == ast.NetCIDRExpand.Name:
		// One call of it makes a set of 16 million addresses.
		return false
	}
	return !b.Nondeterministic
}
