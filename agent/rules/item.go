package rules

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"riposte/agent/rules/syntax"
)

// item is one entry of a rules file: a mapping whose keys say what it is.
type item struct {
	kind, name string
	at         place
	keys       map[string]*yaml.Node
}

// kinds are the keys that say what an item is; the first that is present counts.
var kinds = []string{"required_engine_version", "required_plugin_versions", "list", "macro", "rule"}

var ruleKeys = []string{
	"rule", "condition", "output", "desc", "priority", "source", "enabled", "capture", "capture_duration", "warn_evttypes",
	"skip-if-unknown-filter", "tags", "exceptions", "override", "append",
}

var knownKeys = map[string][]string{
	"list":                     {"list", "items", "append", "override"},
	"macro":                    {"macro", "condition", "append", "override"},
	"rule":                     ruleKeys,
	"required_engine_version":  {"required_engine_version"},
	"required_plugin_versions": {"required_plugin_versions"},
}

func (it *item) label() string {
	if it.name == "" {
		return it.kind
	}
	return fmt.Sprintf("%s %q", it.kind, it.name)
}

// key is the value of a key as a place, or false if the key is not there.
func (it *item) key(name string) (place, bool) {
	n := it.keys[name]
	if n == nil {
		return place{}, false
	}
	return place{src: it.at.src, node: n}, true
}

// documents reads the YAML of a file, or says what is wrong with it.
func documents(src *source) (docs []*yaml.Node, problem *Error) {
	// The parser is not ours: should it panic on some input, that is an error of the
	// file, and the agent goes on with the rules that it has.
	defer func() {
		if r := recover(); r != nil {
			docs, problem = nil, &Error{File: src.name, Code: CodeYAMLParse, Msg: fmt.Sprintf("the YAML cannot be read: %v", r)}
		}
	}()
	dec := yaml.NewDecoder(bytes.NewReader([]byte(src.content)))
	for {
		var doc yaml.Node
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return docs, nil
		}
		if err != nil {
			return docs, yamlError(src, err)
		}
		if len(doc.Content) > 0 {
			docs = append(docs, doc.Content[0])
		}
	}
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

func yamlError(src *source, err error) *Error {
	e := &Error{File: src.name, Code: CodeYAMLParse, Msg: "YAML: " + err.Error()}
	m := yamlLine.FindStringSubmatch(err.Error())
	if m == nil {
		return e
	}
	e.Msg = "YAML: " + strings.TrimPrefix(err.Error(), m[0])
	if line, convErr := strconv.Atoi(m[1]); convErr == nil {
		at := syntax.PosAt(src.content, src.offset(line, 1))
		e.Line, e.Column, e.Snippet = at.Line, at.Column, syntax.Snippet(src.content, at)
	}
	return e
}

// file reads all items of one file.
func (l *loader) file(f File) {
	src := &source{name: f.Name, content: string(f.Content)}
	if len(f.Content) > MaxFileBytes {
		l.fail(&Error{File: f.Name, Code: CodeFileRead, Msg: fmt.Sprintf("the file has %d bytes, more than %d", len(f.Content), MaxFileBytes)})
		return
	}
	docs, problem := documents(src)
	if problem != nil {
		l.fail(problem)
		return
	}
	for _, doc := range docs {
		doc = resolve(doc)
		at := place{src: src, node: doc}
		if null(doc) {
			continue
		}
		if doc.Kind != yaml.SequenceNode {
			l.fail(at.error(CodeYAMLValidate, "", 0, "a rules file is a list of items: begin each with '- rule:', '- macro:' or '- list:'"))
			continue
		}
		for _, n := range doc.Content {
			if l.count++; l.count > MaxItems {
				l.fail(at.error(CodeValidate, "", 0, fmt.Sprintf("more than %d items in all files", MaxItems)))
				return
			}
			if n = resolve(n); !null(n) {
				l.item(place{src: src, node: n})
			}
			if l.full || l.failed[src.name] && !l.all {
				return
			}
		}
	}
}

// resolve follows an alias; the anchor's own aliases are followed where they are read.
func resolve(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode && n.Alias != nil {
		return n.Alias
	}
	return n
}

