package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// maxIndex bounds an index in a path.
const maxIndex = 10_000

// parsePath reads the path of a key: a.b, a[0].b, a[]. The offset says where an
// error is.
func parsePath(s string) (path []step, offset int, err error) {
	i := 0
	for {
		start := i
		for i < len(s) && s[i] != '.' && s[i] != '[' && s[i] != ']' {
			i++
		}
		if i == start {
			return nil, i, errors.New("a key is missing here")
		}
		path = append(path, step{key: s[start:i], offset: start})
		for i < len(s) && s[i] == '[' {
			end := strings.IndexByte(s[i:], ']')
			if end < 0 {
				return nil, i, errors.New("this bracket is not closed")
			}
			if inside := s[i+1 : i+end]; inside == "" {
				path = append(path, step{kind: byEnd, offset: i})
			} else {
				n, err := strconv.ParseUint(inside, 10, 31)
				if err != nil || n > maxIndex {
					return nil, i + 1, fmt.Errorf("an index is a number up to %d, or nothing to add an item", maxIndex)
				}
				path = append(path, step{kind: byIndex, index: int(n), offset: i})
			}
			i += end + 1
		}
		switch {
		case len(path) > maxDepth:
			return nil, i, fmt.Errorf("more than %d levels", maxDepth)
		case i == len(s):
			return path, i, nil
		case s[i] != '.':
			return nil, i, errors.New("a dot or a bracket belongs here")
		}
		i++
	}
}

// override applies one -o argument: a path, "=", and a value in YAML, of which
// JSON is a part.
func (l *loader) override(root *value, arg string) {
	src := &source{name: "-o", text: arg}
	key, text, ok := strings.Cut(arg, "=")
	if !ok {
		msg := "write key=value, such as json_output=true"
		if arg == "json" || arg == "text" {
			msg = fmt.Sprintf("write json_output=%t, or --output %s", arg == "json", arg)
		}
		l.fail(place{src: src, offset: len(arg)}, "%s", msg)
		return
	}
	path, offset, err := parsePath(key)
	if err == nil {
		root.seed(path)
		offset, err = 0, root.checkIndexes(path)
	}
	if err != nil {
		l.fail(place{src: src, offset: offset}, "%v", err)
		return
	}
	at := place{src: src, offset: len(key) + 1}
	// Only a list or a mapping is parsed. A single value is taken as it stands, so
	// that no quotes are needed for "*" or ": " in it.
	v := &value{at: at, text: l.expand(at, text), null: text == ""}
	if trimmed := strings.TrimSpace(text); strings.HasPrefix(trimmed, "{") || strings.HasPrefix(trimmed, "[") {
		// Blanks for the key keep the places right.
		if v = l.parse(&source{name: "-o", text: strings.Repeat(" ", len(key)+1) + text}); v == nil {
			return
		}
		v.retell(src)
	}
	root.assign(path, v)
}

// seed puts the default into the list append_output before something is added to
// it, as it stands in the file that Falco comes with.
func (v *value) seed(path []step) {
	if len(path) != 2 || path[0].key != "append_output" || path[1].kind != byEnd || v.get("append_output") != nil {
		return
	}
	at := place{src: &source{name: "append_output's default", whole: true}}
	suggested := &value{kind: mapping, at: at, keys: []entry{{key: "suggested_output", at: at, value: &value{text: "true", at: at}}}}
	v.set(entry{key: "append_output", at: at, value: &value{kind: list, at: at, items: []*value{suggested}}})
}

// retell says that the value stands in another text, at the same offsets.
func (v *value) retell(src *source) {
	v.at.src = src
	for _, item := range v.items {
		item.retell(src)
	}
	for i := range v.keys {
		v.keys[i].at.src = src
		v.keys[i].value.retell(src)
	}
}

func (s Setting) path() []step {
	path, _, err := parsePath(s.Key)
	if err != nil {
		panic("config: the key of " + s.From + " is wrong: " + err.Error())
	}
	return path
}

func (s Setting) value() *value {
	at := place{src: &source{name: s.From, whole: true}}
	if !s.List {
		return &value{text: s.Values[0], at: at}
	}
	v := &value{kind: list, at: at}
	for _, one := range s.Values {
		v.items = append(v.items, &value{text: one, at: at})
	}
	return v
}
