// Package killcontainer ends every process of one container, through the agent
// of its node.
package killcontainer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"time"

	"riposte/agent/order"
	"riposte/responder/action"
)

// Type is the name that playbooks use.
const Type = "kill_container"

// Orders sends a signed order to its node and returns the node's receipt. It
// repeats the order until a receipt comes or ctx ends.
type Orders interface {
	SendOrder(ctx context.Context, o order.Order) (order.Receipt, error)
}

// repeat is how often Verify asks the node again.
const repeat = 250 * time.Millisecond

// Action is the action.Action.
type Action struct {
	orders Orders
	now    func() time.Time
}

// New makes the action.
func New(orders Orders) *Action { return &Action{orders: orders, now: time.Now} }

// Spec describes the action.
func (*Action) Spec() action.Spec {
	return action.Spec{
		Type:    Type,
		Summary: "End every process of the container at once, through the agent of its node. The container runtime may start it again.",
		Kind:    "container",
		Example: `{}`,
	}
}

// runtimeID is what container runtimes name containers: 64 hexadecimal digits
// mostly, but systemd machines and sandboxes have names.
var runtimeID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$`)

// Check demands the container's whole identity.
func (*Action) Check(t action.Target, params json.RawMessage) error {
	switch {
	case t.Kind != "container":
		return fmt.Errorf("target.kind: %s acts on a container, not on a %q", Type, t.Kind)
	case !runtimeID.MatchString(t.ContainerID):
		return fmt.Errorf("target.container_id: %.140q is no container id", t.ContainerID)
	case t.CgroupID == 0:
		return errors.New("target.cgroup_id: is missing; an id alone does not tell a container from its successor")
	case t.StartNS == 0:
		return errors.New("target.start_ns: is missing; an id alone does not tell a container from its successor")
	case t.Cluster == "":
		return errors.New("target.cluster: is missing")
	case t.Node == "":
		return errors.New("target.node: is missing; only the container's own node can end it")
	}
	if p := bytes.TrimSpace(params); len(p) == 0 || bytes.Equal(p, []byte("null")) {
		return nil
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(params, &keys); err != nil {
		return errors.New("params: is not an object")
	}
	if len(keys) > 0 {
		return fmt.Errorf("params: unknown key %.60q: %s has none", slices.Min(slices.Collect(maps.Keys(keys))), Type)
	}
	return nil
}

// Execute sends the order. The order's id is the action's, so the node carries
// it out once, however often it is sent.
func (a *Action) Execute(ctx context.Context, r action.Request) (action.Result, error) {
	receipt, err := a.send(ctx, r)
	if err != nil {
		// Not an *action.Error: the node may have had the order all the same.
		return action.Result{}, err
	}
	switch receipt.Outcome {
	case order.Done:
		note := fmt.Sprintf("%d processes ended", receipt.Processes)
		if receipt.Processes == 1 {
			note = "1 process ended"
		}
		if receipt.Repeated {
			note += ", at an earlier attempt"
		}
		return action.Result{Note: note, ExecutedAt: at(receipt.ExecutedNS), VerifiedAt: at(receipt.VerifiedNS)}, nil
	case order.Gone:
		// Nothing was caused; the wanted end is there, and the node saw it.
		seen := a.now()
		if receipt.VerifiedNS != 0 {
			seen = at(receipt.VerifiedNS)
		}
		return action.Result{Note: "the container was gone already" + because(receipt), ExecutedAt: seen, VerifiedAt: seen}, nil
	case order.Refused:
		return action.Result{}, &action.Error{Kind: action.Refused, Err: fmt.Errorf("node %s refused%s", r.Target.Node, because(receipt))}
	case order.Failed:
		return action.Result{}, &action.Error{Kind: action.Retryable, Err: fmt.Errorf("node %s could not%s", r.Target.Node, because(receipt))}
	}
	return action.Result{}, &action.Error{
		Kind: action.Permanent, Err: fmt.Errorf("node %s answered with the unknown outcome %.40q: update the responder", r.Target.Node, receipt.Outcome),
	}
}

// Verify repeats the order until its receipt says that no process was left. A
// repeat has no effect of its own: the node answers it with the receipt.
func (a *Action) Verify(ctx context.Context, r action.Request) (time.Time, error) {
	for {
		receipt, err := a.send(ctx, r)
		switch {
		case err != nil:
			return time.Time{}, err
		case receipt.Outcome == order.Gone:
			return a.now(), nil
		case receipt.Outcome == order.Refused:
			return time.Time{}, &action.Error{Kind: action.Refused, Err: fmt.Errorf("node %s refused%s", r.Target.Node, because(receipt))}
		case receipt.VerifiedNS != 0:
			return at(receipt.VerifiedNS), nil
		}
		select {
		case <-ctx.Done():
			return time.Time{}, fmt.Errorf("the node does not report the container as ended%s: %w", because(receipt), ctx.Err())
		case <-time.After(repeat):
		}
	}
}

func (a *Action) send(ctx context.Context, r action.Request) (order.Receipt, error) {
	receipt, err := a.orders.SendOrder(ctx, order.Order{
		ID: r.ID, Kind: order.Kill, Cluster: r.Target.Cluster, Node: r.Target.Node,
		Target: order.Target{ContainerID: r.Target.ContainerID, CgroupID: r.Target.CgroupID, StartNS: r.Target.StartNS},
		Reason: r.Reason, Issued: a.now(), Expires: r.Expires,
	})
	if err != nil {
		return receipt, fmt.Errorf("order node %s to end %s: %w", r.Target.Node, r.Target, err)
	}
	if receipt.OrderID != r.ID {
		return receipt, fmt.Errorf("node %s answered order %s with the receipt of %.60q", r.Target.Node, r.ID, receipt.OrderID)
	}
	return receipt, nil
}

func because(r order.Receipt) string {
	if r.Message == "" {
		return ""
	}
	return ": " + r.Message
}

// at is the zero time for 0.
func at(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns)
}
