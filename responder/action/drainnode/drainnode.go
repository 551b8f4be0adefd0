// Package drainnode empties a node: no new pods come, and those that can run
// elsewhere are evicted.
//
// Pods of DaemonSets would come straight back, and mirror pods are only pictures of
// what the kubelet reads from files: both stay. So do pods that the guard protects,
// which itself is asked about the node alone, and pods without a controller, which
// nothing would make anew.
// Disruption budgets have their say, and min_healthy is asked on top of them.
package drainnode

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
const Type = "drain_node"

var spec = action.Spec{
	Type: Type,
	Summary: "Cordon the node and evict its pods, but for those of DaemonSets, mirror pods, protected pods and pods without a controller. " +
		"What disruption budgets hold up is tried again until the action expires. The undo lifts the cordon.",
	Kind: action.KindNode,
	Permissions: append(append(
		kubeobject.Permissions("get patch", kubeobject.Nodes),
		kubeobject.Permissions("get list", kubeobject.Pods)...),
		append(kubeobject.Permissions("get", kubeobject.Workloads...), "create pods/eviction")...),
	Params: []action.Param{
		{Name: "min_healthy", Type: "text", Desc: "How many ready pods of its workload an eviction must leave, as a number (\"2\") or as a share of the wanted ones, rounded up (\"50%\"). Without it only disruption budgets are asked."},
		{Name: "grace_seconds", Type: "number", Default: "the pods' own", Desc: "How long each pod's processes have after SIGTERM, from 0 to 600."},
		{Name: "standalone", Type: "bool", Default: "false", Desc: "Whether pods without a controller go too. Nothing makes them anew."},
	},
	Example:  `{"min_healthy": "50%"}`,
	Patient:  true,
	Stage:    action.Destroy,
	NodeWide: true,
	Slow:     true,
}

const maxGrace = 600

// pause is how long what is held up waits before it is asked about again.
const pause = time.Second

type params struct {
	MinHealthy   string `json:"min_healthy"`
	GraceSeconds *int64 `json:"grace_seconds"`
	Standalone   bool   `json:"standalone"`

	min minimum
}

func parse(raw json.RawMessage) (p params, err error) {
	if err = spec.Decode(raw, &p); err != nil {
		return p, err
	}
	if p.GraceSeconds != nil && (*p.GraceSeconds < 0 || *p.GraceSeconds > maxGrace) {
		return p, fmt.Errorf("params.grace_seconds: %d is not from 0 to %d", *p.GraceSeconds, maxGrace)
	}
	p.min, err = parseMinimum(p.MinHealthy)
	return p, err
}

func (p params) grace() int64 {
	if p.GraceSeconds == nil {
		return kubeobject.OwnGrace
	}
	return *p.GraceSeconds
}

// Action is the action.Action.
type Action struct {
	client   *kubeobject.Client
	protects Protects
}

// Protects says whether a pod must be left alone; owner is its controller as
// Kind/name, empty for none.
type Protects func(namespace, name, owner string, labels map[string]string) bool

// New makes the action.
func New(client *kubeobject.Client, protects Protects) *Action {
	return &Action{client: client, protects: protects}
}

// Spec describes the action.
func (*Action) Spec() action.Spec { return spec }

// Check demands the node's whole identity and known params.
func (*Action) Check(t action.Target, raw json.RawMessage) error {
	if err := kubeobject.Check(spec, t); err != nil {
		return err
	}
	_, err := parse(raw)
	return err
}

