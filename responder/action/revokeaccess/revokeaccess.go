// Package revokeaccess takes from a pod's service account what role bindings give
// it: whoever stole its token can do no more with it. Every pod of the account
// loses the same.
//
// The API server lets nobody write a binding of a role that they may not bind, nor
// take a subject out of one: the responder needs the verb bind on roles and cluster
// roles, and with it could give itself any right. Grant it only where this action
// is wanted.
package revokeaccess

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"riposte/responder/action"
	"riposte/responder/action/kubeobject"
)

// Type is the name that playbooks use.
const Type = "revoke_access"

const (
	roleBindings        = "rbac.authorization.k8s.io/v1/rolebindings"
	clusterRoleBindings = "rbac.authorization.k8s.io/v1/clusterrolebindings"
)

var spec = action.Spec{
	Type:    Type,
	Summary: "Take the pod's service account out of every role binding and cluster role binding that names it. All pods of the account lose those rights. Needs the verb bind, with which the responder could give itself any right: leave it out unless you want this action.",
	Kind:    action.KindPod,
	Permissions: append(append(
		kubeobject.Permissions("get", kubeobject.Pods),
		kubeobject.Permissions("get list patch", roleBindings, clusterRoleBindings)...),
		kubeobject.Permissions("bind", "rbac.authorization.k8s.io/v1/roles", "rbac.authorization.k8s.io/v1/clusterroles")...),
	Example: `{}`,
}

// Action is the action.Action.
type Action struct{ client *kubeobject.Client }

// New makes the action.
func New(client *kubeobject.Client) *Action { return &Action{client: client} }

// Spec describes the action.
func (*Action) Spec() action.Spec { return spec }

// Check demands the pod's whole identity and no params.
func (*Action) Check(t action.Target, params json.RawMessage) error {
	if err := kubeobject.Check(spec, t); err != nil {
		return err
	}
	return spec.Decode(params, &struct{}{})
}

// account is a service account.
type account struct{ namespace, name string }

func (a *Action) account(ctx context.Context, t action.Target) (account, error) {
	ref, err := kubeobject.RefOf(t)
	if err != nil {
		return account{}, err
	}
	pod, err := a.client.Get(ctx, ref)
	if err != nil {
		return account{}, err
	}
	name, _, _ := unstructured.NestedString(pod.Object, "spec", "serviceAccountName")
	if name == "" {
		name = "default"
	}
	return account{t.Namespace, name}, nil
}

func (a account) String() string { return a.namespace + "/" + a.name }

// Execute takes the account out of each binding. After a crash the bindings that it
// was taken from already say so themselves.
func (a *Action) Execute(ctx context.Context, r action.Request) (action.Result, error) {
	of, err := a.account(ctx, r.Target)
	if gone, ok := kubeobject.GoneResult(err); ok {
		return gone, nil
	}
	if err != nil {
		return action.Result{}, err
	}
	found, err := a.find(ctx, of, r.ID)
	if err != nil {
		return action.Result{}, err
	}
	var revoked []binding
	for _, b := range found.bindings {
		_, _, image, err := a.revoke(ctx, b.ref(), of, r.ID, kubeobject.Real)
		if _, gone := kubeobject.GoneResult(err); gone {
			continue
		}
		if err != nil {
			return action.Result{}, err
		}
		b.Fields = image.Fields
		revoked = append(revoked, b)
	}
	before, err := json.Marshal(map[string]any{"account": of.String(), "bindings": revoked})
	if err != nil {
		return action.Result{}, kubeobject.Permanent("write how it was before: %w", err)
	}
	note := fmt.Sprintf("took service account %s out of %d role bindings", of, len(revoked))
	if len(found.groups) > 0 {
		note += "; it still has what its groups have through " + strings.Join(found.groups[:min(len(found.groups), 10)], ", ")
	}
	return action.Result{Note: note, ExecutedAt: time.Now(), Before: before}, nil
}

// revoke takes the account out of one binding and notes that on it. The API server
// takes a binding without subjects.
func (a *Action) revoke(ctx context.Context, ref kubeobject.Ref, of account, id string, mode kubeobject.Mode) (before, after *unstructured.Unstructured, image kubeobject.Image, err error) {
	before, after, err = a.client.Change(ctx, ref, mode, func(o *unstructured.Unstructured) error {
		if of.notedOn(o, id) {
			image = kubeobject.Image{ID: id, Fields: []kubeobject.Field{of.taken()}}
			return nil
		}
		var err error
		image, err = kubeobject.Set(o, Type, id, []kubeobject.Field{of.subject()})
		return err
	})
	return before, after, image, err
}

// Preview is the differences of all bindings.
func (a *Action) Preview(ctx context.Context, r action.Request) (string, error) {
	of, err := a.account(ctx, r.Target)
	if err != nil {
		return kubeobject.Previewed(nil, nil, err)
	}
	found, err := a.find(ctx, of, r.ID)
	if err != nil {
		return "", err
	}
	var diffs strings.Builder
	for _, b := range found.bindings {
		before, after, _, err := a.revoke(ctx, b.ref(), of, r.ID, kubeobject.DryRun)
		diff, err := kubeobject.Previewed(before, after, err)
		if err != nil {
			return "", err
		}
		diffs.WriteString(diff)
	}
	text := diffs.String()
	if text == "" {
		text = fmt.Sprintf("no role binding names service account %s\n", of)
	}
	return text, nil
}

// Verify sees that no binding names the account.
func (a *Action) Verify(ctx context.Context, r action.Request) (time.Time, error) {
	return kubeobject.Wait(ctx, func(ctx context.Context) (string, error) {
		of, err := a.account(ctx, r.Target)
		if err != nil {
			return "", err
		}
		found, err := a.find(ctx, of, "")
		if err != nil || len(found.bindings) == 0 {
			return "", err
		}
		names := make([]string, len(found.bindings))
		for i, b := range found.bindings {
			names[i] = b.ref().String()
		}
		slices.Sort(names)
		return "the service account is named by " + strings.Join(names[:min(len(names), 10)], ", "), nil
	})
}

// Undo puts the account back into the bindings that are still there, where somebody
// else has not done so.
func (a *Action) Undo(ctx context.Context, r action.Request) (action.Result, error) {
	bindings, err := a.taken(ctx, r)
	if missing, ok := kubeobject.GoneResult(err); ok {
		missing.Note = "nothing was recorded, and " + missing.Note + ": nobody can say whose access to give back"
		return missing, nil
	}
	if err != nil {
		return action.Result{}, err
	}
	back, gone := 0, 0
	for _, b := range bindings {
		_, _, err := a.client.Change(ctx, b.ref(), kubeobject.Real, func(o *unstructured.Unstructured) error {
			_, err := kubeobject.Restore(o, Type, kubeobject.Image{ID: r.ID, Fields: b.Fields})
			return err
		})
		if _, missing := kubeobject.GoneResult(err); missing {
			gone++
			continue
		}
		if err != nil {
			return action.Result{}, err
		}
		back++
	}
	note := fmt.Sprintf("the service account is back in %d role bindings", back)
	if gone > 0 {
		note += fmt.Sprintf("; %d are gone", gone)
	}
	return kubeobject.Now(note), nil
}
