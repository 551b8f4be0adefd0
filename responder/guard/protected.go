package guard

import (
	"maps"
	"slices"
)

// Protected is what is protected, for those who must know it without asking: the
// agents, which contain by themselves.
func (g *Guard) Protected() (namespaces, names []string, labels map[string]string) {
	return slices.Clone(g.options.ProtectedNamespaces), nil, maps.Clone(g.options.ProtectedLabels)
}
