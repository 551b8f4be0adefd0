// Package killprocess ends one process of a container, through the agent of its
// node. The others go on.
package killprocess

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"riposte/agent/order"
	"riposte/responder/action"
	"riposte/responder/node"
)

// Type is the name that playbooks use.
const Type = "kill_process"

// Action is the action.Action.
type Action struct{ agent node.Agent }

// New makes the action.
func New(orders node.Orders) *Action {
	return &Action{node.Agent{Orders: orders, Kind: order.KillProcess, Verb: "end"}}
}

// Spec describes the action.
func (*Action) Spec() action.Spec {
	return action.Spec{
		Type:    Type,
		Summary: "End one process of a container by SIGKILL, through the agent of its node. Its children and whatever else runs in the container go on.",
		Kind:    action.KindProcess,
		Example: `{}`,
		Stage:   action.Destroy,
	}
}

// Check demands the process's whole identity.
func (a *Action) Check(t action.Target, params json.RawMessage) error {
	switch {
	case t.Kind != action.KindProcess:
		return fmt.Errorf("target.kind: %s acts on a process, not on a %q", Type, t.Kind)
	case t.PID <= 1:
		return fmt.Errorf("target.pid: %d is no process that may be ended", t.PID)
	case t.ProcessNS == 0:
		return errors.New("target.process_ns: is missing; a pid alone does not tell a process from its successor")
	}
	if t.ContainerID != "" || t.CgroupID != 0 || t.StartNS != 0 {
		if err := node.CheckContainer(t); err != nil {
			return err
		}
	}
	if err := node.CheckNode(t); err != nil {
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
	return node.Read(r, receipt, "the process was ended", "the process was gone already")
}

// Verify waits until the node has seen the process end.
func (a *Action) Verify(ctx context.Context, r action.Request) (time.Time, error) {
	return a.agent.Await(ctx, r, nil)
}

// Preview says what would happen.
func (*Action) Preview(_ context.Context, r action.Request) (string, error) {
	return fmt.Sprintf("%s would be ended.", r.Target), nil
}
