package guard

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// canary is the part of a cluster in which a playbook does more than observe.
type canary struct {
	namespaces []string
	labels     map[string]string
}

func (c canary) empty() bool { return len(c.namespaces)+len(c.labels) == 0 }

// fits believes the API server alone: by the labels that an agent reports a node
// could draw a pod into the canary.
func (c canary) fits(e *Effect) bool {
	if len(c.namespaces) > 0 && !slices.Contains(c.namespaces, e.Namespace) {
		return false
	}
	for k, v := range c.labels {
		if got, ok := e.Labels[k]; !ok || got != v {
			return false
		}
	}
	return true
}

func (c canary) String() string {
	var parts []string
	if len(c.namespaces) > 0 {
		parts = append(parts, "namespaces "+strings.Join(c.namespaces, ", "))
	}
	for _, k := range slices.Sorted(maps.Keys(c.labels)) {
		parts = append(parts, "label "+k+"="+c.labels[k])
	}
	return strings.Join(parts, "; ")
}

func encodeLabels(labels map[string]string) ([]byte, error) {
	if labels == nil {
		labels = map[string]string{}
	}
	return json.Marshal(labels)
}
