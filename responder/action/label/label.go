// Package label sets and takes away labels and annotations.
package label

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation"

	"riposte/responder/action"
	"riposte/responder/action/kubeobject"
)

// The names that playbooks use.
const (
	Type         = "label"
	AnnotateType = "annotate"
)

// reserved is the prefix of what Riposte itself keeps on objects; a playbook that
// could write it could make an undo bring back what never was.
const reserved = "riposte.dev/"

// Bounds of one action.
const (
	maxKeys       = 20
	maxAnnotation = 4096
)

// New makes the action that labels.
func New(client *kubeobject.Client) action.Undoer {
	return edit(client, action.Spec{
		Type:    Type,
		Summary: "Set labels, or take them away, on a pod, node, workload or namespace. Beware of a pod's labels that its controller or a Service selects by: isolate_pod is the action for those.",
		Params: []action.Param{{
			Name: "labels", Type: "map", Required: true, Desc: "Keys and their values; an empty value takes the label away. At most 20. Keys that begin with riposte.dev/ are Riposte's own.",
		}},
		Example: `{"labels": {"example.com/suspect": "true"}}`,
	}, "labels", func(value string) []string { return validation.IsValidLabelValue(value) })
}

// NewAnnotate makes the action that annotates.
func NewAnnotate(client *kubeobject.Client) action.Undoer {
	return edit(client, action.Spec{
		Type:    AnnotateType,
		Summary: "Set annotations, or take them away, on a pod, node, workload or namespace.",
		Params: []action.Param{{
			Name: "annotations", Type: "map", Required: true, Desc: "Keys and their values, of 4096 bytes at most; an empty value takes the annotation away. At most 20. Keys that begin with riposte.dev/ are Riposte's own.",
		}},
		Example: `{"annotations": {"example.com/incident": "seen by Riposte"}}`,
	}, "annotations", func(value string) []string {
		if len(value) > maxAnnotation {
			return []string{fmt.Sprintf("has more than %d bytes", maxAnnotation)}
		}
		return nil
	})
}

func edit(client *kubeobject.Client, s action.Spec, field string, check func(string) []string) *kubeobject.Editor {
	s.Kind, s.Also = action.KindPod, []string{action.KindNode, action.KindWorkload, action.KindObject}
	resources := append(slices.Clone(kubeobject.Workloads), kubeobject.Namespaces)
	s.Permissions = kubeobject.Permissions("get patch", append([]string{kubeobject.Pods, kubeobject.Nodes}, resources...)...)
	return &kubeobject.Editor{
		Client: client, Of: s, Resources: resources,
		Fields: func(_ *unstructured.Unstructured, r action.Request) ([]kubeobject.Field, error) {
			given := map[string]map[string]any{}
			if err := s.Decode(r.Params, &given); err != nil {
				return nil, err
			}
			return fields(given[field], field, check)
		},
	}
}

func fields(given map[string]any, field string, check func(string) []string) ([]kubeobject.Field, error) {
	if len(given) == 0 || len(given) > maxKeys {
		return nil, fmt.Errorf("params.%s: has %d keys, from 1 to %d are allowed", field, len(given), maxKeys)
	}
	var want []kubeobject.Field
	for _, key := range slices.Sorted(maps.Keys(given)) {
		if wrong := validation.IsQualifiedName(key); len(wrong) > 0 {
			return nil, fmt.Errorf("params.%s: %.80q: %s", field, key, strings.Join(wrong, "; "))
		}
		if strings.HasPrefix(key, reserved) {
			return nil, fmt.Errorf("params.%s: %.80q: keys that begin with %s are Riposte's own", field, key, reserved)
		}
		value, ok := given[key].(string)
		if !ok {
			return nil, fmt.Errorf("params.%s: the value of %q is no text", field, key)
		}
		if wrong := check(value); len(wrong) > 0 {
			return nil, fmt.Errorf("params.%s: the value of %q: %s", field, key, strings.Join(wrong, "; "))
		}
		if value == "" {
			want = append(want, kubeobject.Want(nil, "metadata", field, key))
		} else {
			want = append(want, kubeobject.Want(value, "metadata", field, key))
		}
	}
	return want, nil
}
