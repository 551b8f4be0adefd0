package kubeobject

import (
	"context"
	"errors"
	"fmt"

	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"riposte/responder/action"
)

// ErrBudget is that a disruption budget keeps a pod from being evicted.
var ErrBudget = errors.New("a disruption budget does not let the pod go now")

// Evict asks for the eviction of the very pod. A disruption budget's no is
// retryable and says so; grace is in seconds, negative for the pod's own. It
// returns a *Gone if there is nothing to evict.
func (c *Client) Evict(ctx context.Context, ref Ref, mode Mode, grace int64) error {
	options := map[string]any{"preconditions": map[string]any{"uid": ref.UID}}
	if grace >= 0 {
		options["gracePeriodSeconds"] = grace
	}
	if mode == DryRun {
		options["dryRun"] = []any{metav1.DryRunAll}
	}
	// The API server tries a failed precondition again and again until we hang up, so
	// a pod that was replaced is found out before.
	if _, err := c.Get(ctx, ref); err != nil {
		return err
	}
	eviction := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "policy/v1", "kind": "Eviction",
		"metadata":      map[string]any{"namespace": ref.Namespace, "name": ref.Name},
		"deleteOptions": options,
	}}
	asking, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	_, err := c.on(ref).Create(asking, eviction, metav1.CreateOptions{}, "eviction")
	switch {
	case err == nil:
		return nil
	case apierrors.IsNotFound(err):
		return &Gone{Ref: ref}
	case apierrors.IsConflict(err):
		return c.conflict(ctx, ref, err)
	case apierrors.IsTooManyRequests(err) && apierrors.HasStatusCause(err, policyv1.DisruptionBudgetCause):
		return &action.Error{Kind: action.Retryable, Err: fmt.Errorf("%w: %s", ErrBudget, causes(err))}
	}
	return Classify("create pods/eviction", err)
}

// causes are what the API server says beside "too many requests".
func causes(err error) string {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || status.Status().Details == nil {
		return err.Error()
	}
	text := ""
	for _, cause := range status.Status().Details.Causes {
		if text != "" {
			text += "; "
		}
		text += cause.Message
	}
	return text
}