// Execute cordons the node and evicts until nothing is left to evict. When ctx ends
// before, that is a retryable error that says what is left; the next attempt goes on.
func (a *Action) Execute(ctx context.Context, r action.Request) (action.Result, error) {
	p, err := parse(r.Params)
	if err != nil {
		return action.Result{}, &action.Error{Kind: action.Permanent, Err: err}
	}
	_, _, image, err := a.cordon(ctx, r, kubeobject.Real)
	if gone, ok := kubeobject.GoneResult(err); ok {
		return gone, nil
	}
	if err != nil {
		return action.Result{}, err
	}
	before, err := json.Marshal(image)
	if err != nil {
		return action.Result{}, kubeobject.Permanent("write how it was before: %w", err)
	}
	d := drain{action: a, params: p, evicted: map[string]bool{}}
	for {
		round, err := d.round(ctx, r.Target.Name)
		if err != nil {
			return action.Result{}, err
		}
		if len(round.held) == 0 {
			note := fmt.Sprintf("cordoned the node and evicted %d pods%s", len(d.evicted), round.stays())
			return action.Result{Note: note, ExecutedAt: time.Now(), Before: before}, nil
		}
		select {
		case <-ctx.Done():
			held := strings.Join(round.held[:min(len(round.held), 5)], "; ")
			err := fmt.Errorf("evicted %d pods, %d are held up: %s: %w", len(d.evicted), len(round.held), held, ctx.Err())
			return action.Result{}, &action.Error{Kind: action.Retryable, Err: err}
		case <-time.After(pause):
		}
	}
}

// closed is what is wanted of the node.
var closed = kubeobject.Want(true, "spec", "unschedulable")

func (a *Action) cordon(ctx context.Context, r action.Request, mode kubeobject.Mode) (before, after *unstructured.Unstructured, image kubeobject.Image, err error) {
	ref, err := kubeobject.RefOf(r.Target)
	if err != nil {
		return nil, nil, image, err
	}
	before, after, err = a.client.Change(ctx, ref, mode, func(o *unstructured.Unstructured) error {
		if found, ok := kubeobject.Marked(o, Type, r.ID, kubeobject.These(closed)); ok {
			image = found
			return nil
		}
		var err error
		image, err = kubeobject.Set(o, Type, r.ID, []kubeobject.Field{closed})
		return err
	})
	return before, after, image, err
}

// maxListed bounds how many pods a preview names.
const maxListed = 100

// Preview is the cordon's difference, and what would go and stay.
func (a *Action) Preview(ctx context.Context, r action.Request) (string, error) {
	p, err := parse(r.Params)
	if err != nil {
		return "", err
	}
	before, after, _, err := a.cordon(ctx, r, kubeobject.DryRun)
	text, err := kubeobject.Previewed(before, after, err)
	if err != nil || after == nil {
		return text, err
	}
	d := drain{action: a, params: p, evicted: map[string]bool{}}
	going, round, err := d.sort(ctx, r.Target.Name)
	if err != nil {
		return "", err
	}
	var list strings.Builder
	for i, pod := range going {
		if i == maxListed {
			fmt.Fprintf(&list, "# and %d more\n", len(going)-i)
			break
		}
		fmt.Fprintf(&list, "# would evict pod %s/%s\n", pod.GetNamespace(), pod.GetName())
	}
	fmt.Fprintf(&list, "# %d pods would go%s\n", len(going), round.stays())
	return text + list.String(), nil
}

// Verify waits until the node takes no pods and none is left that could go.
func (a *Action) Verify(ctx context.Context, r action.Request) (time.Time, error) {
	p, err := parse(r.Params)
	if err != nil {
		return time.Time{}, &action.Error{Kind: action.Permanent, Err: err}
	}
	ref, err := kubeobject.RefOf(r.Target)
	if err != nil {
		return time.Time{}, err
	}
	d := drain{action: a, params: p}
	return kubeobject.Wait(ctx, func(ctx context.Context) (string, error) {
		node, err := a.client.Get(ctx, ref)
		if err != nil {
			return "", err
		}
		if closed, _, _ := unstructured.NestedBool(node.Object, "spec", "unschedulable"); !closed {
			return "the node takes pods again", nil
		}
		going, round, err := d.sort(ctx, r.Target.Name)
		if left := len(going) + round.leaving; err == nil && left > 0 {
			return fmt.Sprintf("%d pods are still there", left), nil
		}
		return "", err
	})
}

// Undo lifts the cordon, unless somebody else has put one on the node since. What
// was evicted runs elsewhere.
func (a *Action) Undo(ctx context.Context, r action.Request) (action.Result, error) {
	note, _, err := a.client.Lift(ctx, Type, r, kubeobject.These(closed))
	if err != nil {
		return action.Result{}, err
	}
	return kubeobject.Now(note), nil
}
