// Package acknowledgeincident notes on an incident that it is known, so that whoever
// looks at it sees that nothing has to be done now, who said so, and until when.
package acknowledgeincident

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"riposte/responder/action"
)

// Type is the name that playbooks use.
const Type = "acknowledge_incident"

// Incidents are the responder's own. All methods are safe to repeat.
type Incidents interface {
	// Acknowledge notes on the incident of the action's alert that it is known, and
	// returns the incident's id and when that was first noted.
	Acknowledge(ctx context.Context, actionID, reason string) (id string, at time.Time, err error)
	// Withdraw notes that the acknowledgement by this action is over.
	Withdraw(ctx context.Context, actionID string) (id string, at time.Time, err error)
}

var spec = action.Spec{
	Type: Type,
	Summary: "Note on the alert's incident that it is known. The incident stays open and goes on gathering alerts; its timeline says who " +
		"acknowledged it and why. With a ttl it says when that was over. Any target of the alert will do.",
	Kind:      action.KindPod,
	Also:      []string{action.KindContainer, action.KindProcess, action.KindNode, action.KindWorkload, action.KindObject},
	Momentary: true,
	Example:   `{}`,
}

// Action is the action.Action.
type Action struct{ incidents Incidents }

// New makes the action.
func New(incidents Incidents) *Action { return &Action{incidents} }

// Spec describes the action.
func (*Action) Spec() action.Spec { return spec }

// Check demands that there are no params. Any target will do: the incident is the
// alert's.
func (*Action) Check(_ action.Target, raw json.RawMessage) error {
	return spec.Decode(raw, &struct{}{})
}

// Execute notes it; once it is written it is seen.
func (a *Action) Execute(ctx context.Context, r action.Request) (action.Result, error) {
	id, at, err := a.incidents.Acknowledge(ctx, r.ID, r.Reason)
	if err != nil {
		return action.Result{}, err
	}
	return action.Result{Note: "incident " + id + " is acknowledged", ExecutedAt: at, VerifiedAt: at}, nil
}

// Verify finds when it was noted.
func (a *Action) Verify(ctx context.Context, r action.Request) (time.Time, error) {
	_, at, err := a.incidents.Acknowledge(ctx, r.ID, r.Reason)
	return at, err
}

// Undo notes that it is over.
func (a *Action) Undo(ctx context.Context, r action.Request) (action.Result, error) {
	id, at, err := a.incidents.Withdraw(ctx, r.ID)
	if err != nil {
		return action.Result{}, err
	}
	return action.Result{Note: "incident " + id + " is no longer acknowledged", ExecutedAt: at, VerifiedAt: at}, nil
}

// Preview says what would be noted.
func (*Action) Preview(_ context.Context, r action.Request) (string, error) {
	return fmt.Sprintf("would acknowledge the incident of alert %s: %q", r.AlertID, r.Reason), nil
}
