package playbook

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"riposte/agent/alert"
	"riposte/agent/order"
	"riposte/responder/playbook/sandbox"
)

// Metadata is what a playbook's METADATA block says.
type Metadata struct {
	Title       string
	Description string
	// Owner is who answers for it: custom.owner, else the first of authors.
	Owner   string
	Authors []string
	Trigger Trigger
	Mode    Mode
	// Contain is "freeze" or "cut" if agents may contain the container of an alert at
	// once, before the playbook has decided; empty if not. It counts in mode enforce alone.
	Contain string
	// Severity is low, medium, high or critical.
	Severity string
	// Attack is the MITRE ATT&CK techniques it answers, such as T1059 or T1059.004.
	Attack []string
}

// Bounds of texts that are shown to people.
const (
	maxTitle = 120
	maxText  = 4000
	maxList  = 200
)

var (
	severities  = []string{"low", "medium", "high", "critical"}
	contains    = []string{string(order.Freeze), string(order.Cut)}
	modes       = []string{string(Observe), string(Approve), string(Enforce)}
	attackShape = regexp.MustCompile(`^T[0-9]{4}(\.[0-9]{3})?$`)
)

// readMetadata finds the one package-scoped METADATA block of a playbook's files.
func readMetadata(files []*sandbox.File) (Metadata, error) {
	var (
		m     Metadata
		errs  sandbox.Errors
		found *sandbox.File
	)
	for _, f := range files {
		for _, a := range f.Module.Annotations {
			if a.Scope != "package" {
				continue
			}
			if found != nil {
				errs = append(errs, sandbox.At(a.Location, "the playbook has a METADATA block already, in %s: keep one", found.Path))
				continue
			}
			found = f
			var more sandbox.Errors
			m, more = parseMetadata(f.Path, a.Location.Row, string(f.Text))
			errs = append(errs, more...)
		}
	}
	if found == nil {
		return m, place(files[0], "there is no METADATA block: put one above the package line, with `scope: package`, title, description, and custom with owner, trigger, mode and severity")
	}
	return m, errs.Err()
}

// parseMetadata reads the block whose "# METADATA" stands in that row of text.
// OPA reads it too, but passes over what it does not know; here a misspelt key is
// an error at its place.
func parseMetadata(file string, row int, text string) (Metadata, sandbox.Errors) {
	b := &block{file: file, row: row}
	lines := strings.Split(text, "\n")
	var y strings.Builder
	for _, line := range lines[min(row, len(lines)):] {
		rest, ok := strings.CutPrefix(strings.TrimSuffix(line, "\r"), "#")
		if !ok {
			break
		}
		y.WriteString(strings.TrimPrefix(rest, " "))
		y.WriteByte('\n')
	}
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(y.String()), &doc); err != nil {
		b.errs = append(b.errs, &sandbox.Error{File: file, Line: row, Message: "METADATA is no YAML: " + strings.TrimPrefix(err.Error(), "yaml: ")})
		return Metadata{}, b.errs
	}
	if len(doc.Content) == 0 {
		b.errs = append(b.errs, &sandbox.Error{File: file, Line: row, Message: "METADATA is empty"})
		return Metadata{}, b.errs
	}
	return b.metadata(doc.Content[0]), b.errs
}

func (b *block) metadata(n *yaml.Node) Metadata {
	var m Metadata
	keys := b.mapping(n, "METADATA", "scope", "title", "description", "authors", "organizations", "related_resources", "custom")
	m.Title = b.text(b.need(n, keys, "METADATA", "title"), "title", maxTitle)
	m.Description = b.text(b.need(n, keys, "METADATA", "description"), "description", maxText)
	m.Authors = b.texts(keys["authors"], "authors")
	custom := b.need(n, keys, "METADATA", "custom")
	if custom == nil {
		return m
	}
	c := b.mapping(custom, "custom", "owner", "trigger", "mode", "contain", "severity", "attack")
	switch {
	case c["owner"] != nil:
		m.Owner = b.text(c["owner"], "custom.owner", maxTitle)
	case len(m.Authors) > 0:
		m.Owner = m.Authors[0]
	default:
		b.errorf(custom, "custom.owner is missing: say who answers for this playbook")
	}
	m.Mode = Mode(b.oneOf(b.need(custom, c, "custom", "mode"), "custom.mode", modes))
	m.Severity = b.oneOf(b.need(custom, c, "custom", "severity"), "custom.severity", severities)
	if n := c["contain"]; n != nil {
		m.Contain = b.oneOf(n, "custom.contain", contains)
	}
	m.Attack = b.texts(c["attack"], "custom.attack")
	for i, id := range m.Attack {
		if !attackShape.MatchString(id) {
			b.errorf(c["attack"].Content[i], "custom.attack: %q is no technique: write it as T1059 or T1059.004", id)
		}
	}
	m.Trigger = b.trigger(b.need(custom, c, "custom", "trigger"))
	return m
}

