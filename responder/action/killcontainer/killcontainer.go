// Package killcontainer ends every process of one container, through the agent
// of its node.
package killcontainer

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
const Type = "kill_container"

// Action is the action.Action.
type Action struct{ agent node.Agent }

// New makes the action.
func New(orders node.Orders) *Action {
	return &Action{node.Agent{Orders: orders, Kind: order.Kill, Verb: "end"}}
}

// Spec describes the action.
func (*Action) Spec() action.Spec {
	return action.Spec{
		Type:    Type,
		Summary: "End every process of the container at once, through the agent of its node. The container runtime may start it again.",
		Kind:    action.KindContainer,
		Example: `{}`,
		Stage:   action.Destroy,
	}
}

// Check demands the container's whole identity.
func (a *Action) Check(t action.Target, params json.RawMessage) error {
	if t.Kind != action.KindContainer {
		return fmt.Errorf("target.kind: %s acts on a container, not on a %q", Type, t.Kind)
	}
	if err := node.CheckContainer(t); err != nil {
		return err
	}
	return a.Spec().Decode(params, &struct{}{})
}

// Execute sends the order.
func (a *Action) Execute(ctx context.Context, r action.Request) (action.Result, error) {
	receipt, err := a.agent.Send(ctx, r, nil)
	if err != nil {
		return action.Result{}, err
	}
	return node.Read(r, receipt, node.Processes(receipt.Processes)+" ended", "the container was gone already")
}

// Verify waits until the node has seen that no process was left.
func (a *Action) Verify(ctx context.Context, r action.Request) (time.Time, error) {
	return a.agent.Await(ctx, r, nil)
}

// Preview says what would happen.
func (*Action) Preview(_ context.Context, r action.Request) (string, error) {
	return fmt.Sprintf("Every process of %s would be ended.", r.Target), nil
}
