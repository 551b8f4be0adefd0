// Package isolatepod takes a suspect pod out of service and keeps it for a look:
// nobody sends it anything, it reaches nobody, and its controller starts a clean
// one in its place.
//
// Two things are changed, both undone by Undo:
//
//   - A NetworkPolicy of ours selects exactly this pod and allows nothing. It is
//     made first, belongs to the pod, and goes with it.
//   - In one request the pod loses the labels by which its Services and its
//     controller select it, and gets the label that the policy selects. So it is
//     never out of its Services without being under the policy.
//
// A NetworkPolicy only adds permissions: another one that selects the pod as well
// opens it again. Those are looked for, named, and keep the effect from counting as
// verified; they are never touched. What a policy cannot do at all (connections
// that stand already, a pod in its node's network, a cluster whose network plugin
// ignores policies) cut_network does on the node.
package isolatepod

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"riposte/responder/action"
	"riposte/responder/action/kubeobject"
)

// Type is the name that playbooks use.
const Type = "isolate_pod"

// isolated is the label that our policy selects; its value is the pod's UID, so
// that a copy of the label on another pod selects nothing.
const isolated = "riposte.dev/isolated"

var spec = action.Spec{
	Type:    Type,
	Summary: "Detach the pod from its Services and its controller and deny it all traffic. The controller starts a clean one; the suspect stays.",
	Kind:    action.KindPod,
	Permissions: append(append(
		kubeobject.Permissions("get patch", kubeobject.Pods),
		kubeobject.Permissions("get", kubeobject.ReplicaSets, kubeobject.StatefulSets, kubeobject.DaemonSets, kubeobject.Deployments,
			kubeobject.Jobs, kubeobject.CronJobs, kubeobject.Controllers)...),
		append(kubeobject.Permissions("list", kubeobject.Services),
			kubeobject.Permissions("get list create patch delete", kubeobject.NetworkPolicies)...)...),
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

// labelsAlone are what this action changes of a pod.
func labelsAlone(f kubeobject.Field) bool {
	return len(f.Path) == 3 && f.Path[0] == "metadata" && f.Path[1] == "labels" && f.Match == nil
}

// policyRef is the name of the one pod's policy.
func policyRef(t action.Target) kubeobject.Ref {
	return kubeobject.To(kubeobject.NetworkPolicies, t.Namespace, "riposte-isolate-"+strings.ToLower(t.UID), "")
}

func policy(t action.Target, pod *unstructured.Unstructured) *unstructured.Unstructured {
	return kubeobject.Object("networking.k8s.io/v1", "NetworkPolicy", policyRef(t), pod, map[string]any{
		"podSelector": map[string]any{"matchLabels": map[string]any{isolated: t.UID}},
		"policyTypes": []any{"Ingress", "Egress"},
	})
}

// done is what Execute and Preview have in common.
type done struct {
	podBefore, podAfter       *unstructured.Unstructured
	policyBefore, policyAfter *unstructured.Unstructured
	image                     kubeobject.Image
	notes                     []string
}

func (a *Action) isolate(ctx context.Context, r action.Request, mode kubeobject.Mode) (d done, err error) {
	ref, err := kubeobject.RefOf(r.Target)
	if err != nil {
		return d, err
	}
	pod, err := a.client.Get(ctx, ref)
	if err != nil {
		return d, err
	}
	s, err := a.selectors(ctx, pod)
	if err != nil {
		return d, err
	}
	if _, err := detach(pod.GetLabels(), s, r.Target.UID); err != nil {
		return d, err
	}
	d.policyBefore, d.policyAfter, err = a.client.Apply(ctx, policyRef(r.Target), mode, policy(r.Target, pod))
	if err != nil {
		return d, err
	}
	d.podBefore, d.podAfter, err = a.client.Change(ctx, ref, mode, func(o *unstructured.Unstructured) error {
		if found, ok := kubeobject.Marked(o, Type, r.ID, labelsAlone); ok {
			d.image = found
			return nil
		}
		want, err := detach(o.GetLabels(), s, r.Target.UID)
		if err != nil {
			return err
		}
		d.image, err = kubeobject.Set(o, Type, r.ID, want)
		return err
	})
	if err != nil {
		return d, err
	}
	d.notes = s.notes(pod)
	open, err := a.client.Opened(ctx, d.podAfter, d.policyAfter.GetName())
	if err != nil {
		return d, err
	}
	if len(open) > 0 {
		d.notes = append(d.notes, kubeobject.Opens(open))
	}
	return d, nil
}

// Execute isolates the pod. After a crash it goes on where it stopped; a pod that
// is gone is a success.
func (a *Action) Execute(ctx context.Context, r action.Request) (action.Result, error) {
	d, err := a.isolate(ctx, r, kubeobject.Real)
	if gone, ok := kubeobject.GoneResult(err); ok {
		return gone, nil
	}
	if err != nil {
		return action.Result{}, err
	}
	before, err := json.Marshal(d.image)
	if err != nil {
		return action.Result{}, kubeobject.Permanent("write how it was before: %w", err)
	}
	after, err := json.Marshal(map[string]any{"labels": d.podAfter.GetLabels(), "policy": d.policyAfter.GetName()})
	if err != nil {
		return action.Result{}, kubeobject.Permanent("write how it is now: %w", err)
	}
	note := fmt.Sprintf("took the pod out of its Services and from its controller; NetworkPolicy %s denies it all traffic", d.policyAfter.GetName())
	if len(d.image.Fields) == 0 {
		note = "the pod was isolated already"
	}
	return action.Result{
		Note: strings.Join(append([]string{note}, d.notes...), "; "), ExecutedAt: time.Now(), Before: before, After: after,
	}, nil
}

// Preview is the difference that Execute would make, on pod and policy.
func (a *Action) Preview(ctx context.Context, r action.Request) (string, error) {
	d, err := a.isolate(ctx, r, kubeobject.DryRun)
	if gone, ok := kubeobject.GoneResult(err); ok {
		return gone.Note, nil
	}
	if err != nil {
		return "", err
	}
	pod, err := kubeobject.Diff(d.podBefore, d.podAfter)
	if err != nil {
		return "", err
	}
	made, err := kubeobject.Diff(d.policyBefore, d.policyAfter)
	if err != nil {
		return "", err
	}
	return pod + made + kubeobject.Comments(d.notes), nil
}

// Verify sees that nothing selects the pod any more but our policy. Where another
// policy opens it, or no policy can hold it, waiting does not help.
func (a *Action) Verify(ctx context.Context, r action.Request) (time.Time, error) {
	ref, err := kubeobject.RefOf(r.Target)
	if err != nil {
		return time.Time{}, err
	}
	return kubeobject.Wait(ctx, func(ctx context.Context) (string, error) {
		pod, err := a.client.Get(ctx, ref)
		if err != nil {
			return "", err
		}
		if ours, err := a.client.Get(ctx, policyRef(r.Target)); err != nil || !kubeobject.OnlyOurs(ours) {
			if _, gone := kubeobject.GoneResult(err); gone || err == nil {
				return "the policy is gone, or somebody else has changed it", nil
			}
			return "", err
		}
		s, err := a.selectors(ctx, pod)
		if err != nil {
			return "", err
		}
		if by := s.selecting(pod.GetLabels()); len(by) > 0 || pod.GetLabels()[isolated] != r.Target.UID {
			return "the pod's labels are not as they were set; it is selected by " + strings.Join(by, ", "), nil
		}
		if kubeobject.HostNetwork(pod) {
			return "", kubeobject.Permanent("%s", kubeobject.InHostNetwork)
		}
		open, err := a.client.Opened(ctx, pod, policyRef(r.Target).Name)
		if err == nil && len(open) > 0 {
			err = kubeobject.Permanent("%s", kubeobject.Opens(open))
		}
		return "", err
	})
}

// Undo gives the pod its labels back, where nobody else has changed them since, and
// deletes the policy. With its labels the pod comes back to its Services; its
// controller may then delete it, as one too many.
func (a *Action) Undo(ctx context.Context, r action.Request) (action.Result, error) {
	note, pod, err := a.client.Lift(ctx, Type, r, labelsAlone)
	if err != nil {
		return action.Result{}, err
	}
	if pod != nil && pod.GetLabels()[isolated] == r.Target.UID {
		return kubeobject.Now(note + "; the pod is isolated by another action still, so its NetworkPolicy stays"), nil
	}
	deleted, err := a.client.DeleteOurs(ctx, policyRef(r.Target))
	if err != nil {
		return action.Result{}, err
	}
	return kubeobject.Now(note + "; " + deleted), nil
}