func (b *block) trigger(n *yaml.Node) Trigger {
	var t Trigger
	if n == nil {
		return t
	}
	keys := b.mapping(n, "custom.trigger", "rules", "tags", "priority", "sources")
	if n.Kind == yaml.MappingNode && len(n.Content) == 0 {
		b.errorf(n, "custom.trigger is empty: give rules, tags, priority or sources (priority: debug is every alert)")
	}
	t.Rules = b.texts(keys["rules"], "custom.trigger.rules")
	t.Tags = b.texts(keys["tags"], "custom.trigger.tags")
	t.Sources = b.texts(keys["sources"], "custom.trigger.sources")
	if p := keys["priority"]; p != nil {
		name := b.text(p, "custom.trigger.priority", maxTitle)
		if v, err := alert.ParsePriority(name); err == nil {
			t.Priority = &v
		} else if name != "" {
			b.errorf(p, "custom.trigger.priority: %v", err)
		}
	}
	return t
}

// block reads YAML nodes strictly and collects errors with their places.
type block struct {
	file string
	row  int
	errs sandbox.Errors
}

func (b *block) errorf(n *yaml.Node, format string, args ...any) {
	// The YAML's first line is the one after "# METADATA"; its columns lack "# ".
	b.errs = append(b.errs, &sandbox.Error{File: b.file, Line: b.row + n.Line, Column: n.Column + 2, Message: fmt.Sprintf(format, args...)})
}

// mapping returns the values by key and refuses keys that are not known.
func (b *block) mapping(n *yaml.Node, what string, known ...string) map[string]*yaml.Node {
	out := map[string]*yaml.Node{}
	if n.Kind != yaml.MappingNode {
		b.errorf(n, "%s must be a mapping with the keys %s", what, strings.Join(known, ", "))
		return out
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		switch {
		case !slices.Contains(known, key.Value):
			b.errorf(key, "%s: unknown key %q: use %s%s", what, key.Value, strings.Join(known, ", "), hint(key.Value, known))
		case out[key.Value] != nil:
			b.errorf(key, "%s: %s is given twice", what, key.Value)
		default:
			out[key.Value] = n.Content[i+1]
		}
	}
	return out
}

func (b *block) need(parent *yaml.Node, keys map[string]*yaml.Node, what, key string) *yaml.Node {
	n := keys[key]
	if n == nil && parent.Kind == yaml.MappingNode {
		b.errorf(parent, "%s: %s is missing", what, key)
	}
	return n
}

func (b *block) text(n *yaml.Node, what string, limit int) string {
	switch {
	case n == nil:
		return ""
	case n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str":
		b.errorf(n, "%s must be a text: put it into quotes if it is one", what)
	case strings.TrimSpace(n.Value) == "":
		b.errorf(n, "%s is empty", what)
	case len(n.Value) > limit:
		b.errorf(n, "%s has %d bytes, %d are allowed", what, len(n.Value), limit)
	default:
		return strings.TrimSpace(n.Value)
	}
	return ""
}

func (b *block) texts(n *yaml.Node, what string) []string {
	switch {
	case n == nil:
		return nil
	case n.Kind != yaml.SequenceNode:
		b.errorf(n, "%s must be a list, for instance [%s]", what, `"one", "two"`)
		return nil
	case len(n.Content) == 0 || len(n.Content) > maxList:
		b.errorf(n, "%s must have 1 to %d entries: leave the key out if it does not matter", what, maxList)
		return nil
	}
	out := make([]string, len(n.Content))
	for i, item := range n.Content {
		out[i] = b.text(item, what, maxTitle)
	}
	return out
}

func (b *block) oneOf(n *yaml.Node, what string, known []string) string {
	s := b.text(n, what, maxTitle)
	if s != "" && !slices.Contains(known, s) {
		b.errorf(n, "%s: unknown %q: use %s%s", what, s, strings.Join(known, ", "), hint(s, known))
	}
	return s
}
