package kubeobject

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

// Mode says whether a change is made.
type Mode bool

// Modes of a change. A dry run goes through admission like the real one.
const (
	Real   Mode = false
	DryRun Mode = true
)

func (m Mode) options() []string {
	if m == DryRun {
		return []string{metav1.DryRunAll}
	}
	return nil
}

// conflictTries is how often a change is tried when others change the object at
// the same time: kubelets and controllers do so every few seconds.
const conflictTries = 5

// Change edits a copy of the object and sends the difference, bound to the very
// state that edit saw. If others are faster it reads and edits again. Without a
// difference nothing is sent, and before is after.
func (c *Client) Change(ctx context.Context, ref Ref, mode Mode, edit func(o *unstructured.Unstructured) error) (before, after *unstructured.Unstructured, err error) {
	for range conflictTries {
		if before, err = c.Get(ctx, ref); err != nil {
			return nil, nil, err
		}
		copied := before.DeepCopy()
		if err := edit(copied); err != nil {
			return before, nil, err
		}
		after, err = c.patch(ctx, ref, mode, before, copied)
		if !apierrors.IsConflict(err) {
			break
		}
	}
	if err != nil {
		return before, nil, Classify(ref.permission("patch"), err)
	}
	return before, after, nil
}

func (c *Client) patch(ctx context.Context, ref Ref, mode Mode, from, to *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	patch := mergePatch(from.Object, to.Object)
	if len(patch) == 0 {
		return from, nil
	}
	meta, ok := patch["metadata"].(map[string]any)
	if !ok {
		meta = map[string]any{}
		patch["metadata"] = meta
	}
	meta["uid"], meta["resourceVersion"] = string(from.GetUID()), from.GetResourceVersion()
	body, err := json.Marshal(patch)
	if err != nil {
		return nil, fmt.Errorf("write a patch: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	return c.on(ref).Patch(ctx, ref.Name, types.MergePatchType, body, metav1.PatchOptions{FieldManager: Manager, DryRun: mode.options()})
}

// mergePatch is the JSON merge patch (RFC 7396) that makes to of from.
func mergePatch(from, to map[string]any) map[string]any {
	patch := map[string]any{}
	for key, value := range to {
		old, had := from[key]
		if had && reflect.DeepEqual(old, value) {
			continue
		}
		oldMap, wasMap := old.(map[string]any)
		newMap, isMap := value.(map[string]any)
		if wasMap && isMap {
			patch[key] = mergePatch(oldMap, newMap)
			continue
		}
		patch[key] = value
	}
	for key := range from {
		if _, has := to[key]; !has {
			patch[key] = nil
		}
	}
	return patch
}
