package playbook

import (
	"fmt"
	"slices"
	"strings"

	"riposte/agent/alert"
)

// Trigger says which alerts a playbook is asked about. A key that is not given
// does not matter; all that are given must fit.
type Trigger struct {
	// Rules are exact names, any of them.
	Rules []string
	// Tags are exact, any of them.
	Tags []string
	// Priority, if not nil, is the least severe that still fits.
	Priority *alert.Priority
	// Sources are exact names, any of them.
	Sources []string
}

// Matches says whether the trigger fits an alert.
func (t Trigger) Matches(a *alert.Alert) bool {
	return t.fitsRule(a) && t.fitsPriority(a) && t.fitsSource(a) && t.fitsTags(a)
}

func (t Trigger) fitsRule(a *alert.Alert) bool {
	return len(t.Rules) == 0 || slices.Contains(t.Rules, a.Rule)
}

func (t Trigger) fitsPriority(a *alert.Alert) bool {
	return t.Priority == nil || a.Priority <= *t.Priority
}

func (t Trigger) fitsSource(a *alert.Alert) bool {
	return len(t.Sources) == 0 || slices.Contains(t.Sources, a.Source)
}

func (t Trigger) fitsTags(a *alert.Alert) bool {
	return len(t.Tags) == 0 || slices.ContainsFunc(t.Tags, func(tag string) bool { return slices.Contains(a.Tags, tag) })
}

// Misses says, for each key that does not fit an alert, why.
func (t Trigger) Misses(a *alert.Alert) []string {
	var out []string
	if !t.fitsRule(a) {
		out = append(out, fmt.Sprintf("rules: %q is none of %s", a.Rule, strings.Join(t.Rules, ", ")))
	}
	if !t.fitsTags(a) {
		out = append(out, fmt.Sprintf("tags: [%s] has none of %s", strings.Join(a.Tags, ", "), strings.Join(t.Tags, ", ")))
	}
	if !t.fitsPriority(a) {
		out = append(out, fmt.Sprintf("priority: %s is less severe than %s", a.Priority.Token(), t.Priority.Token()))
	}
	if !t.fitsSource(a) {
		out = append(out, fmt.Sprintf("sources: %q is none of %s", a.Source, strings.Join(t.Sources, ", ")))
	}
	return out
}

// String is the trigger in one line, for a person.
func (t Trigger) String() string {
	var parts []string
	list := func(key string, values []string) {
		if len(values) > 0 {
			parts = append(parts, key+": "+strings.Join(values, " | "))
		}
	}
	list("rules", t.Rules)
	list("tags", t.Tags)
	if t.Priority != nil {
		parts = append(parts, "priority: "+t.Priority.Token())
	}
	list("sources", t.Sources)
	return strings.Join(parts, ", ")
}

// index finds the playbooks that an alert may trigger without asking each.
type index struct {
	// byRule holds the playbooks that name rules, rest the others. Both are sorted
	// by name.
	byRule map[string][]*Playbook
	rest   []*Playbook
}

func newIndex(all []*Playbook) index {
	x := index{byRule: map[string][]*Playbook{}}
	for _, p := range all {
		if len(p.Trigger.Rules) == 0 {
			x.rest = append(x.rest, p)
		}
		for _, rule := range slices.Compact(slices.Sorted(slices.Values(p.Trigger.Rules))) {
			x.byRule[rule] = append(x.byRule[rule], p)
		}
	}
	return x
}

// triggered returns the playbooks to ask, sorted by name.
func (x index) triggered(a *alert.Alert) []*Playbook {
	var out []*Playbook
	for _, list := range [][]*Playbook{x.byRule[a.Rule], x.rest} {
		for _, p := range list {
			if p.Trigger.Matches(a) {
				out = append(out, p)
			}
		}
	}
	slices.SortFunc(out, byName)
	return out
}

func byName(a, b *Playbook) int {
	switch {
	case a.Name < b.Name:
		return -1
	case a.Name > b.Name:
		return 1
	}
	return 0
}
