// Package scaleworkload sets how many pods a workload has, mostly none.
package scaleworkload

import (
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"riposte/responder/action"
	"riposte/responder/action/kubeobject"
)

// Type is the name that playbooks use.
const Type = "scale_workload"

// maxReplicas keeps a playbook's slip from filling the cluster.
const maxReplicas = 1000

var resources = []string{kubeobject.Deployments, kubeobject.StatefulSets, kubeobject.ReplicaSets, kubeobject.Controllers}

var spec = action.Spec{
	Type:        Type,
	Summary:     "Set how many pods a workload has. With 0 it stops altogether, and an autoscaler leaves it alone; any other number an autoscaler may change again.",
	Kind:        action.KindWorkload,
	Permissions: kubeobject.Permissions("get patch", resources...),
	Params: []action.Param{{
		Name: "replicas", Type: "number", Required: true, Desc: "How many, from 0 to 1000.",
	}},
	Example: `{"replicas": 0}`,
	Stage:   action.Destroy,
}

// New makes the action.
func New(client *kubeobject.Client) action.Undoer {
	return &kubeobject.Editor{Client: client, Of: spec, Resources: resources, Fields: fields, Waits: waits}
}

func fields(_ *unstructured.Unstructured, r action.Request) ([]kubeobject.Field, error) {
	var p struct {
		Replicas int64 `json:"replicas"`
	}
	if err := spec.Decode(r.Params, &p); err != nil {
		return nil, err
	}
	if p.Replicas < 0 || p.Replicas > maxReplicas {
		return nil, fmt.Errorf("params.replicas: %d is not from 0 to %d", p.Replicas, maxReplicas)
	}
	return []kubeobject.Field{kubeobject.Want(p.Replicas, "spec", "replicas")}, nil
}

// waits compares with what the workload's controller reports: a number in the spec
// is a wish.
func waits(o *unstructured.Unstructured, _ action.Request) string {
	want, _, _ := unstructured.NestedInt64(o.Object, "spec", "replicas")
	have, _, _ := unstructured.NestedInt64(o.Object, "status", "replicas")
	observed, _, _ := unstructured.NestedInt64(o.Object, "status", "observedGeneration")
	switch {
	case observed < o.GetGeneration():
		return "its controller has not seen the change yet"
	case have != want:
		return fmt.Sprintf("it has %d pods, %d are wanted", have, want)
	}
	return ""
}
