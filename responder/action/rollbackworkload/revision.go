package rollbackworkload

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"riposte/responder/action"
	"riposte/responder/action/kubeobject"
)

// revision is one template that Kubernetes keeps: of a Deployment in a ReplicaSet,
// of a StatefulSet or DaemonSet in a ControllerRevision.
type revision struct {
	number   int64
	uid      string
	template map[string]any
}

// Where the Deployment controller writes the number, and what it adds to a template.
const (
	numberKey = "deployment.kubernetes.io/revision"
	hashKey   = "pod-template-hash"
)

// revisions are a workload's, by their numbers.
func (a *Action) revisions(ctx context.Context, o *unstructured.Unstructured) ([]revision, error) {
	resource, read := kubeobject.Revisions, fromControllerRevision
	if o.GetKind() == "Deployment" {
		resource, read = kubeobject.ReplicaSets, fromReplicaSet
	}
	var all []revision
	err := a.client.List(ctx, kubeobject.To(resource, o.GetNamespace(), "", ""), metav1.ListOptions{}, func(item *unstructured.Unstructured) {
		owner := metav1.GetControllerOf(item)
		if owner == nil || owner.UID != o.GetUID() {
			return
		}
		if r, ok := read(item); ok {
			r.uid = string(item.GetUID())
			clean(r.template)
			all = append(all, r)
		}
	})
	slices.SortFunc(all, func(a, b revision) int { return int(a.number - b.number) })
	return all, err
}

func fromReplicaSet(o *unstructured.Unstructured) (r revision, ok bool) {
	number, err := strconv.ParseInt(o.GetAnnotations()[numberKey], 10, 64)
	if err != nil {
		return r, false // its controller has not got to it yet
	}
	template, ok, _ := unstructured.NestedMap(o.Object, "spec", "template")
	unstructured.RemoveNestedField(template, "metadata", "labels", hashKey)
	return revision{number: number, template: template}, ok
}

// fromControllerRevision reads the patch of the workload that its controller keeps.
func fromControllerRevision(o *unstructured.Unstructured) (r revision, ok bool) {
	number, _, _ := unstructured.NestedInt64(o.Object, "revision")
	template, ok, _ := unstructured.NestedMap(o.Object, "data", "spec", "template")
	delete(template, "$patch")
	return revision{number: number, template: template}, ok
}

// clean takes away what means nothing and is not always written.
func clean(template map[string]any) {
	meta, _ := template["metadata"].(map[string]any)
	if meta["creationTimestamp"] == nil {
		delete(meta, "creationTimestamp")
	}
}

// same says whether the workload has this template now.
func same(o *unstructured.Unstructured, template map[string]any) bool {
	now, _, _ := unstructured.NestedMap(o.Object, "spec", "template")
	clean(now)
	return reflect.DeepEqual(now, template)
}

func find(all []revision, uid string) *revision {
	for i := range all {
		if all[i].uid == uid {
			return &all[i]
		}
	}
	return nil
}

// choose picks the revision that runs, which is always the one of the highest
// number, and the wanted one, 0 for the one before it.
func choose(o *unstructured.Unstructured, all []revision, wanted int64) (present, target revision, err error) {
	if len(all) == 0 || !same(o, all[len(all)-1].template) {
		return present, target, &action.Error{Kind: action.Retryable, Err: errors.New("its controller has not recorded the present template yet")}
	}
	present = all[len(all)-1]
	if wanted == 0 {
		if len(all) == 1 {
			return present, target, kubeobject.Permanent("there is no earlier revision than %d", present.number)
		}
		return present, all[len(all)-2], nil
	}
	for _, r := range all {
		if r.number == wanted {
			return present, r, nil
		}
	}
	return present, target, kubeobject.Permanent("params.revision: Kubernetes has no revision %d; from %d to %d it has %d", wanted, all[0].number, present.number, len(all))
}
