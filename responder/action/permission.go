package action

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Permission is one verb on one resource of the Kubernetes API.
type Permission struct {
	Verb string
	// Group is the API group, empty for the core's.
	Group string
	// Resource may name a subresource: pods/eviction.
	Resource string
}

var permissionShape = regexp.MustCompile(`^([a-z]+) ([a-z]+)(?:\.([a-z0-9.-]+))?(/[a-z]+)?$`)

// ParsePermission reads "verb resource.group/subresource", as in "get pods",
// "patch deployments.apps" and "create pods/eviction".
func ParsePermission(s string) (Permission, error) {
	m := permissionShape.FindStringSubmatch(s)
	if m == nil {
		return Permission{}, fmt.Errorf("permission %q: write it as verb resource.group/subresource", s)
	}
	return Permission{Verb: m[1], Group: m[3], Resource: m[2] + m[4]}, nil
}

// Rule is a rule of a Kubernetes role: all its verbs on all its resources.
type Rule struct {
	Group     string
	Resources []string
	Verbs     []string
}

// Rules are the fewest rules that permit everything which the actions declare and
// nothing else, in a stable order.
func Rules(specs ...Spec) ([]Rule, error) {
	verbs := map[[2]string][]string{}
	for _, s := range specs {
		for _, text := range s.Permissions {
			p, err := ParsePermission(text)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", s.Type, err)
			}
			key := [2]string{p.Group, p.Resource}
			if !slices.Contains(verbs[key], p.Verb) {
				verbs[key] = append(verbs[key], p.Verb)
			}
		}
	}
	byVerbs := map[[2]string]*Rule{}
	var rules []*Rule
	for _, key := range slices.SortedFunc(maps.Keys(verbs), func(a, b [2]string) int {
		return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1]))
	}) {
		slices.Sort(verbs[key])
		same := [2]string{key[0], strings.Join(verbs[key], " ")}
		r := byVerbs[same]
		if r == nil {
			r = &Rule{Group: key[0], Verbs: verbs[key]}
			byVerbs[same] = r
			rules = append(rules, r)
		}
		r.Resources = append(r.Resources, key[1])
	}
	out := make([]Rule, len(rules))
	for i, r := range rules {
		out[i] = *r
	}
	return out, nil
}
