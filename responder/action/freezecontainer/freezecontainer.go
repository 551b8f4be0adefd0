// Package freezecontainer stops every process of one container where it is, through the
// agent of its node, and lets them go on again. Memory and files stay as they are.
package freezecontainer

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"riposte/agent/order"
	"riposte/responder/action"
	"riposte/responder/node"
)

// Type is the name that playbooks use.
const Type = "freeze_container"

// Action is the action.Action. It can be undone.
type Action struct{ hold node.Hold }

// New makes the action.
func New(orders node.Orders) *Action {
	return &Action{node.Hold{
		Agent: node.Agent{Orders: orders, Kind: order.Freeze, Verb: "freeze"}, Lift: order.Thaw, Held: "frozen",
	}}
}

// Spec describes the action.
func (*Action) Spec() action.Spec {
	return action.Spec{
		Type:    Type,
		Summary: "Stop every process of the container where it is, by the cgroup v2 freezer of its node. It can still be killed; it answers nobody, so a liveness probe may have it restarted.",
		Kind:    action.KindContainer,
		Params:  []action.Param{node.LeaseParam()},
		Example: `{"lease": "30m"}`,
		Stage:   action.Contain,
	}
}

type params struct {
	Lease string `json:"lease"`
}

// read returns the lease that is given or the default.
func (a *Action) read(raw json.RawMessage) (time.Duration, error) {
	var p params
	if err := a.Spec().Decode(raw, &p); err != nil {
		return 0, err
	}
	return node.ReadLease(p.Lease)
}

// Check demands the container's whole identity.
func (a *Action) Check(t action.Target, raw json.RawMessage) error {
	if t.Kind != action.KindContainer {
		return fmt.Errorf("target.kind: %s acts on a container, not on a %q", Type, t.Kind)
	}
	if err := node.CheckContainer(t); err != nil {
		return err
	}
	_, err := a.read(raw)
	return err
}

// Execute sends the order. Repeated, it renews the lease.
func (a *Action) Execute(ctx context.Context, r action.Request) (action.Result, error) {
	lease, err := a.read(r.Params)
	if err != nil {
		return action.Result{}, &action.Error{Kind: action.Permanent, Err: err}
	}
	return a.hold.Begin(ctx, r, lease, false)
}

// Verify waits until the node sees every process stopped.
func (a *Action) Verify(ctx context.Context, r action.Request) (time.Time, error) {
	lease, err := a.read(r.Params)
	if err != nil {
		return time.Time{}, &action.Error{Kind: action.Permanent, Err: err}
	}
	return a.hold.Seen(ctx, r, lease, false)
}

// Preview says what would happen.
func (a *Action) Preview(_ context.Context, r action.Request) (string, error) {
	lease, err := a.read(r.Params)
	if err != nil {
		return "", err
	}
	return a.hold.Preview(r, lease), nil
}

// Lease is how long the container stays frozen from each Execute on.
func (a *Action) Lease(params json.RawMessage) (time.Duration, error) { return a.read(params) }

// Undo lets the processes go on.
func (a *Action) Undo(ctx context.Context, r action.Request) (action.Result, error) {
	return a.hold.Undo(ctx, r)
}
