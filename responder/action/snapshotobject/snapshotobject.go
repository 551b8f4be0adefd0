// Package snapshotobject keeps an object as evidence before anything is done to
// it: its manifest without secrets and values of environment variables, its
// latest events and who owns it.
package snapshotobject

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"

	"riposte/responder/action"
	"riposte/responder/action/kubeobject"
)

// Type is the name that playbooks use.
const Type = "snapshot_object"

// Bounds of the evidence.
const (
	maxManifest = 256 << 10
	maxEvents   = 50
	maxMessage  = 1024
)

var resources = append(slices.Clone(kubeobject.Workloads), kubeobject.Namespaces, kubeobject.Services, kubeobject.NetworkPolicies)

var spec = action.Spec{
	Type:    Type,
	Summary: "Keep the object as evidence: its manifest without values of environment variables, its 50 latest events and the chain of its owners.",
	Kind:    action.KindPod,
	Also:    []string{action.KindWorkload, action.KindNode, action.KindObject},
	Permissions: append(
		kubeobject.Permissions("get", append([]string{kubeobject.Pods, kubeobject.Nodes}, resources...)...),
		kubeobject.Permissions("list", kubeobject.Events)...,
	),
	Example:   `{}`,
	Momentary: true,
	Stage:     action.Gather,
	Slow:      true,
}

// Action is the action.Action.
type Action struct{ client *kubeobject.Client }

// New makes the action.
func New(client *kubeobject.Client) *Action { return &Action{client: client} }

// Spec describes the action.
func (*Action) Spec() action.Spec { return spec }

// Check demands the object's whole identity and no params.
func (*Action) Check(t action.Target, params json.RawMessage) error {
	if err := kubeobject.Check(spec, t, resources...); err != nil {
		return err
	}
	return spec.Decode(params, &struct{}{})
}

// evidence is what the action gathers.
type evidence struct {
	Taken    time.Time      `json:"taken"`
	Manifest map[string]any `json:"manifest"`
	// Owners begin with the object's own controller.
	Owners []owner `json:"owners"`
	// Events are the latest, newest first; Dropped counts older ones.
	Events  []event `json:"events"`
	Dropped int     `json:"dropped_events,omitempty"`
}

type owner struct {
	APIVersion string `json:"api_version"`
	Kind       string `json:"kind"`
	Name       string `json:"name"`
	UID        string `json:"uid"`
}

type event struct {
	Time    string `json:"time"`
	Type    string `json:"type"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
	Count   int64  `json:"count"`
}

// Execute gathers. It changes nothing, so a second attempt simply gathers again.
// An object that is gone leaves nothing to gather: that is a permanent error, for
// a success would claim evidence.
func (a *Action) Execute(ctx context.Context, r action.Request) (action.Result, error) {
	ref, err := kubeobject.RefOf(r.Target)
	if err != nil {
		return action.Result{}, err
	}
	o, err := a.client.Get(ctx, ref)
	if gone, ok := kubeobject.GoneResult(err); ok {
		return action.Result{}, kubeobject.Permanent("there is nothing to keep: %s", gone.Note)
	}
	if err != nil {
		return action.Result{}, err
	}
	e := evidence{Taken: time.Now().UTC(), Manifest: kubeobject.Redact(o).Object, Owners: []owner{}}
	chain, err := a.client.Chain(ctx, o)
	if err != nil {
		return action.Result{}, err
	}
	for _, ref := range chain {
		e.Owners = append(e.Owners, owner{ref.APIVersion, ref.Kind, ref.Name, string(ref.UID)})
	}
	if e.Events, e.Dropped, err = a.events(ctx, o); err != nil {
		return action.Result{}, err
	}
	manifest, err := json.Marshal(e.Manifest)
	if err == nil && len(manifest) > maxManifest {
		// Half a manifest is no JSON: what names the object is kept.
		e.Manifest = map[string]any{"metadata": e.Manifest["metadata"], "left_out": fmt.Sprintf("the manifest has %d bytes, %d are kept", len(manifest), maxManifest)}
	}
	if err != nil {
		return action.Result{}, kubeobject.Permanent("write the manifest: %w", err)
	}
	raw, err := json.Marshal(e)
	if err != nil {
		return action.Result{}, kubeobject.Permanent("write the evidence: %w", err)
	}
	result := kubeobject.Now(fmt.Sprintf("kept the manifest, %d owners and %d events", len(e.Owners), len(e.Events)))
	result.Evidence = raw
	return result, nil
}

// events are those about this very object. A node's stand in the namespace default.
func (a *Action) events(ctx context.Context, o *unstructured.Unstructured) (latest []event, dropped int, err error) {
	namespace := o.GetNamespace()
	if namespace == "" {
		namespace = metav1.NamespaceDefault
	}
	uid := string(o.GetUID())
	if o.GetKind() == "Node" { // kubelets write the node's name where its UID belongs
		uid = o.GetName()
	}
	selector := fields.Set{"involvedObject.uid": uid}
	latest = []event{}
	err = a.client.List(ctx, kubeobject.To(kubeobject.Events, namespace, "", ""), metav1.ListOptions{FieldSelector: selector.String()}, func(o *unstructured.Unstructured) {
		latest = append(latest, readEvent(o))
		if len(latest) > 2*maxEvents {
			dropped += trim(&latest)
		}
	})
	dropped += trim(&latest)
	return latest, dropped, err
}

// trim keeps the newest events, newest first, and says how many it left out.
func trim(events *[]event) int {
	slices.SortStableFunc(*events, func(a, b event) int { return -compareTimes(a.Time, b.Time) })
	out := max(0, len(*events)-maxEvents)
	*events = (*events)[:len(*events)-out]
	return out
}

func compareTimes(a, b string) int {
	x, _ := time.Parse(time.RFC3339Nano, a)
	y, _ := time.Parse(time.RFC3339Nano, b)
	return x.Compare(y)
}

func readEvent(o *unstructured.Unstructured) event {
	text := func(path ...string) string {
		s, _, _ := unstructured.NestedString(o.Object, path...)
		if len(s) > maxMessage {
			s = s[:maxMessage]
		}
		return kubeobject.Text(s)
	}
	e := event{Type: text("type"), Reason: text("reason"), Message: text("message")}
	e.Count, _, _ = unstructured.NestedInt64(o.Object, "count")
	for _, field := range []string{"lastTimestamp", "eventTime", "firstTimestamp"} {
		if e.Time = text(field); e.Time != "" {
			break
		}
	}
	return e
}

// Preview says what would be kept: nothing is changed.
func (a *Action) Preview(ctx context.Context, r action.Request) (string, error) {
	ref, err := kubeobject.RefOf(r.Target)
	if err != nil {
		return "", err
	}
	if _, err := a.client.Get(ctx, ref); err != nil {
		return kubeobject.Previewed(nil, nil, err)
	}
	return fmt.Sprintf("the manifest, events and owners of %s would be kept", r.Target), nil
}

// Verify has nothing to look for: the evidence was seen when it was gathered.
func (*Action) Verify(context.Context, action.Request) (time.Time, error) {
	return time.Time{}, kubeobject.Permanent("whether evidence was gathered only its record says")
}
