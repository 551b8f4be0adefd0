package playbook

import (
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
	switch {
	case len(t.Rules) > 0 && !slices.Contains(t.Rules, a.Rule):
	case t.Priority != nil && a.Priority > *t.Priority:
	case len(t.Sources) > 0 && !slices.Contains(t.Sources, a.Source):
	case len(t.Tags) > 0 && !slices.ContainsFunc(t.Tags, func(tag string) bool { return slices.Contains(a.Tags, tag) }):
	default:
		return true
	}
	return false
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
