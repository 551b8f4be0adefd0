// Package restartworkload replaces a workload's pods by fresh ones, as `kubectl
// rollout restart` does.
package restartworkload

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"riposte/responder/action"
	"riposte/responder/action/kubeobject"
)

// Type is the name that playbooks use.
const Type = "restart_workload"

// restarted on the pods' template holds the id of the action. Unlike a time it is
// the same at a second attempt, which so restarts nothing again.
const restarted = "riposte.dev/restarted-by"

var resources = []string{kubeobject.Deployments, kubeobject.StatefulSets, kubeobject.DaemonSets}

var spec = action.Spec{
	Type:        Type,
	Summary:     "Replace all pods of the workload by fresh ones, at the pace of its own rollout strategy.",
	Kind:        action.KindWorkload,
	Permissions: kubeobject.Permissions("get patch", resources...),
	Example:     `{}`,
	Stage:       action.Destroy,
}

// Action is the action.Action. There is no undo: pods that are gone are gone.
type Action struct{ edit }

// edit hides the Editor's Undo.
type edit interface{ action.Previewer }

// New makes the action.
func New(client *kubeobject.Client) *Action {
	return &Action{&kubeobject.Editor{Client: client, Of: spec, Resources: resources, Fields: fields, Waits: waits}}
}

func fields(o *unstructured.Unstructured, r action.Request) ([]kubeobject.Field, error) {
	if err := spec.Decode(r.Params, &struct{}{}); err != nil {
		return nil, err
	}
	if paused, _, _ := unstructured.NestedBool(object(o), "spec", "paused"); paused {
		return nil, kubeobject.Permanent("the deployment is paused: nothing would be restarted")
	}
	return []kubeobject.Field{kubeobject.Want(r.ID, "spec", "template", "metadata", "annotations", restarted)}, nil
}

func object(o *unstructured.Unstructured) map[string]any {
	if o == nil {
		return nil
	}
	return o.Object
}

// waits follows the rollout through what the controller reports.
func waits(o *unstructured.Unstructured, _ action.Request) string { return kubeobject.RollingOut(o) }

var _ action.Previewer = (*Action)(nil)
