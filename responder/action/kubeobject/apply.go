package kubeobject

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"riposte/responder/action"
)

// ManagedBy is the label of every object that Riposte makes.
const ManagedBy = "app.kubernetes.io/managed-by"

// Object is a new object for Apply, labelled as ours. It belongs to owner, and goes
// with it.
func Object(apiVersion, kind string, ref Ref, owner *unstructured.Unstructured, spec map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": apiVersion, "kind": kind,
		"metadata": map[string]any{
			"namespace": ref.Namespace, "name": ref.Name,
			"labels": map[string]any{ManagedBy: Manager},
			"ownerReferences": []any{map[string]any{
				"apiVersion": owner.GetAPIVersion(), "kind": owner.GetKind(), "name": owner.GetName(), "uid": string(owner.GetUID()),
			}},
		},
		"spec": spec,
	}}
}

// Apply makes the object, or makes it again what it should be, by server-side
// apply under our field manager. An object of this name that somebody else made or
// has a part in is left alone: that is a permanent error. before is nil if there
// was none.
func (c *Client) Apply(ctx context.Context, ref Ref, mode Mode, o *unstructured.Unstructured) (before, after *unstructured.Unstructured, err error) {
	before, err = c.Get(ctx, ref)
	if _, gone := GoneResult(err); gone {
		before, err = nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	if before != nil {
		if !OnlyOurs(before) {
			return before, nil, Permanent("%s is somebody else's, and is left alone", ref)
		}
		// It must still be the one that was looked at.
		o = o.DeepCopy()
		o.SetUID(before.GetUID())
		o.SetResourceVersion(before.GetResourceVersion())
	}
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	// Encoding by hand and a plain patch keep force off: a conflict is somebody else's part in it.
	body, err := json.Marshal(o)
	if err != nil {
		return before, nil, fmt.Errorf("write %s: %w", ref, err)
	}
	after, err = c.on(ref).Patch(ctx, ref.Name, types.ApplyPatchType, body, metav1.PatchOptions{FieldManager: Manager, DryRun: mode.options()})
	switch {
	case apierrors.IsNotFound(err):
		return before, nil, Permanent("%s: the cluster knows no such resource, or no such namespace: %w", ref, err)
	case err != nil:
		return before, nil, Classify(ref.permission("patch"), err)
	}
	return before, after, nil
}

// DeleteOurs deletes an object that Apply made, unless somebody else has a part in
// it by now. It returns what became of it.
func (c *Client) DeleteOurs(ctx context.Context, ref Ref) (note string, err error) {
	o, err := c.Get(ctx, ref)
	if gone, ok := GoneResult(err); ok {
		return gone.Note, nil
	}
	if err != nil {
		return "", err
	}
	if !OnlyOurs(o) {
		return fmt.Sprintf("left %s alone: somebody else has changed it since", ref), nil
	}
	err = c.Delete(ctx, To(ref.group(), ref.Namespace, ref.Name, string(o.GetUID())), Real, OwnGrace)
	if gone, ok := GoneResult(err); ok {
		return gone.Note, nil
	}
	if err != nil {
		return "", err
	}
	return "deleted " + ref.String(), nil
}

// group is the resource as To takes it.
func (r Ref) group() string {
	s := r.Resource.Version + "/" + r.Resource.Resource
	if r.Resource.Group != "" {
		s = r.Resource.Group + "/" + s
	}
	return s
}

// Now is a result of what was just done and seen.
func Now(note string) action.Result {
	now := time.Now()
	return action.Result{Note: note, ExecutedAt: now, VerifiedAt: now}
}
