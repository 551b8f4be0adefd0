// Package deletepod deletes one pod, the very one that was decided about.
//
// The pod's UID is the precondition of the request, so the API server itself
// refuses to delete a successor of the same name. It is a plain deletion, not
// an eviction: a disruption budget does not stop it. With a controller the pod
// is made anew; the next one starts from its image.
package deletepod

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	corev1 "k8s.io/client-go/kubernetes/typed/core/v1"

	"riposte/responder/action"
)

// Type is the name that playbooks use.
const Type = "delete_pod"

// requestTimeout bounds each request to the API server; River tries again.
const requestTimeout = 10 * time.Second

// Verify looks often at first, because most pods go in about a second.
const (
	firstLook = 50 * time.Millisecond
	lastLook  = 500 * time.Millisecond
)

// Action is the action.Action.
type Action struct {
	pods corev1.PodsGetter
	now  func() time.Time
}

// New makes the action; pods is usually a client's CoreV1().
func New(pods corev1.PodsGetter) *Action { return &Action{pods: pods, now: time.Now} }

// Spec describes the action.
func (*Action) Spec() action.Spec {
	return action.Spec{
		Type:        Type,
		Summary:     "Delete the pod with this UID, and no other of its name. Its controller, if it has one, makes a new one.",
		Kind:        "pod",
		Permissions: []string{"delete pods", "get pods"},
		Example:     `{"grace_seconds": 1}`,
	}
}

// uid is how Kubernetes writes UIDs: mostly a UUID, for a pod that a kubelet
// read from a file a hash.
var uid = regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`)

// Check demands the pod's whole identity and known params.
func (*Action) Check(t action.Target, params json.RawMessage) error {
	if t.Kind != "pod" {
		return fmt.Errorf("target.kind: %s acts on a pod, not on a %.60q", Type, t.Kind)
	}
	if wrong := validation.IsDNS1123Label(t.Namespace); len(wrong) > 0 {
		return fmt.Errorf("target.namespace: %.80q: %s", t.Namespace, strings.Join(wrong, "; "))
	}
	if wrong := validation.IsDNS1123Subdomain(t.Name); len(wrong) > 0 {
		return fmt.Errorf("target.name: %.80q: %s", t.Name, strings.Join(wrong, "; "))
	}
	if !uid.MatchString(t.UID) {
		return fmt.Errorf("target.uid: %.80q is no UID; a name alone does not tell a pod from its successor", t.UID)
	}
	_, err := parseParams(params)
	return err
}

// Execute deletes the pod. If it has gone already, or another has its name now,
// that is a success with a note, and nothing is deleted.
func (a *Action) Execute(ctx context.Context, r action.Request) (action.Result, error) {
	p, err := parseParams(r.Params)
	if err != nil {
		return action.Result{}, &action.Error{Kind: action.Permanent, Err: err}
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	id := types.UID(r.Target.UID)
	err = a.pods.Pods(r.Target.Namespace).Delete(ctx, r.Target.Name, metav1.DeleteOptions{
		GracePeriodSeconds: &p.GraceSeconds,
		Preconditions:      &metav1.Preconditions{UID: &id},
	})
	switch {
	case err == nil:
		return action.Result{
			Note:       fmt.Sprintf("deletion of the pod was accepted, with a grace of %d s", p.GraceSeconds),
			ExecutedAt: a.now(),
		}, nil
	case apierrors.IsNotFound(err):
		return a.gone("the pod was already gone"), nil
	case !apierrors.IsConflict(err):
		return action.Result{}, classify("delete pods", err)
	}
	// A conflict is most likely our precondition, but it is the object that says so.
	now, lookErr := a.look(ctx, r.Target)
	switch {
	case lookErr != nil:
		return action.Result{}, lookErr
	case now.uid == "":
		return a.gone("the pod was already gone"), nil
	case now.uid != r.Target.UID:
		return a.gone(fmt.Sprintf("the pod was already gone and was replaced by another of its name (%s), which was left alone", now.uid)), nil
	}
	return action.Result{}, &action.Error{Kind: action.Retryable, Err: err}
}

// gone is the result when there is nothing left to do.
func (a *Action) gone(note string) action.Result {
	now := a.now()
	return action.Result{Note: note, ExecutedAt: now, VerifiedAt: now}
}

// Verify waits until no pod of this name has the target's UID.
func (a *Action) Verify(ctx context.Context, r action.Request) (time.Time, error) {
	// What was seen last says more than why a later look did not work.
	seen, reason := false, "not looked at yet"
	for wait := firstLook; ; wait = min(wait*5/4, lastLook) {
		now, err := a.lookWithin(ctx, r.Target)
		switch {
		case err == nil && now.uid != r.Target.UID:
			return a.now(), nil
		case err == nil:
			seen, reason = true, now.state
		case action.KindOf(err) != action.Retryable:
			return time.Time{}, err
		case !seen && ctx.Err() == nil:
			reason = err.Error()
		}
		select {
		case <-ctx.Done():
			return time.Time{}, fmt.Errorf("pod %s/%s is still there (%s): %w", r.Target.Namespace, r.Target.Name, reason, ctx.Err())
		case <-time.After(wait):
		}
	}
}

// pod is what one look found; the zero value if no pod has the name.
type pod struct{ uid, state string }

func (a *Action) lookWithin(ctx context.Context, t action.Target) (pod, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return a.look(ctx, t)
}

// look asks for the newest state: what a cache of the API server says could be
// older than the pod, and then it would seem gone.
func (a *Action) look(ctx context.Context, t action.Target) (pod, error) {
	found, err := a.pods.Pods(t.Namespace).Get(ctx, t.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return pod{}, nil
	case err != nil:
		return pod{}, classify("get pods", err)
	}
	state := "no deletion has been asked for"
	switch {
	case found.DeletionTimestamp != nil && len(found.Finalizers) > 0:
		state = "its deletion waits for the finalizers " + strings.Join(slices.Sorted(slices.Values(found.Finalizers)), ", ")
	case found.DeletionTimestamp != nil:
		state = "its node has not finished the deletion"
	}
	return pod{uid: string(found.UID), state: state}, nil
}
