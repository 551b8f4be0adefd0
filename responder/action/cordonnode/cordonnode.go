// Package cordonnode keeps new pods off a node, and lets them on it again. What
// runs there stays.
package cordonnode

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"riposte/responder/action"
	"riposte/responder/action/kubeobject"
)

// The names that playbooks use.
const (
	Type         = "cordon_node"
	UncordonType = "uncordon_node"
)

// New makes the action that cordons. Its undo leaves a cordon alone that somebody
// else has put on the node since, or that was there before.
func New(client *kubeobject.Client) action.Undoer {
	return edit(client, action.Spec{
		Type:        Type,
		Summary:     "Let no new pods onto the node. What runs there stays.",
		Kind:        action.KindNode,
		Permissions: kubeobject.Permissions("get patch", kubeobject.Nodes),
		Example:     `{}`,
		NodeWide:    true,
	}, true)
}

// NewUncordon makes the action that lets pods onto the node again, whoever
// cordoned it.
func NewUncordon(client *kubeobject.Client) action.Undoer {
	return edit(client, action.Spec{
		Type:        UncordonType,
		Summary:     "Let new pods onto the node again, whoever cordoned it.",
		Kind:        action.KindNode,
		Permissions: kubeobject.Permissions("get patch", kubeobject.Nodes),
		Example:     `{}`,
		NodeWide:    true,
	}, nil)
}

// edit is either action: the API leaves unschedulable out where it is false.
func edit(client *kubeobject.Client, s action.Spec, unschedulable any) *kubeobject.Editor {
	return &kubeobject.Editor{
		Client: client, Of: s,
		Fields: func(_ *unstructured.Unstructured, r action.Request) ([]kubeobject.Field, error) {
			return []kubeobject.Field{kubeobject.Want(unschedulable, "spec", "unschedulable")}, s.Decode(r.Params, &struct{}{})
		},
	}
}
