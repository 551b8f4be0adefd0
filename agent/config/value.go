package config

import (
	"fmt"
	"regexp"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// value is one value of the configuration as it was written: a scalar, a list or
// a mapping.
type value struct {
	kind kind
	// text is a scalar's, null says that nothing stands there.
	text  string
	null  bool
	items []*value
	keys  []entry
	at    place
}

type kind uint8

const (
	scalar kind = iota
	list
	mapping
)

func (k kind) String() string { return [...]string{"a single value", "a list", "a mapping"}[k] }

type entry struct {
	key   string
	at    place
	value *value
}

func (v *value) get(key string) *entry {
	for i := range v.keys {
		if v.keys[i].key == key {
			return &v.keys[i]
		}
	}
	return nil
}

func (v *value) set(e entry) {
	if old := v.get(e.key); old != nil {
		*old = e
		return
	}
	v.keys = append(v.keys, e)
}

// Bounds of a tree: far above any real file, so that aliases cannot grow it without end.
const (
	maxValues = 10_000
	maxDepth  = 32
)

var yamlLine = regexp.MustCompile(`line (\d+)`)

// parse reads a YAML text. After an error the result is nil.
func (l *loader) parse(src *source) *value {
	var n yaml.Node
	if err := yaml.Unmarshal([]byte(src.text), &n); err != nil {
		at := place{src: src}
		if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
			line, _ := strconv.Atoi(m[1]) //nolint:errcheck // digits; a number too large is no line
			at.offset = src.offset(line, 1)
		}
		l.fail(at, "this is not YAML: %v", err)
		return nil
	}
	if n.Kind == 0 {
		return &value{kind: mapping, null: true, at: place{src: src}}
	}
	c := conversion{loader: l, src: src, left: maxValues, places: map[*yaml.Node]place{}}
	return c.value(n.Content[0], maxDepth)
}

// conversion makes values of one text's nodes.
type conversion struct {
	*loader
	src  *source
	left int
	// places remembers where a node stands that is used by several aliases.
	places map[*yaml.Node]place
}

func (c *conversion) place(n *yaml.Node) place {
	p, ok := c.places[n]
	if !ok {
		p = place{src: c.src, offset: c.src.offset(n.Line, n.Column)}
		c.places[n] = p
	}
	return p
}

// value makes a value of a node, nil after an error.
func (c *conversion) value(n *yaml.Node, depth int) *value {
	at := c.place(n)
	if c.left--; c.left < 0 || depth == 0 {
		c.fail(at, "there are more than %d values, or more than %d levels of them", maxValues, maxDepth)
		return nil
	}
	v := &value{at: at}
	switch n.Kind {
	case yaml.AliasNode:
		return c.value(n.Alias, depth-1)
	case yaml.SequenceNode:
		v.kind = list
		for _, item := range n.Content {
			one := c.value(item, depth-1)
			if one == nil {
				return nil
			}
			v.items = append(v.items, one)
		}
	case yaml.MappingNode:
		v.kind = mapping
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			e := entry{key: key.Value, at: c.place(key)}
			if key.Kind != yaml.ScalarNode {
				c.fail(e.at, "a key must be a single word")
				return nil
			}
			if v.get(e.key) != nil {
				c.fail(e.at, "the key %q stands here a second time: remove one", e.key)
			}
			if e.value = c.value(n.Content[i+1], depth-1); e.value == nil {
				return nil
			}
			v.set(e)
		}
	default:
		v.null = n.Tag == "!!null"
		v.text = c.expand(at, n.Value)
	}
	return v
}

func (l *loader) expand(at place, s string) string {
	out, missing := expand(s, l.lookup)
	for _, name := range missing {
		l.warn(at, "the environment has no %s: ${%s} is empty", name, name)
	}
	return out
}

// step is one step of a path: a key, an index, or the place after the last item.
type step struct {
	key   string
	index int
	kind  stepKind
	// offset is where the step stands in its text.
	offset int
}

type stepKind uint8

const (
	byKey stepKind = iota
	byIndex
	byEnd
)

// assign puts a value at a path and makes what is missing on the way. A path
// that goes through a value of another kind replaces it.
func (v *value) assign(path []step, to *value) {
	if len(path) == 0 {
		*v = *to
		return
	}
	next, s := &value{null: true, at: to.at}, path[0]
	if s.kind == byKey {
		if v.kind != mapping {
			*v = value{kind: mapping, at: to.at}
		}
		v.null = false
		if old := v.get(s.key); old != nil {
			next = old.value
		}
		next.assign(path[1:], to)
		v.set(entry{key: s.key, at: place{src: to.at.src, offset: s.offset}, value: next})
		return
	}
	if v.kind != list {
		*v = value{kind: list, at: to.at}
	}
	v.null = false
	if s.kind == byIndex && s.index < len(v.items) {
		v.items[s.index].assign(path[1:], to)
		return
	}
	next.assign(path[1:], to)
	v.items = append(v.items, next)
}

// checkIndexes says which index of a path is not the next one of its list.
func (v *value) checkIndexes(path []step) error {
	for _, s := range path {
		n := 0
		if v != nil && v.kind == list {
			n = len(v.items)
		}
		switch {
		case s.kind == byIndex && s.index > n:
			return fmt.Errorf("the list has %d items: use an index up to %d, or []", n, n)
		case v == nil:
		case s.kind == byKey:
			e := v.get(s.key)
			v = nil
			if e != nil {
				v = e.value
			}
		case s.kind == byIndex && s.index < n:
			v = v.items[s.index]
		default:
			v = nil
		}
	}
	return nil
}
