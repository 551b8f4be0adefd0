package sandbox

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Revision is the SHA-256, as hexadecimal, of what the rules of a package read: its files
// and those of the packages that it uses, by package and content, and data, by path and
// content. Where they lie, and what else lies there, is no part of what they decide.
func (p *Compiled) Revision(pkg string) (string, error) {
	packages, data := p.reach(pkg)
	used := p.filesOf(packages)
	slices.SortFunc(used, func(a, b *File) int {
		return cmp.Or(strings.Compare(a.Package, b.Package), bytes.Compare(a.Text, b.Text))
	})
	h := sha256.New()
	for _, f := range used {
		fmt.Fprintf(h, "%s %d\n", f.Package, len(f.Text))
		h.Write(f.Text)
	}
	for _, ref := range slices.Sorted(maps.Keys(data)) {
		b, err := json.Marshal(data[ref]) // the keys of objects are sorted
		if err != nil {
			return "", fmt.Errorf("hash %s: %w", ref, err)
		}
		fmt.Fprintf(h, "%s %d\n", ref, len(b))
		h.Write(b)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func (p *Compiled) filesOf(packages map[string]bool) []*File {
	return slices.DeleteFunc(slices.Clone(p.files), func(f *File) bool {
		return f.Module == nil || f.Test || !packages[f.Package]
	})
}

// Used is what Revision is about, as files and the documents of data by their roots, of
// which the rules may read a part alone.
func (p *Compiled) Used(pkg string) (files []*File, data map[string]any, err error) {
	packages, refs := p.reach(pkg)
	data = map[string]any{}
	for text := range refs {
		ref, err := ast.ParseRef(text)
		if err != nil {
			return nil, nil, err
		}
		if len(ref) == 1 { // all of it
			return p.filesOf(packages), p.data, nil
		}
		if root, ok := ref[1].Value.(ast.String); ok {
			data[string(root)] = p.data[string(root)]
		}
	}
	return p.filesOf(packages), data, nil
}

// reach finds what the rules of a package depend on: packages, and data by reference.
func (p *Compiled) reach(pkg string) (packages map[string]bool, data map[string]any) {
	packages, data = map[string]bool{}, map[string]any{}
	next := []string{pkg}
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
	for len(next) > 0 {
		one := next[0]
		next = next[1:]
		if packages[one] {
			continue
		}
		packages[one] = true
		for _, m := range p.c.Modules {
			if packageOf(m) != one {
				continue
			}
			for _, rule := range m.Rules {
				ast.WalkRefs(rule, visit)
			}
		}
	}
	return packages, data
}

func packageOf(m *ast.Module) string { return strings.TrimPrefix(m.Package.Path.String(), "data.") }
