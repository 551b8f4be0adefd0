package isolatepod

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"

	"riposte/responder/action"
	"riposte/responder/action/kubeobject"
)

// selectors are what may select the pod by its labels: its Services and its
// controller, by the name to call them.
type selectors struct {
	by    map[string]labels.Selector
	owner *metav1.OwnerReference
	// unread is that the controller is of a kind of which we know no selector.
	unread bool
}

func (a *Action) selectors(ctx context.Context, pod *unstructured.Unstructured) (selectors, error) {
	s := selectors{by: map[string]labels.Selector{}}
	services := kubeobject.To(kubeobject.Services, pod.GetNamespace(), "", "")
	err := a.client.List(ctx, services, metav1.ListOptions{}, func(o *unstructured.Unstructured) {
		// Without a selector a Service has endpoints of its own making, or none.
		if set, _, _ := unstructured.NestedStringMap(o.Object, "spec", "selector"); len(set) > 0 {
			s.by["Service "+o.GetName()] = labels.SelectorFromSet(set)
		}
	})
	if err != nil {
		return s, err
	}
	controller, owner, err := a.client.ControllerOf(ctx, pod)
	if err != nil || owner == nil {
		return s, err
	}
	s.owner = owner
	if controller == nil {
		s.unread = true
		return s, nil
	}
	selector, err := selectorOf(controller)
	if err != nil {
		return s, err
	}
	if s.unread = selector == nil; !s.unread {
		s.by[owner.Kind+" "+owner.Name] = selector
	}
	return s, nil
}

// selectorOf reads spec.selector: a ReplicationController has a plain map there.
func selectorOf(o *unstructured.Unstructured) (labels.Selector, error) {
	raw, ok, _ := unstructured.NestedMap(o.Object, "spec", "selector")
	if !ok {
		return nil, nil
	}
	if o.GetKind() == "ReplicationController" {
		set, _, err := unstructured.NestedStringMap(o.Object, "spec", "selector")
		return labels.SelectorFromSet(set), err
	}
	return kubeobject.Selector(raw)
}

// selecting names what selects a pod with these labels.
func (s selectors) selecting(set map[string]string) []string {
	var by []string
	for _, name := range slices.Sorted(maps.Keys(s.by)) {
		if s.by[name].Matches(labels.Set(set)) {
			by = append(by, name)
		}
	}
	return by
}

// notes are what an analyst should know about this pod's isolation.
func (s selectors) notes(pod *unstructured.Unstructured) (notes []string) {
	switch {
	case s.owner == nil:
		notes = append(notes, "the pod has no controller: nothing replaces it")
	case s.unread:
		notes = append(notes, fmt.Sprintf("its controller, %s %s, is gone or not known to select by labels: it may not replace the pod", s.owner.Kind, s.owner.Name))
	case s.owner.Kind == "StatefulSet":
		notes = append(notes, "its StatefulSet cannot start a clean one of the same name before this pod is deleted")
	}
	if kubeobject.HostNetwork(pod) {
		notes = append(notes, kubeobject.InHostNetwork)
	}
	return notes
}

// detach is what is wanted of the pod's labels: without every one that a selector
// which selects it asks for, and with our own. It is an error if that cannot be
// done by taking labels away.
func detach(set map[string]string, s selectors, uid string) ([]kubeobject.Field, error) {
	left := maps.Clone(set)
	if left == nil {
		left = map[string]string{}
	}
	var want []kubeobject.Field
	for _, name := range s.selecting(set) {
		requirements, _ := s.by[name].Requirements()
		for _, r := range requirements {
			switch r.Operator() {
			case selection.NotIn, selection.NotEquals, selection.DoesNotExist:
				continue // taking the label away would not help
			}
			if _, has := left[r.Key()]; has {
				delete(left, r.Key())
				want = append(want, kubeobject.Want(nil, "metadata", "labels", r.Key()))
			}
		}
	}
	if still := s.selecting(left); len(still) > 0 {
		return nil, &action.Error{Kind: action.Refused, Err: fmt.Errorf("%s selects pods by what labels they do not have: this pod cannot be taken from it", strings.Join(still, ", "))}
	}
	return append(want, kubeobject.Want(uid, "metadata", "labels", isolated)), nil
}
