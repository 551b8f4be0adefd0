package kubeobject

import (
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// RollingOut says what a rollout of a Deployment, StatefulSet or DaemonSet still
// waits for, by what its controller reports; empty when it is over.
func RollingOut(o *unstructured.Unstructured) string {
	number := func(path ...string) int64 {
		n, _, _ := unstructured.NestedInt64(o.Object, path...)
		return n
	}
	// A spec without replicas means one.
	want := int64(1)
	if n, ok, _ := unstructured.NestedInt64(o.Object, "spec", "replicas"); ok {
		want = n
	}
	updated, ready, all := number("status", "updatedReplicas"), number("status", "readyReplicas"), number("status", "replicas")
	if o.GetKind() == "DaemonSet" {
		want, all = number("status", "desiredNumberScheduled"), number("status", "currentNumberScheduled")
		updated, ready = number("status", "updatedNumberScheduled"), number("status", "numberReady")
	}
	switch {
	case number("status", "observedGeneration") < o.GetGeneration():
		return "its controller has not seen the change yet"
	case updated < want:
		return fmt.Sprintf("%d of %d pods are new", updated, want)
	case all > updated:
		return fmt.Sprintf("%d old pods are still there", all-updated)
	case ready < want:
		return fmt.Sprintf("%d of %d pods are ready", ready, want)
	}
	return ""
}
