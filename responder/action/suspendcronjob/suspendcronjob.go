// Package suspendcronjob keeps a CronJob from starting more jobs. What runs goes on.
package suspendcronjob

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"riposte/responder/action"
	"riposte/responder/action/kubeobject"
)

// Type is the name that playbooks use.
const Type = "suspend_cronjob"

var spec = action.Spec{
	Type:        Type,
	Summary:     "Keep the CronJob from starting more jobs. Jobs that run go on.",
	Kind:        action.KindWorkload,
	Permissions: kubeobject.Permissions("get patch", kubeobject.CronJobs),
	Example:     `{}`,
}

// New makes the action.
func New(client *kubeobject.Client) action.Undoer {
	return &kubeobject.Editor{
		Client: client, Of: spec, Resources: []string{kubeobject.CronJobs},
		Fields: func(_ *unstructured.Unstructured, r action.Request) ([]kubeobject.Field, error) {
			return []kubeobject.Field{kubeobject.Want(true, "spec", "suspend")}, spec.Decode(r.Params, &struct{}{})
		},
	}
}