func null(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// item finds out what an item is and hands it to its collector.
func (l *loader) item(at place) {
	if at.node.Kind != yaml.MappingNode {
		l.fail(at.error(CodeYAMLValidate, "", 0, "an item is a mapping: begin it with 'rule:', 'macro:' or 'list:'"))
		return
	}
	it := &item{at: at, keys: make(map[string]*yaml.Node, len(at.node.Content)/2)}
	l.within = []part{it.part()}
	defer func() { l.within = nil }()
	var order []*yaml.Node
	for i := 0; i+1 < len(at.node.Content); i += 2 {
		k, v := at.node.Content[i], resolve(at.node.Content[i+1])
		if it.keys[k.Value] != nil {
			l.warn(place{at.src, k}.error(CodeUnknownKey, "", 0, fmt.Sprintf("key %s is given twice: the first counts", k.Value)))
			continue
		}
		it.keys[k.Value] = v
		order = append(order, k)
	}
	for _, kind := range kinds {
		if it.keys[kind] != nil {
			it.kind = kind
			break
		}
	}
	if it.kind == "" {
		l.odd(at, "unknown item")
		l.warn(at.error(CodeUnknownItem, "", 0, "unknown item, ignored: known are rule, macro, list, required_engine_version and required_plugin_versions"))
		return
	}
	if named := it.kind == "list" || it.kind == "macro" || it.kind == "rule"; named {
		name, ok := it.text(l, it.kind)
		if !ok {
			return
		}
		if it.name = name; name == "" {
			l.fail(at.error(CodeYAMLValidate, "", 0, fmt.Sprintf("the %s has no name", it.kind)))
			return
		}
	}
	l.within[0] = it.part()
	for _, k := range order {
		if known := knownKeys[it.kind]; !slices.Contains(known, k.Value) {
			msg := fmt.Sprintf("unknown key %q, ignored", k.Value)
			if near := syntax.Nearest(k.Value, known); near != "" {
				msg += ": did you mean " + near + "?"
			}
			l.odd(place{at.src, k}, fmt.Sprintf("unknown key %q", k.Value))
			l.warn(place{at.src, k}.error(CodeUnknownKey, it.label(), 0, msg))
		}
	}
	switch it.kind {
	case "required_engine_version":
		l.engineVersion(it)
	case "required_plugin_versions":
		l.pluginVersions(it)
	case "list":
		l.list(it)
	case "macro":
		l.macro(it)
	case "rule":
		l.rule(it)
	}
}

// lacks reports a key that must be there; a misspelt one is probably meant for it.
func (it *item) lacks(l *loader, key string) {
	msg, near := fmt.Sprintf("the %s has no %s", it.kind, key), ""
	for k := range it.keys {
		if !slices.Contains(knownKeys[it.kind], k) && syntax.Nearest(k, []string{key}) != "" {
			near = fmt.Sprintf(": did you mean it by %q?", k)
			break
		}
	}
	l.fail(it.at.error(CodeYAMLValidate, it.label(), 0, msg+near))
}

// text reads a key that must be a scalar, if it is there.
func (it *item) text(l *loader, key string) (string, bool) {
	p, ok := it.key(key)
	if !ok {
		return "", false
	}
	if p.node.Kind != yaml.ScalarNode || null(p.node) {
		l.fail(p.error(CodeYAMLValidate, it.label(), 0, key+" must be text"))
		return "", false
	}
	if p.node.Value == "" {
		l.fail(p.error(CodeYAMLValidate, it.label(), 0, key+" is empty"))
		return "", false
	}
	return p.node.Value, true
}

// truth reads a key that must be true or false, if it is there.
func (it *item) truth(l *loader, key string) (value, ok bool) {
	s, ok := it.text(l, key)
	if !ok {
		return false, false
	}
	switch strings.ToLower(s) {
	case "true", "yes", "on", "y":
		return true, true
	case "false", "no", "off", "n":
		return false, true
	}
	p, _ := it.key(key)
	l.fail(p.error(CodeYAMLValidate, it.label(), 0, key+" must be true or false"))
	return false, false
}

// texts reads a key that must be a list of scalars, if it is there.
func (it *item) texts(l *loader, key string) ([]string, bool) {
	p, ok := it.key(key)
	if !ok {
		return nil, false
	}
	return l.scalars(p, it.label(), key)
}

func (l *loader) scalars(p place, label, what string) ([]string, bool) {
	if p.node.Kind != yaml.SequenceNode {
		l.fail(p.error(CodeYAMLValidate, label, 0, what+" must be a list"))
		return nil, false
	}
	list := make([]string, 0, len(p.node.Content))
	for _, n := range p.node.Content {
		n = resolve(n)
		if n.Kind != yaml.ScalarNode || null(n) {
			l.fail(place{p.src, n}.error(CodeYAMLValidate, label, 0, what+" must hold texts or numbers alone"))
			return nil, false
		}
		list = append(list, n.Value)
	}
	return list, true
}
