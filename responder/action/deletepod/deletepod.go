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
	"time"

	"riposte/responder/action"
	"riposte/responder/action/kubeobject"
)

// Type is the name that playbooks use.
const Type = "delete_pod"

// Action is the action.Action.
type Action struct{ client *kubeobject.Client }

// New makes the action.
func New(client *kubeobject.Client) *Action { return &Action{client: client} }

// Spec describes the action.
func (*Action) Spec() action.Spec { return spec }

var spec = action.Spec{
	Type:        Type,
	Summary:     "Delete the pod with this UID, and no other of its name. Its controller, if it has one, makes a new one.",
	Kind:        action.KindPod,
	Permissions: kubeobject.Permissions("delete get", kubeobject.Pods),
	Params: []action.Param{{
		Name: "grace_seconds", Type: "number", Default: "1",
		Desc: "How long the pod's processes have after SIGTERM, from 0 to 30. With 0 the object goes at once, while its containers may run on for a moment.",
	}},
	Example: `{"grace_seconds": 1}`,
	Stage:   action.Destroy,
}

// Bounds of grace_seconds. More than half a minute would leave an attacker at
// work while everybody believes that the pod is being deleted.
const (
	defaultGrace = 1
	maxGrace     = 30
)

func grace(raw json.RawMessage) (int64, error) {
	p := struct {
		GraceSeconds int64 `json:"grace_seconds"`
	}{defaultGrace}
	if err := spec.Decode(raw, &p); err != nil {
		return 0, err
	}
	if p.GraceSeconds < 0 || p.GraceSeconds > maxGrace {
		return 0, fmt.Errorf("params.grace_seconds: %d is not from 0 to %d", p.GraceSeconds, maxGrace)
	}
	return p.GraceSeconds, nil
}

// Check demands the pod's whole identity and known params.
func (*Action) Check(t action.Target, params json.RawMessage) error {
	if err := kubeobject.Check(spec, t); err != nil {
		return err
	}
	_, err := grace(params)
	return err
}

// Execute deletes the pod. If it has gone already, or another has its name now,
// that is a success with a note, and nothing is deleted.
func (a *Action) Execute(ctx context.Context, r action.Request) (action.Result, error) {
	seconds, err := a.delete(ctx, r, kubeobject.Real)
	if done, ok := kubeobject.GoneResult(err); ok {
		return done, nil
	}
	if err != nil {
		return action.Result{}, err
	}
	return action.Result{
		Note:       fmt.Sprintf("deletion of the pod was accepted, with a grace of %d s", seconds),
		ExecutedAt: time.Now(),
	}, nil
}

func (a *Action) delete(ctx context.Context, r action.Request, mode kubeobject.Mode) (int64, error) {
	seconds, err := grace(r.Params)
	if err != nil {
		return 0, &action.Error{Kind: action.Permanent, Err: err}
	}
	ref, err := kubeobject.RefOf(r.Target)
	if err != nil {
		return 0, err
	}
	return seconds, a.client.Delete(ctx, ref, mode, seconds)
}

// Preview asks the API server for the deletion as a dry run.
func (a *Action) Preview(ctx context.Context, r action.Request) (string, error) {
	seconds, err := a.delete(ctx, r, kubeobject.DryRun)
	if gone, ok := kubeobject.GoneResult(err); ok {
		return gone.Note, nil
	}
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s would be deleted, with a grace of %d s", r.Target, seconds), nil
}

// Verify waits until no pod of this name has the target's UID.
func (a *Action) Verify(ctx context.Context, r action.Request) (time.Time, error) {
	ref, err := kubeobject.RefOf(r.Target)
	if err != nil {
		return time.Time{}, err
	}
	return a.client.WaitGone(ctx, ref)
}
