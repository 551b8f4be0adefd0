// Package rollbackworkload brings a workload back to an earlier template of its
// pods, as `kubectl rollout undo` does: for when the image that runs is the attack.
package rollbackworkload

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"riposte/responder/action"
	"riposte/responder/action/kubeobject"
)

// Type is the name that playbooks use.
const Type = "rollback_workload"

var resources = []string{kubeobject.Deployments, kubeobject.StatefulSets, kubeobject.DaemonSets}

var spec = action.Spec{
	Type:    Type,
	Summary: "Bring the workload back to an earlier revision of its pods' template, the one before the present by default. The undo goes back to the one that ran.",
	Kind:    action.KindWorkload,
	Permissions: append(kubeobject.Permissions("get patch", resources...),
		kubeobject.Permissions("list", kubeobject.ReplicaSets, kubeobject.Revisions)...),
	Params: []action.Param{{
		Name: "revision", Type: "number", Default: "the previous one", Desc: "The number of a revision that Kubernetes still has.",
	}},
	Example: `{"revision": 3}`,
	Stage:   action.Destroy,
}

func parse(raw json.RawMessage) (int64, error) {
	var p struct {
		Revision *int64 `json:"revision"`
	}
	if err := spec.Decode(raw, &p); err != nil || p.Revision == nil {
		return 0, err
	}
	if *p.Revision < 1 {
		return 0, errors.New("params.revision: revisions count from 1")
	}
	return *p.Revision, nil
}

// Action is the action.Action.
type Action struct{ client *kubeobject.Client }

// New makes the action.
func New(client *kubeobject.Client) *Action { return &Action{client: client} }

// Spec describes the action.
func (*Action) Spec() action.Spec { return spec }

// Check demands the workload's whole identity and known params.
func (*Action) Check(t action.Target, raw json.RawMessage) error {
	if err := kubeobject.Check(spec, t, resources...); err != nil {
		return err
	}
	_, err := parse(raw)
	return err
}

// image is what Undo needs. Templates hold environment values, so it is their
// revisions that are recorded, by the UID of the object that keeps each.
type image struct {
	ID   string `json:"id"`
	From kept   `json:"from"`
	To   kept   `json:"to"`
}

type kept struct {
	Revision int64  `json:"revision"`
	UID      string `json:"uid"`
}

// noted is the image of an action with this id that the object has.
func noted(o *unstructured.Unstructured, id string) (i image, ok bool) {
	mark, ok := kubeobject.Marked(o, Type, id)
	return i, ok && json.Unmarshal([]byte(mark.Note), &i) == nil
}

func (i image) note(o *unstructured.Unstructured) error {
	text, err := json.Marshal(i)
	if err != nil {
		return kubeobject.Permanent("write how it was before: %w", err)
	}
	kubeobject.Image{ID: i.ID, Note: string(text)}.Mark(o, Type)
	return nil
}

func (a *Action) rollBack(ctx context.Context, r action.Request, mode kubeobject.Mode) (before, after *unstructured.Unstructured, i image, err error) {
	wanted, err := parse(r.Params)
	if err != nil {
		return nil, nil, i, &action.Error{Kind: action.Permanent, Err: err}
	}
	ref, err := kubeobject.RefOf(r.Target)
	if err != nil {
		return nil, nil, i, err
	}
	before, after, err = a.client.Change(ctx, ref, mode, func(o *unstructured.Unstructured) error {
		if found, ok := noted(o, r.ID); ok {
			i = found
			return nil
		}
		all, err := a.revisions(ctx, o)
		if err != nil {
			return err
		}
		present, target, err := choose(o, all, wanted)
		if err != nil {
			return err
		}
		i = image{r.ID, kept{present.number, present.uid}, kept{target.number, target.uid}}
		if present.uid == target.uid {
			return nil
		}
		if err := unstructured.SetNestedMap(o.Object, target.template, "spec", "template"); err != nil {
			return kubeobject.Permanent("set the template: %w", err)
		}
		return i.note(o)
	})
	return before, after, i, err
}

// Execute rolls back. The workload's note says that an earlier attempt did, so that
// a second one does not go back one further.
func (a *Action) Execute(ctx context.Context, r action.Request) (action.Result, error) {
	_, _, i, err := a.rollBack(ctx, r, kubeobject.Real)
	if gone, ok := kubeobject.GoneResult(err); ok {
		return gone, nil
	}
	if err != nil {
		return action.Result{}, err
	}
	before, err := json.Marshal(i)
	if err != nil {
		return action.Result{}, kubeobject.Permanent("write how it was before: %w", err)
	}
	note := fmt.Sprintf("rolled back from revision %d to %d", i.From.Revision, i.To.Revision)
	if i.From == i.To {
		note = fmt.Sprintf("nothing to change: it was so already, at revision %d", i.To.Revision)
	}
	return action.Result{Note: note, ExecutedAt: time.Now(), Before: before}, nil
}

// Preview is the difference that Execute would make.
func (a *Action) Preview(ctx context.Context, r action.Request) (string, error) {
	before, after, _, err := a.rollBack(ctx, r, kubeobject.DryRun)
	return kubeobject.Previewed(before, after, err)
}

// Verify waits until the pods of the workload are those of the revision.
func (a *Action) Verify(ctx context.Context, r action.Request) (time.Time, error) {
	ref, err := kubeobject.RefOf(r.Target)
	if err != nil {
		return time.Time{}, err
	}
	return kubeobject.Wait(ctx, func(ctx context.Context) (string, error) {
		o, err := a.client.Get(ctx, ref)
		if err != nil {
			return "", err
		}
		if i, ok := noted(o, r.ID); ok {
			all, err := a.revisions(ctx, o)
			if err != nil {
				return "", err
			}
			if to := find(all, i.To.UID); to != nil && !same(o, to.template) {
				return "somebody else has changed the template since", nil
			}
		}
		return kubeobject.RollingOut(o), nil
	})
}

// Undo goes back to the template that was, unless somebody else has changed it
// since, or Kubernetes has forgotten that revision.
func (a *Action) Undo(ctx context.Context, r action.Request) (action.Result, error) {
	ref, err := kubeobject.RefOf(r.Target)
	if err != nil {
		return action.Result{}, err
	}
	note := ""
	_, _, err = a.client.Change(ctx, ref, kubeobject.Real, func(o *unstructured.Unstructured) error {
		i, ok := noted(o, r.ID)
		if len(r.Before) > 0 {
			if err := json.Unmarshal(r.Before, &i); err != nil {
				return kubeobject.Permanent("read how it was before: %w", err)
			}
			ok = i.From != i.To
		}
		if !ok {
			note = "nothing to bring back"
			return nil
		}
		kubeobject.Unmark(o, Type, r.ID)
		all, err := a.revisions(ctx, o)
		if err != nil {
			return err
		}
		from, to := find(all, i.From.UID), find(all, i.To.UID)
		switch {
		case from == nil || to == nil:
			note = fmt.Sprintf("left the template alone: Kubernetes has no revision %d any more", i.From.Revision)
		case same(o, from.template):
			note = "the template was brought back already"
		case !same(o, to.template):
			note = "left the template alone: somebody else has changed it since"
		default:
			note = fmt.Sprintf("brought back the template of revision %d", i.From.Revision)
			return unstructured.SetNestedMap(o.Object, from.template, "spec", "template")
		}
		return nil
	})
	if gone, ok := kubeobject.GoneResult(err); ok {
		return gone, nil
	}
	if err != nil {
		return action.Result{}, err
	}
	return kubeobject.Now(note), nil
}
