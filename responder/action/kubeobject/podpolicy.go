package kubeobject

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"riposte/responder/action"
)

// PodPolicy is an action that makes a network policy for exactly one pod: all of
// it but the Spec and what the policy says. The pod gets a label of the action's
// own, by which the policy selects it, and the policy goes with the pod.
type PodPolicy struct {
	Client *Client
	Of     action.Spec
	// Resource, APIVersion and Kind are the policy's.
	Resource, APIVersion, Kind string
	// Build is the policy's spec for pods on which the label key has that value.
	Build func(key, value string, params json.RawMessage) (map[string]any, error)
	// Notes, if set, looks for what keeps the policy of that name from its effect. The
	// pod has its label then.
	Notes func(ctx context.Context, pod *unstructured.Unstructured, policy string) ([]string, error)
}

// Spec describes the action.
func (p *PodPolicy) Spec() action.Spec { return p.Of }

// Check demands the pod's whole identity and sound params.
func (p *PodPolicy) Check(t action.Target, params json.RawMessage) error {
	if err := Check(p.Of, t); err != nil {
		return err
	}
	_, err := p.Build(p.names(t, params).key, t.UID, params)
	return err
}

// named are the names of one policy for one pod. They follow from pod and params,
// so that a second attempt finds what the first one made, while another policy for
// the same pod is another one.
type named struct {
	key    string
	policy Ref
}

// label is the pod's, by which the policy selects it.
func (n named) label(value string) Field { return Want(value, "metadata", "labels", n.key) }

func (n named) own() Own { return These(n.label("")) }

func (p *PodPolicy) names(t action.Target, params json.RawMessage) named {
	sum := sha256.Sum256(append([]byte(p.Of.Type+" "), params...))
	short := hex.EncodeToString(sum[:4])
	kind := strings.ReplaceAll(p.Of.Type, "_", "-")
	return named{
		key:    "riposte.dev/" + kind + "-" + short,
		policy: To(p.Resource, t.Namespace, "riposte-"+kind+"-"+short+"-"+strings.ToLower(t.UID), ""),
	}
}

type podPolicyDone struct {
	podBefore, podAfter       *unstructured.Unstructured
	policyBefore, policyAfter *unstructured.Unstructured
	image                     Image
	notes                     []string
}

func (p *PodPolicy) apply(ctx context.Context, r action.Request, mode Mode) (d podPolicyDone, err error) {
	ref, err := RefOf(r.Target)
	if err != nil {
		return d, err
	}
	n := p.names(r.Target, r.Params)
	spec, err := p.Build(n.key, r.Target.UID, r.Params)
	if err != nil {
		return d, asPermanent(err)
	}
	pod, err := p.Client.Get(ctx, ref)
	if err != nil {
		return d, err
	}
	// The policy first: it is in force from the moment that the pod has the label.
	d.policyBefore, d.policyAfter, err = p.Client.Apply(ctx, n.policy, mode, Object(p.APIVersion, p.Kind, n.policy, pod, spec))
	if err != nil {
		return d, err
	}
	d.podBefore, d.podAfter, err = p.Client.Change(ctx, ref, mode, func(o *unstructured.Unstructured) error {
		if found, ok := Marked(o, p.Of.Type, r.ID, n.own()); ok {
			d.image = found
			return nil
		}
		var err error
		d.image, err = Set(o, p.Of.Type, r.ID, []Field{n.label(r.Target.UID)})
		return err
	})
	if err != nil || p.Notes == nil {
		return d, err
	}
	d.notes, err = p.Notes(ctx, d.podAfter, n.policy.Name)
	return d, err
}

// Execute makes the policy and labels the pod. A pod that is gone is a success.
func (p *PodPolicy) Execute(ctx context.Context, r action.Request) (action.Result, error) {
	d, err := p.apply(ctx, r, Real)
	if gone, ok := GoneResult(err); ok {
		return gone, nil
	}
	if err != nil {
		return action.Result{}, err
	}
	note := fmt.Sprintf("applied %s %s to the pod", p.Kind, d.policyAfter.GetName())
	if len(d.image.Fields) == 0 {
		note += ": it was so already"
	}
	return action.Result{
		Note: strings.Join(append([]string{note}, d.notes...), "; "), ExecutedAt: time.Now(),
		Before: encode(d.image), After: encode(map[string]any{"policy": d.policyAfter.GetName(), "spec": d.policyAfter.Object["spec"]}),
	}, nil
}

// Preview is the difference that Execute would make, on pod and policy.
func (p *PodPolicy) Preview(ctx context.Context, r action.Request) (string, error) {
	d, err := p.apply(ctx, r, DryRun)
	pod, err := Previewed(d.podBefore, d.podAfter, err)
	if err != nil || d.podAfter == nil {
		return pod, err
	}
	policy, err := Diff(d.policyBefore, d.policyAfter)
	if err != nil {
		return "", err
	}
	return pod + policy + Comments(d.notes), nil
}

// Comments are notes as lines of a preview.
func Comments(notes []string) string {
	var b strings.Builder
	for _, note := range notes {
		b.WriteString("# " + note + "\n")
	}
	return b.String()
}

// Verify sees that policy and label are there, and that nothing undoes the effect.
func (p *PodPolicy) Verify(ctx context.Context, r action.Request) (time.Time, error) {
	ref, err := RefOf(r.Target)
	if err != nil {
		return time.Time{}, err
	}
	n := p.names(r.Target, r.Params)
	return Wait(ctx, func(ctx context.Context) (string, error) {
		pod, err := p.Client.Get(ctx, ref)
		if err != nil {
			return "", err
		}
		policy, err := p.Client.Get(ctx, n.policy)
		if _, gone := GoneResult(err); gone || err == nil && !OnlyOurs(policy) {
			return "the policy is gone, or somebody else has changed it", nil
		}
		if err != nil {
			return "", err
		}
		if pod.GetLabels()[n.key] != r.Target.UID {
			return "the pod has lost the label that the policy selects", nil
		}
		if p.Notes == nil {
			return "", nil
		}
		notes, err := p.Notes(ctx, pod, n.policy.Name)
		if err == nil && len(notes) > 0 {
			err = Permanent("%s", strings.Join(notes, "; "))
		}
		return "", err
	})
}

// Undo takes the label away and deletes the policy, unless others have a part in it.
func (p *PodPolicy) Undo(ctx context.Context, r action.Request) (action.Result, error) {
	n := p.names(r.Target, r.Params)
	note, pod, err := p.Client.Lift(ctx, p.Of.Type, r, n.own())
	if err != nil {
		return action.Result{}, err
	}
	if pod != nil && pod.GetLabels()[n.key] == r.Target.UID {
		return Now(note + "; the pod is under this policy by another action still, so it stays"), nil
	}
	deleted, err := p.Client.DeleteOurs(ctx, n.policy)
	if err != nil {
		return action.Result{}, err
	}
	return Now(note + "; " + deleted), nil
}
