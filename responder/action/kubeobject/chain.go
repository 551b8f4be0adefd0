package kubeobject

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// controllers are the resources of the kinds that a controller reference names.
var controllers = map[string]string{
	"apps/v1 Deployment": Deployments, "apps/v1 StatefulSet": StatefulSets, "apps/v1 DaemonSet": DaemonSets, "apps/v1 ReplicaSet": ReplicaSets,
	"v1 ReplicationController": Controllers, "batch/v1 Job": Jobs, "batch/v1 CronJob": CronJobs,
}

// maxChain is longer than any chain of owners that Kubernetes itself makes.
const maxChain = 4

// ControllerOf is the object's controller: nil if it has none, if it is of a kind
// that we know nothing of, or if it is gone; the reference says which it was.
func (c *Client) ControllerOf(ctx context.Context, o *unstructured.Unstructured) (*unstructured.Unstructured, *metav1.OwnerReference, error) {
	owner := metav1.GetControllerOf(o)
	if owner == nil {
		return nil, nil, nil
	}
	resource, known := controllers[owner.APIVersion+" "+owner.Kind]
	if !known {
		return nil, owner, nil
	}
	found, err := c.Get(ctx, To(resource, o.GetNamespace(), owner.Name, string(owner.UID)))
	if _, gone := GoneResult(err); gone {
		return nil, owner, nil
	}
	return found, owner, err
}

// Chain follows an object's controllers up to the last that can be read.
func (c *Client) Chain(ctx context.Context, o *unstructured.Unstructured) ([]metav1.OwnerReference, error) {
	var chain []metav1.OwnerReference
	for o != nil && len(chain) < maxChain {
		next, owner, err := c.ControllerOf(ctx, o)
		if err != nil {
			return chain, err
		}
		if owner == nil {
			break
		}
		chain = append(chain, *owner)
		o = next
	}
	return chain, nil
}
