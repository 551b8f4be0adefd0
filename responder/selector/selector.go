// Package selector reads label selectors as kubectl writes them: "app=cart",
// "tier!=web", "env in (dev, test)", "env notin (prod)", "app", "!app", any of them
// joined by commas, all of which must hold.
package selector

import (
	"fmt"
	"slices"
	"strings"
)

// Operator is how a Requirement compares.
type Operator int

// The operators, by how they are written.
const (
	// In is "key=value" and "key in (values)": the label is there and has one of the values.
	In Operator = iota
	// NotIn is "key!=value" and "key notin (values)": the label has none of the values,
	// or is not there.
	NotIn
	// Exists is "key".
	Exists
	// Missing is "!key".
	Missing
)

// Requirement is one part of a Selector.
type Requirement struct {
	Key string
	Op  Operator
	// Values are of In and NotIn: sorted, each once, at least one.
	Values []string
}

// Selector is what labels must be like: every Requirement holds. The empty one lets
// everything through.
type Selector []Requirement

// Matches says whether labels are what the selector asks for.
func (s Selector) Matches(labels map[string]string) bool {
	return !slices.ContainsFunc(s, func(r Requirement) bool { return !r.matches(labels) })
}

func (r Requirement) matches(labels map[string]string) bool {
	value, there := labels[r.Key]
	switch r.Op {
	case In:
		return there && slices.Contains(r.Values, value)
	case NotIn:
		return !there || !slices.Contains(r.Values, value)
	case Exists:
		return there
	}
	return !there
}

// String is the selector in the form that Parse reads.
func (s Selector) String() string {
	parts := make([]string, len(s))
	for i, r := range s {
		parts[i] = r.String()
	}
	return strings.Join(parts, ",")
}

func (r Requirement) String() string {
	one := len(r.Values) == 1
	switch {
	case r.Op == Exists:
		return r.Key
	case r.Op == Missing:
		return "!" + r.Key
	case r.Op == In && one:
		return r.Key + "=" + r.Values[0]
	case r.Op == NotIn && one:
		return r.Key + "!=" + r.Values[0]
	case r.Op == In:
		return fmt.Sprintf("%s in (%s)", r.Key, strings.Join(r.Values, ","))
	}
	return fmt.Sprintf("%s notin (%s)", r.Key, strings.Join(r.Values, ","))
}
