package compile

import (
	"cmp"
	"math/bits"
	"slices"
	"strings"

	"riposte/agent/event"
	"riposte/agent/rules/syntax"
)

// needle is something that a file's path must have: a beginning, or bytes.
type needle struct {
	prefix string
	bytes  uint64
}

// cover is a list of needles of which the path of a file that is opened for reading has
// one whenever a condition is true. A condition that is never true then has an empty
// one; nil means that none is known.
type cover []needle

// Bounds of what is handed on; a set of conditions that needs more has no cover.
const (
	maxNeedles  = 4096 // of one condition
	maxPrefixes = 512
	maxByteSets = 8
)

// coverOf is the cover of a comparison with literals.
func coverOf(n *syntax.Check, left source) cover {
	if left.ref == nil || n.Mod != "" {
		return nil
	}
	var values []string
	switch r := n.Right.(type) {
	case *syntax.Value:
		values = []string{r.Text}
	case *syntax.List:
		values = texts(r)
	default:
		return nil
	}
	if len(values) > maxNeedles {
		return nil
	}
	c := cover{}
	if left.ref.Name == "evt.is_open_write" && (n.Op == syntax.Eq || n.Op == syntax.Eq2) && slices.Equal(values, []string{"true"}) {
		return c // only reading is asked about
	}
	for _, v := range values {
		one, ok := needleOf(left.ref.Name, n.Op, v)
		if !ok {
			return nil
		}
		c = append(c, one)
	}
	return c
}

// needleOf is what the path has when the comparison with one value is true. Of an open
// file fd.directory is a beginning of fd.name, and fd.filename a part of it.
func needleOf(name string, op syntax.Op, v string) (needle, bool) {
	if v == "" {
		return needle{}, false
	}
	switch name {
	case "fd.name", "fd.directory":
		switch op {
		case syntax.Eq, syntax.Eq2, syntax.In, syntax.StartsWith:
			return needle{prefix: v}, true
		case syntax.PMatch:
			// It looks at the parts of a path, whatever stands between them.
			v = "/" + strings.Trim(v, "/")
			if strings.Contains(v, "//") {
				return needle{}, false
			}
			return literalStart(v)
		case syntax.Glob:
			return literalStart(v)
		}
		fallthrough
	case "fd.filename":
		switch op {
		case syntax.Eq, syntax.Eq2, syntax.In, syntax.StartsWith, syntax.EndsWith, syntax.Contains:
			return needle{bytes: event.PathBytes(v)}, true
		}
	}
	return needle{}, false
}

// literalStart is a pattern up to what is not literal.
func literalStart(pattern string) (needle, bool) {
	if i := strings.IndexAny(pattern, `*?[\`); i >= 0 {
		pattern = pattern[:i]
	}
	return needle{prefix: pattern}, pattern != ""
}

// strength is how little of all paths has the needle.
func (n needle) strength() int {
	if n.prefix != "" {
		return 2 * (len(n.prefix) - 1) // "/" says nothing
	}
	return bits.OnesCount64(n.bytes)
}

func (c cover) weakest() int {
	least := 1 << 30
	for _, n := range c {
		least = min(least, n.strength())
	}
	return least
}

// better orders covers by their weakest needle, then by how many there are.
func better(a, b cover) int {
	return cmp.Or(-cmp.Compare(a.weakest(), b.weakest()), cmp.Compare(len(a), len(b)))
}

// covers finds covers; what several conditions have in common is looked at once.
type covers map[bound]cover

// of is the cover of a node for the case that it is true, or false.
func (s covers) of(n *node, truth bool) cover {
	key := bound{n.id, truth}
	known, ok := s[key]
	if !ok {
		known = s.find(n, truth)
		s[key] = known
	}
	return known
}

func (s covers) find(n *node, truth bool) cover {
	switch {
	case n.op == never && truth, n.op == always && !truth:
		return cover{}
	case n.op == atom && truth:
		return n.cover
	case n.op == not:
		return s.of(n.kids[0], !truth)
	case n.op == and && truth, n.op == or && !truth: // all of them hold: the best will do
		var best cover
		for _, k := range n.kids {
			if c := s.of(k, truth); c != nil && (best == nil || better(c, best) < 0) {
				best = c
			}
		}
		return best
	case n.op == or, n.op == and: // one of them holds
		all := cover{}
		for _, k := range n.kids {
			c := s.of(k, truth)
			if c == nil || len(all)+len(c) > maxNeedles {
				return nil
			}
			all = append(all, c...)
		}
		return all
	}
	return nil
}

// opens are the types whose events have an opened file that the argument names.
var opens = []event.Type{event.Open, event.Openat, event.Openat2}

// Paths is what the path of a file that is opened for reading must have for any of the
// conditions to be true. It has no types where nothing is known.
func (m *Matcher) Paths() event.Paths {
	var p event.Paths
	var all cover
	for _, t := range opens {
		c, ok := m.covered(t)
		if !ok {
			continue
		}
		p.Types = append(p.Types, t)
		all = append(all, c...)
	}
	for _, n := range all {
		if n.prefix != "" {
			p.Prefixes = append(p.Prefixes, n.prefix)
		} else {
			p.Bytes = append(p.Bytes, n.bytes)
		}
	}
	p.Prefixes, p.Bytes = shortest(p.Prefixes), fewest(p.Bytes)
	if len(p.Prefixes) > maxPrefixes || len(p.Bytes) > maxByteSets {
		return event.Paths{}
	}
	return p
}

// covered is the cover of all conditions for a type of event.
func (m *Matcher) covered(t event.Type) (cover, bool) {
	p := &planner{m: m, typ: t, typed: map[int]*node{}}
	all, found := cover{}, covers{}
	for _, c := range m.programs {
		one := found.of(p.fill(c.root), true)
		if one == nil || one.weakest() == 0 || len(all) > maxNeedles {
			return nil, false
		}
		all = append(all, one...)
	}
	return all, true
}

// shortest leaves out what begins as another does.
func shortest(prefixes []string) (out []string) {
	slices.Sort(prefixes)
	for _, s := range prefixes {
		if len(out) == 0 || !strings.HasPrefix(s, out[len(out)-1]) {
			out = append(out, s)
		}
	}
	return out
}

// fewest leaves out a set that contains another.
func fewest(sets []uint64) (out []uint64) {
	slices.SortFunc(sets, func(a, b uint64) int {
		return cmp.Or(cmp.Compare(bits.OnesCount64(a), bits.OnesCount64(b)), cmp.Compare(a, b))
	})
	for _, s := range sets {
		if !slices.ContainsFunc(out, func(o uint64) bool { return o&^s == 0 }) {
			out = append(out, s)
		}
	}
	return out
}
