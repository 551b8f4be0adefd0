// Package deleteresource deletes one object that is no pod: a workload that an
// attacker made, a Service that opens a door.
package deleteresource

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"riposte/responder/action"
	"riposte/responder/action/kubeobject"
)

// Type is the name that playbooks use.
const Type = "delete_resource"

// resources are the only ones: the responder has the right to delete these, and a
// right that it has not got nobody can take from it. Secrets, namespaces, roles
// and custom resources are not among them.
var resources = append(slices.Clone(kubeobject.Workloads),
	kubeobject.Services, "v1/configmaps", "networking.k8s.io/v1/ingresses", "rbac.authorization.k8s.io/v1/rolebindings")

var spec = action.Spec{
	Type:        Type,
	Summary:     "Delete the object with this UID, and no other of its name. Its pods and whatever else belongs to it go with it. There is no undo: take a snapshot_object before.",
	Kind:        action.KindObject,
	Also:        []string{action.KindWorkload},
	Permissions: kubeobject.Permissions("get delete", resources...),
	Example:     `{}`,
	Stage:       action.Destroy,
}

// Action is the action.Action.
type Action struct{ client *kubeobject.Client }

// New makes the action.
func New(client *kubeobject.Client) *Action { return &Action{client: client} }

// Spec describes the action.
func (*Action) Spec() action.Spec { return spec }

// Check demands the object's whole identity and no params.
func (*Action) Check(t action.Target, params json.RawMessage) error {
	if err := kubeobject.Check(spec, t, resources...); err != nil {
		return err
	}
	return spec.Decode(params, &struct{}{})
}

// Execute deletes the object. One that is gone is a success with a note.
func (a *Action) Execute(ctx context.Context, r action.Request) (action.Result, error) {
	ref, err := kubeobject.RefOf(r.Target)
	if err != nil {
		return action.Result{}, err
	}
	err = a.client.Delete(ctx, ref, kubeobject.Real, kubeobject.OwnGrace)
	if gone, ok := kubeobject.GoneResult(err); ok {
		return gone, nil
	}
	if err != nil {
		return action.Result{}, err
	}
	return action.Result{Note: fmt.Sprintf("deletion of %s was accepted", ref), ExecutedAt: time.Now()}, nil
}

// Preview asks the API server for the deletion as a dry run; the diff is what goes.
func (a *Action) Preview(ctx context.Context, r action.Request) (string, error) {
	ref, err := kubeobject.RefOf(r.Target)
	if err != nil {
		return "", err
	}
	o, err := a.client.Get(ctx, ref)
	if err == nil {
		err = a.client.Delete(ctx, ref, kubeobject.DryRun, kubeobject.OwnGrace)
	}
	return kubeobject.Previewed(o, nil, err)
}

// Verify waits until no object of this name has the target's UID.
func (a *Action) Verify(ctx context.Context, r action.Request) (time.Time, error) {
	ref, err := kubeobject.RefOf(r.Target)
	if err != nil {
		return time.Time{}, err
	}
	return a.client.WaitGone(ctx, ref)
}
