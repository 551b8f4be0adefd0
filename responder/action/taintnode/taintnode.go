// Package taintnode taints a node, so that pods which do not tolerate it stay off
// it, or have to leave it.
package taintnode

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation"

	"riposte/responder/action"
	"riposte/responder/action/kubeobject"
)

// Type is the name that playbooks use.
const Type = "taint_node"

var spec = action.Spec{
	Type:        Type,
	Summary:     "Taint the node. With the effect NoExecute pods that do not tolerate the taint have to leave.",
	Kind:        action.KindNode,
	Permissions: kubeobject.Permissions("get patch", kubeobject.Nodes),
	Params: []action.Param{
		{Name: "key", Type: "text", Default: "riposte.dev/suspect", Desc: "The taint's key."},
		{Name: "value", Type: "text", Desc: "The taint's value."},
		{Name: "effect", Type: "text", Default: "NoSchedule", Desc: "NoSchedule, PreferNoSchedule or NoExecute."},
	},
	Example:  `{"key": "example.com/suspect", "value": "true", "effect": "NoSchedule"}`,
	NodeWide: true,
}

// New makes the action. A taint of this key and effect that is there with another
// value is somebody else's, and is left alone.
func New(client *kubeobject.Client) action.Undoer {
	return &kubeobject.Editor{Client: client, Of: spec, Fields: fields}
}

var effects = []string{string(corev1.TaintEffectNoSchedule), string(corev1.TaintEffectPreferNoSchedule), string(corev1.TaintEffectNoExecute)}

func fields(o *unstructured.Unstructured, r action.Request) ([]kubeobject.Field, error) {
	p := struct{ Key, Value, Effect string }{Key: "riposte.dev/suspect", Effect: effects[0]}
	if err := spec.Decode(r.Params, &p); err != nil {
		return nil, err
	}
	if wrong := validation.IsQualifiedName(p.Key); len(wrong) > 0 {
		return nil, fmt.Errorf("params.key: %.80q: %s", p.Key, strings.Join(wrong, "; "))
	}
	if wrong := validation.IsValidLabelValue(p.Value); len(wrong) > 0 {
		return nil, fmt.Errorf("params.value: %.80q: %s", p.Value, strings.Join(wrong, "; "))
	}
	if !slices.Contains(effects, p.Effect) {
		return nil, fmt.Errorf("params.effect: %.40q: use %s", p.Effect, strings.Join(effects, ", "))
	}
	taint := map[string]any{"key": p.Key, "effect": p.Effect}
	if p.Value != "" {
		taint["value"] = p.Value
	}
	want := kubeobject.Want(taint, "spec", "taints")
	want.Match = map[string]string{"key": p.Key, "effect": p.Effect}
	if o != nil && foreign(o, want, p.Value) {
		return nil, &action.Error{Kind: action.Refused, Err: errors.New("the node has this taint with another value: it is somebody else's")}
	}
	return []kubeobject.Field{want}, nil
}

// foreign says whether the taint is there with another value. The time that the
// API adds to NoExecute is no matter.
func foreign(o *unstructured.Unstructured, f kubeobject.Field, value string) bool {
	taints, _, _ := unstructured.NestedSlice(o.Object, f.Path...)
	for _, item := range taints {
		taint, _ := item.(map[string]any)
		has, _ := taint["value"].(string)
		if taint["key"] == f.Match["key"] && taint["effect"] == f.Match["effect"] && has != value {
			return true
		}
	}
	return false
}
