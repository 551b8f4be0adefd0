// Package cutnetwork cuts one container off the network, through the agent of its node,
// and connects it again.
package cutnetwork

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
const Type = "cut_network"

// Action is the action.Action. It can be undone.
type Action struct{ hold node.Hold }

// New makes the action.
func New(orders node.Orders) *Action {
	return &Action{node.Hold{
		Agent: node.Agent{Orders: orders, Kind: order.Cut, Verb: "cut off"}, Lift: order.Reconnect, Held: "cut off the network",
	}}
}

// Spec describes the action.
func (*Action) Spec() action.Spec {
	return action.Spec{
		Type:    Type,
		Summary: "Drop every packet from and to the container on its node: of its cgroup, and at the device of its pod, which also cuts off the pod's other containers. Connections that stand get no answer; packet sockets are stopped too.",
		Kind:    action.KindContainer,
		Params: []action.Param{
			node.LeaseParam(),
			{Name: "loopback", Type: "bool", Default: "false", Desc: "Let the container go on talking to itself and to its pod."},
		},
		Example: `{"lease": "30m", "loopback": true}`,
		Stage:   action.Contain,
	}
}

type params struct {
	Lease    string `json:"lease"`
	Loopback bool   `json:"loopback"`
}

// read returns the params that are given or the defaults.
func (a *Action) read(raw json.RawMessage) (lease time.Duration, loopback bool, err error) {
	var p params
	if err := a.Spec().Decode(raw, &p); err != nil {
		return 0, false, err
	}
	lease, err = node.ReadLease(p.Lease)
	return lease, p.Loopback, err
}

// Check demands the container's whole identity.
func (a *Action) Check(t action.Target, raw json.RawMessage) error {
	if t.Kind != action.KindContainer {
		return fmt.Errorf("target.kind: %s acts on a container, not on a %q", Type, t.Kind)
	}
	if err := node.CheckContainer(t); err != nil {
		return err
	}
	_, _, err := a.read(raw)
	return err
}

// Execute sends the order. Repeated, it renews the lease.
func (a *Action) Execute(ctx context.Context, r action.Request) (action.Result, error) {
	lease, loopback, err := a.read(r.Params)
	if err != nil {
		return action.Result{}, &action.Error{Kind: action.Permanent, Err: err}
	}
	return a.hold.Begin(ctx, r, lease, loopback)
}

// Verify waits until the node sees no way left for a packet.
func (a *Action) Verify(ctx context.Context, r action.Request) (time.Time, error) {
	lease, loopback, err := a.read(r.Params)
	if err != nil {
		return time.Time{}, &action.Error{Kind: action.Permanent, Err: err}
	}
	return a.hold.Seen(ctx, r, lease, loopback)
}

// Preview says what would happen.
func (a *Action) Preview(_ context.Context, r action.Request) (string, error) {
	lease, _, err := a.read(r.Params)
	if err != nil {
		return "", err
	}
	return a.hold.Preview(r, lease), nil
}

// Lease is how long the container stays cut off from each Execute on.
func (a *Action) Lease(params json.RawMessage) (time.Duration, error) {
	lease, _, err := a.read(params)
	return lease, err
}

// Undo connects the container again.
func (a *Action) Undo(ctx context.Context, r action.Request) (action.Result, error) {
	return a.hold.Undo(ctx, r)
}
