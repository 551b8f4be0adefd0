package rules

import (
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// plugins are the parts of Falco that are built in here, with the version whose
// fields they have.
var plugins = map[string]string{"container": "0.6.0"}

// Plugin is a part of Falco that a file needs, in at least a version.
type Plugin struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// Requirement is one plugin that a file needs, or one that may stand for it.
type Requirement struct {
	Plugin
	Alternatives []Plugin `json:"alternatives"`
}

// engineVersion checks that the language is new enough for the file; a plain
// number N means 0.N.0.
func (l *loader) engineVersion(it *item) {
	s, ok := it.text(l, it.kind)
	if !ok {
		return
	}
	p, _ := it.key(it.kind)
	if _, err := strconv.ParseUint(s, 10, 32); err == nil {
		s = "0." + s + ".0"
	}
	want, ok := parseVersion(s)
	have, _ := parseVersion(EngineVersion)
	switch {
	case !ok:
		l.fail(p.error(CodeYAMLValidate, it.label(), 0, fmt.Sprintf("%q is neither a number nor a version such as 0.57.0", s)))
	case older(have, want):
		l.fail(p.error(CodeValidate, it.label(), 0, fmt.Sprintf("the file needs engine version %s, this is %s", s, EngineVersion)))
	default:
		if had, _ := parseVersion(l.engine); l.engine == "" || older(had, want) {
			l.engine = s
		}
	}
}

// pluginVersions checks that every required plugin, or an alternative to it, is built in.
func (l *loader) pluginVersions(it *item) {
	p, _ := it.key(it.kind)
	if p.node.Kind != yaml.SequenceNode {
		l.fail(p.error(CodeYAMLValidate, it.label(), 0, "must be a list of plugins with name and version"))
		return
	}
	for _, n := range p.node.Content {
		at := place{p.src, resolve(n)}
		var entry struct {
			Name, Version string
			Alternatives  []struct{ Name, Version string }
		}
		if err := at.node.Decode(&entry); err != nil || entry.Name == "" || entry.Version == "" {
			l.fail(at.error(CodeYAMLValidate, it.label(), 0, "a required plugin needs a name and a version"))
			continue
		}
		reason := checkPlugin(entry.Name, entry.Version)
		seen := map[string]bool{entry.Name: true}
		for _, a := range entry.Alternatives {
			if seen[a.Name] {
				reason = fmt.Sprintf("plugin %s is named twice", a.Name)
				break
			}
			seen[a.Name] = true
			if reason != "" && checkPlugin(a.Name, a.Version) == "" {
				reason = ""
			}
		}
		need := Requirement{Plugin: Plugin{Name: entry.Name, Version: entry.Version}}
		for _, a := range entry.Alternatives {
			need.Alternatives = append(need.Alternatives, Plugin{Name: a.Name, Version: a.Version})
		}
		l.required = append(l.required, need)
		if reason != "" {
			l.fail(at.error(CodeValidate, it.label(), 0, reason))
		}
	}
}

func checkPlugin(name, version string) string {
	have, ok := plugins[name]
	if !ok {
		return fmt.Sprintf("the file needs plugin %s, which is not built in", name)
	}
	want, ok := parseVersion(version)
	if !ok {
		return fmt.Sprintf("%q is not a version such as 0.4.0", version)
	}
	if v, _ := parseVersion(have); older(v, want) {
		return fmt.Sprintf("the file needs plugin %s %s, built in is %s", name, version, have)
	}
	return ""
}

func parseVersion(s string) (v [3]uint64, ok bool) {
	parts := strings.Split(s, ".")
	if len(parts) != 3 {
		return v, false
	}
	for i, part := range parts {
		n, err := strconv.ParseUint(part, 10, 32)
		if err != nil {
			return v, false
		}
		v[i] = n
	}
	return v, true
}

func older(a, b [3]uint64) bool {
	for i := range a {
		if a[i] != b[i] {
			return a[i] < b[i]
		}
	}
	return false
}
