// Package kubeobject is what the Kubernetes actions have in common: finding the
// very object that was decided about, changing it so that nobody else's change
// gets lost, remembering how it was, bringing that back, and saying what a change
// would be without making it.
//
// Every request is bound to the object's UID, and where a change replaces
// something also to its resourceVersion. What was there before is noted on the
// object itself, in one annotation per type of action, in the same request as the
// change: after a crash the next attempt finds there what the first one did.
package kubeobject

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"riposte/responder/action"
)

// Manager is the field manager of everything that Riposte writes.
const Manager = "riposte"

// Timeout bounds each request to the API server; the executor tries again.
const Timeout = 10 * time.Second

// Client works on the objects of one cluster.
type Client struct{ api dynamic.Interface }

// New makes a Client.
func New(api dynamic.Interface) *Client { return &Client{api: api} }

func (c *Client) on(ref Ref) dynamic.ResourceInterface {
	if ref.Namespace == "" {
		return c.api.Resource(ref.Resource)
	}
	return c.api.Resource(ref.Resource).Namespace(ref.Namespace)
}

// Gone is the error of an object that is no longer there. To most actions it is a
// success: there is nothing left to act on.
type Gone struct {
	Ref Ref
	// Successor is the UID of another object that has the name now, if there is one.
	Successor string
}

func (g *Gone) Error() string {
	what := "the " + g.Ref.Singular()
	if g.Successor != "" {
		return fmt.Sprintf("%s was already gone and was replaced by another of its name (%s), which was left alone", what, g.Successor)
	}
	return what + " was already gone"
}

// GoneResult is the result of an action whose object is gone, if that is what err says.
func GoneResult(err error) (action.Result, bool) {
	gone, ok := errors.AsType[*Gone](err)
	if !ok {
		return action.Result{}, false
	}
	now := time.Now()
	return action.Result{Note: gone.Error(), ExecutedAt: now, VerifiedAt: now}, true
}

// Get returns the newest state of the very object that ref names, or a *Gone. A
// ref without UID takes whichever object has the name.
func (c *Client) Get(ctx context.Context, ref Ref) (*unstructured.Unstructured, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	found, err := c.on(ref).Get(ctx, ref.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil, &Gone{Ref: ref}
	case err != nil:
		return nil, Classify(ref.permission("get"), err)
	case ref.UID != "" && string(found.GetUID()) != ref.UID:
		return nil, &Gone{Ref: ref, Successor: string(found.GetUID())}
	}
	return found, nil
}

// maxList bounds a list; more objects than that are an error, not a silent end.
const maxList = 20_000

// List calls each for every object of ref's resource in its namespace (in all, if
// that is empty), in pages.
func (c *Client) List(ctx context.Context, ref Ref, options metav1.ListOptions, each func(*unstructured.Unstructured)) error {
	options.Limit = 500
	for seen := 0; ; {
		page, err := c.page(ctx, ref, options)
		if err != nil {
			return err
		}
		for i := range page.Items {
			each(&page.Items[i])
		}
		if seen += len(page.Items); seen > maxList {
			return &action.Error{Kind: action.Permanent, Err: fmt.Errorf("list %s: there are more than %d", ref.Resource.Resource, maxList)}
		}
		if options.Continue = page.GetContinue(); options.Continue == "" {
			return nil
		}
	}
}

func (c *Client) page(ctx context.Context, ref Ref, options metav1.ListOptions) (*unstructured.UnstructuredList, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	page, err := c.on(ref).List(ctx, options)
	if err != nil {
		return nil, Classify(ref.permission("list"), err)
	}
	return page, nil
}

// OwnGrace leaves an object the grace that it has itself.
const OwnGrace = -1

// Delete deletes the very object, in the background what depends on it, and
// returns a *Gone if there is nothing to delete. grace is in seconds.
func (c *Client) Delete(ctx context.Context, ref Ref, mode Mode, grace int64) error {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	background := metav1.DeletePropagationBackground
	options := metav1.DeleteOptions{
		Preconditions: &metav1.Preconditions{UID: &ref.uid}, PropagationPolicy: &background, DryRun: mode.options(),
	}
	if grace >= 0 {
		options.GracePeriodSeconds = &grace
	}
	err := c.on(ref).Delete(ctx, ref.Name, options)
	switch {
	case apierrors.IsNotFound(err):
		return &Gone{Ref: ref}
	case apierrors.IsConflict(err):
		return c.conflict(ctx, ref, err)
	case err != nil:
		return Classify(ref.permission("delete"), err)
	}
	return nil
}

// WaitGone looks until no object of this name has ref's UID, and says else what
// its deletion waits for.
func (c *Client) WaitGone(ctx context.Context, ref Ref) (time.Time, error) {
	seen, err := Wait(ctx, func(ctx context.Context) (string, error) {
		o, err := c.Get(ctx, ref)
		if err != nil {
			return "", err
		}
		finalizers := o.GetFinalizers()
		slices.Sort(finalizers)
		switch {
		case o.GetDeletionTimestamp() == nil:
			return "no deletion has been asked for", nil
		case len(finalizers) > 0:
			return "its deletion waits for the finalizers " + strings.Join(finalizers, ", "), nil
		}
		return "its deletion has not been finished", nil
	})
	if err != nil && ctx.Err() != nil {
		return seen, fmt.Errorf("%s is still there: %w", ref, err)
	}
	return seen, err
}

// conflict says what a conflict was about: mostly our precondition, but it is the
// object that says so.
func (c *Client) conflict(ctx context.Context, ref Ref, err error) error {
	if _, look := c.Get(ctx, ref); look != nil {
		return look
	}
	return &action.Error{Kind: action.Retryable, Err: err}
}
