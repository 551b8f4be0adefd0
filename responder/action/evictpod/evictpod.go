// Package evictpod evicts one pod: like a deletion, but disruption budgets have
// their say. While one does not let the pod go, the action is tried again until it
// expires.
package evictpod

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"riposte/responder/action"
	"riposte/responder/action/kubeobject"
)

// Type is the name that playbooks use.
const Type = "evict_pod"

// Action is the action.Action.
type Action struct{ client *kubeobject.Client }

// New makes the action.
func New(client *kubeobject.Client) *Action { return &Action{client: client} }

// Spec describes the action.
func (*Action) Spec() action.Spec { return spec }

var spec = action.Spec{
	Type:        Type,
	Summary:     "Evict the pod with this UID, and no other of its name. A disruption budget can hold it up: then it is tried again until the action expires.",
	Kind:        action.KindPod,
	Permissions: append(kubeobject.Permissions("get", kubeobject.Pods), "create pods/eviction"),
	Params: []action.Param{{
		Name: "grace_seconds", Type: "number", Default: "the pod's own",
		Desc: "How long the pod's processes have after SIGTERM, from 0 to 600.",
	}},
	Example: `{"grace_seconds": 10}`,
	Patient: true,
	Stage:   action.Destroy,
}

const maxGrace = 600

func grace(raw json.RawMessage) (int64, error) {
	var p struct {
		GraceSeconds *int64 `json:"grace_seconds"`
	}
	if err := spec.Decode(raw, &p); err != nil || p.GraceSeconds == nil {
		return kubeobject.OwnGrace, err
	}
	if *p.GraceSeconds < 0 || *p.GraceSeconds > maxGrace {
		return 0, fmt.Errorf("params.grace_seconds: %d is not from 0 to %d", *p.GraceSeconds, maxGrace)
	}
	return *p.GraceSeconds, nil
}

// Check demands the pod's whole identity and known params.
func (*Action) Check(t action.Target, params json.RawMessage) error {
	if err := kubeobject.Check(spec, t); err != nil {
		return err
	}
	_, err := grace(params)
	return err
}

// Execute evicts the pod. A pod that is gone is a success with a note.
func (a *Action) Execute(ctx context.Context, r action.Request) (action.Result, error) {
	err := a.evict(ctx, r, kubeobject.Real)
	if done, ok := kubeobject.GoneResult(err); ok {
		return done, nil
	}
	if err != nil {
		return action.Result{}, err
	}
	return action.Result{Note: "eviction of the pod was accepted", ExecutedAt: time.Now()}, nil
}

func (a *Action) evict(ctx context.Context, r action.Request, mode kubeobject.Mode) error {
	seconds, err := grace(r.Params)
	if err != nil {
		return &action.Error{Kind: action.Permanent, Err: err}
	}
	ref, err := kubeobject.RefOf(r.Target)
	if err != nil {
		return err
	}
	return a.client.Evict(ctx, ref, mode, seconds)
}

// Preview asks the API server for the eviction as a dry run.
func (a *Action) Preview(ctx context.Context, r action.Request) (string, error) {
	err := a.evict(ctx, r, kubeobject.DryRun)
	if gone, ok := kubeobject.GoneResult(err); ok {
		return gone.Note, nil
	}
	switch {
	case errors.Is(err, kubeobject.ErrBudget):
		return fmt.Sprintf("%s would not go yet: %v", r.Target, err), nil
	case err != nil:
		return "", err
	}
	return fmt.Sprintf("%s would be evicted", r.Target), nil
}

// Verify waits until no pod of this name has the target's UID.
func (a *Action) Verify(ctx context.Context, r action.Request) (time.Time, error) {
	ref, err := kubeobject.RefOf(r.Target)
	if err != nil {
		return time.Time{}, err
	}
	return a.client.WaitGone(ctx, ref)
}
