package compile

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strings"

	"riposte/agent/event"
)

// node is a condition in a graph in which equal conditions are one node.
type node struct {
	id int
	op operation
	// kids are the operands of and, or and not.
	kids []*node
	// event says that the answer depends on more than the process and its container.
	event bool
	// cost is about how many comparisons of a field with a text it takes, at most.
	cost int
	// check is an atom's test, types those of which an ofTypes node is true.
	check func(*event.Event) bool
	types typeBits
	// cover is an atom's, nil where none is known.
	cover cover
	// eval is the node's own plain closure, once it was asked for.
	eval func(*event.Event) bool
}

type operation uint8

const (
	never operation = iota
	always
	atom
	ofTypes
	not
	and
	or
)

// typeBits is a set of captured event types.
type typeBits [4]uint64

func (b *typeBits) add(t event.Type) { b[t/64] |= 1 << (t % 64) }

func (b *typeBits) has(t event.Type) bool { return b[t/64]&(1<<(t%64)) != 0 }

// graph makes nodes and keeps each once.
type graph struct {
	nodes   map[string]*node
	no, yes *node
}

func newGraph() *graph {
	g := &graph{nodes: map[string]*node{}}
	g.no = g.add("F", &node{op: never})
	g.yes = g.add("T", &node{op: always})
	return g
}

// maxKey is how long a key may be as it is. Of longer ones, long lists, the hash is kept.
const maxKey = 256

func (g *graph) add(key string, n *node) *node {
	if len(key) > maxKey {
		sum := sha256.Sum256([]byte(key))
		key = "H" + string(sum[:])
	}
	if known := g.nodes[key]; known != nil {
		return known
	}
	n.id = len(g.nodes)
	g.nodes[key] = n
	return n
}

func (g *graph) atom(text string, ofEvent bool, cost int, check func(*event.Event) bool) *node {
	return g.add("?"+text, &node{op: atom, event: ofEvent, cost: cost, check: check})
}

// ofTypes is true for some types of events, and for the calls of these names that have
// no type of their own.
func (g *graph) ofTypes(types typeBits, calls []string) *node {
	key := []byte{'#'}
	for _, w := range types {
		key = binary.LittleEndian.AppendUint64(key, w)
	}
	key = append(key, strings.Join(calls, " ")...)
	n := &node{op: ofTypes, event: true, cost: 1, types: types}
	n.check = func(e *event.Event) bool {
		if e.Call != "" && e.Type == event.Syscall {
			return slices.Contains(calls, e.Call)
		}
		return types.has(e.Type)
	}
	return g.add(string(key), n)
}

func (g *graph) constant(v bool) *node {
	if v {
		return g.yes
	}
	return g.no
}

func (g *graph) negation(n *node) *node {
	switch n.op {
	case never:
		return g.yes
	case always:
		return g.no
	case not:
		return n.kids[0]
	}
	return g.add(string(binary.AppendUvarint([]byte{'!'}, uint64(n.id))), &node{op: not, kids: []*node{n}, event: n.event, cost: n.cost})
}

// maxMerged bounds what it costs to merge conditions that are nested deeply.
const maxMerged = 64

// join makes an "and" or an "or". Nested ones of the same kind are merged, what
// stands there twice is left out, and a constant either decides the whole or goes.
func (g *graph) join(isOr bool, terms []*node) *node {
	op := and
	if isOr {
		op = or
	}
	var kids []*node
	seen := map[int]bool{}
	var take func(terms []*node) (decided bool)
	take = func(terms []*node) bool {
		for _, t := range terms {
			switch {
			case t.op == op && len(t.kids) <= maxMerged:
				if take(t.kids) {
					return true
				}
			case t == g.constant(isOr):
				return true
			case t == g.constant(!isOr) || seen[t.id]:
			default:
				seen[t.id] = true
				kids = append(kids, t)
			}
		}
		return false
	}
	if take(terms) {
		return g.constant(isOr)
	}
	return g.group(isOr, kids)
}

// group makes an "and" or an "or" of terms that stay as they are.
func (g *graph) group(isOr bool, terms []*node) *node {
	switch len(terms) {
	case 0:
		return g.constant(!isOr)
	case 1:
		return terms[0]
	}
	n, key := &node{op: and, kids: slices.Clone(terms)}, []byte{'&'}
	if isOr {
		n.op, key[0] = or, '|'
	}
	for _, k := range terms {
		key = binary.AppendUvarint(key, uint64(k.id))
		n.event = n.event || k.event
		n.cost += k.cost
	}
	return g.add(string(key), n)
}

// plain is the node as a tree of closures that evaluates from left to right and
// keeps nothing.
func (n *node) plain() func(*event.Event) bool {
	if n.eval == nil {
		n.eval = n.closure((*node).plain)
	}
	return n.eval
}

// closure evaluates the node from what its kids are evaluated by.
func (n *node) closure(kid func(*node) func(*event.Event) bool) func(*event.Event) bool {
	switch n.op {
	case never, always:
		value := n.op == always
		return func(*event.Event) bool { return value }
	case not:
		inner := kid(n.kids[0])
		return func(e *event.Event) bool { return !inner(e) }
	case and, or:
		evals := make([]func(*event.Event) bool, len(n.kids))
		for i, k := range n.kids {
			evals[i] = kid(k)
		}
		if n.op == or {
			return anyOf(evals)
		}
		return allOf(evals)
	}
	return n.check
}

func allOf(f []func(*event.Event) bool) func(*event.Event) bool {
	switch len(f) {
	case 1:
		return f[0]
	case 2:
		a, b := f[0], f[1]
		return func(e *event.Event) bool { return a(e) && b(e) }
	case 3:
		a, b, c := f[0], f[1], f[2]
		return func(e *event.Event) bool { return a(e) && b(e) && c(e) }
	}
	return func(e *event.Event) bool {
		for _, t := range f {
			if !t(e) {
				return false
			}
		}
		return true
	}
}

func anyOf(f []func(*event.Event) bool) func(*event.Event) bool {
	switch len(f) {
	case 1:
		return f[0]
	case 2:
		a, b := f[0], f[1]
		return func(e *event.Event) bool { return a(e) || b(e) }
	case 3:
		a, b, c := f[0], f[1], f[2]
		return func(e *event.Event) bool { return a(e) || b(e) || c(e) }
	}
	return func(e *event.Event) bool {
		for _, t := range f {
			if t(e) {
				return true
			}
		}
		return false
	}
}
