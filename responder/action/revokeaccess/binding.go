package revokeaccess

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"riposte/responder/action"
	"riposte/responder/action/kubeobject"
)

// binding is a role binding or cluster role binding, and what was taken from it.
type binding struct {
	Resource  string             `json:"resource"`
	Namespace string             `json:"namespace,omitempty"`
	Name      string             `json:"name"`
	UID       string             `json:"uid"`
	Fields    []kubeobject.Field `json:"fields"`
}

func (b binding) ref() kubeobject.Ref {
	return kubeobject.To(b.Resource, b.Namespace, b.Name, b.UID)
}

// subject is the account's element of a binding's subjects, to be taken away.
func (a account) subject() kubeobject.Field {
	f := kubeobject.Want(nil, "subjects")
	f.Match = map[string]string{"kind": "ServiceAccount", "namespace": a.namespace, "name": a.name}
	return f
}

// groups are those that every service account of the namespace is in.
func (a account) groups() []string {
	return []string{"system:serviceaccounts", "system:serviceaccounts:" + a.namespace, "system:authenticated"}
}

// found are the bindings that name the account, or from which the action of an id
// has taken it, and the names of those that name one of its groups.
type found struct {
	bindings []binding
	groups   []string
}

func (a *Action) find(ctx context.Context, of account, id string) (f found, err error) {
	want := []kubeobject.Field{of.subject()}
	err = a.each(ctx, func(resource string, o *unstructured.Unstructured) {
		_, ours := kubeobject.Marked(o, Type, id)
		if ours || len(kubeobject.Missing(o, want)) > 0 {
			f.bindings = append(f.bindings, binding{Resource: resource, Namespace: o.GetNamespace(), Name: o.GetName(), UID: string(o.GetUID())})
		}
		// Kubernetes' own bindings give everybody the same few rights.
		if strings.HasPrefix(o.GetName(), "system:") || o.GetNamespace() != "" && o.GetNamespace() != of.namespace {
			return
		}
		subjects, _, _ := unstructured.NestedSlice(o.Object, "subjects")
		for _, item := range subjects {
			subject, _ := item.(map[string]any)
			name, _ := subject["name"].(string)
			if subject["kind"] == "Group" && slices.Contains(of.groups(), name) {
				f.groups = append(f.groups, o.GetName())
				return
			}
		}
	})
	slices.Sort(f.groups)
	return f, err
}

func (a *Action) each(ctx context.Context, do func(resource string, o *unstructured.Unstructured)) error {
	for _, resource := range []string{roleBindings, clusterRoleBindings} {
		err := a.client.List(ctx, kubeobject.To(resource, "", "", ""), metav1.ListOptions{}, func(o *unstructured.Unstructured) { do(resource, o) })
		if err != nil {
			return err
		}
	}
	return nil
}

// taken are the bindings that an action took its account from, as recorded; if a
// crash kept them from being recorded, as they say themselves.
func (a *Action) taken(ctx context.Context, r action.Request) ([]binding, error) {
	var before struct{ Bindings []binding }
	if len(r.Before) > 0 {
		if err := json.Unmarshal(r.Before, &before); err != nil {
			return nil, kubeobject.Permanent("read how it was before: %w", err)
		}
		return before.Bindings, nil
	}
	err := a.each(ctx, func(resource string, o *unstructured.Unstructured) {
		if image, ok := kubeobject.Marked(o, Type, r.ID); ok {
			before.Bindings = append(before.Bindings, binding{resource, o.GetNamespace(), o.GetName(), string(o.GetUID()), image.Fields})
		}
	})
	return before.Bindings, err
}
