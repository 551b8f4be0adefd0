package sandbox

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Reach is what the rules of some files read.
type Reach struct {
	// Packages are the packages of these files and of all that they use.
	Packages []string
	// Data are the documents, as "data.<path> <JSON>", sorted.
	Data []string
}

// Reach finds what the rules of a package depend on.
func (p *Compiled) Reach(pkg string) (Reach, error) {
	packages, data := map[string]bool{}, map[string]any{}
	next := []string{pkg}
	for len(next) > 0 {
		one := next[0]
		next = next[1:]
		if packages[one] {
			continue
		}
		packages[one] = true
		visit := func(r ast.Ref) bool {
			if len(r) == 0 || !r[0].Equal(ast.DefaultRootDocument) {
				return false
			}
			ground := r.GroundPrefix()
			rules := p.c.GetRules(ground)
			for _, rule := range rules {
				next = append(next, packageOf(rule.Module))
			}
			if value, ok := lookup(p.data, ground); ok && len(rules) == 0 {
				data[ground.String()] = value
			}
			return false
		}
		for _, m := range p.c.Modules {
			if packageOf(m) == one {
				for _, rule := range m.Rules {
					ast.WalkRefs(rule, visit)
				}
			}
		}
	}
	r := Reach{Packages: slices.Sorted(maps.Keys(packages))}
	for _, ref := range slices.Sorted(maps.Keys(data)) {
		b, err := json.Marshal(data[ref]) // the keys of objects are sorted
		if err != nil {
			return r, err
		}
		r.Data = append(r.Data, ref+" "+string(b))
	}
	return r, nil
}

func packageOf(m *ast.Module) string { return strings.TrimPrefix(m.Package.Path.String(), "data.") }
