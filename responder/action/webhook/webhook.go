// Package webhook posts a signed document to a place that the configuration names.
package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"riposte/responder/action"
)

// Type is the name that playbooks use.
const Type = "webhook"

// Sender delivers to configured places.
type Sender interface {
	// Known is nil if there is a place of this name.
	Known(name string) error
	// Send delivers body there under an id, which is the same at each repetition.
	Send(ctx context.Context, name, id string, body []byte) error
}

var spec = action.Spec{
	Type:    Type,
	Summary: "Post a signed JSON document to a webhook of the configuration. The receiver gets it at least once: a repeated delivery has the same id.",
	Kind:    action.KindPod,
	Also:    []string{action.KindContainer, action.KindProcess, action.KindNode, action.KindWorkload, action.KindObject},
	Params: []action.Param{
		{Name: "to", Type: "text", Required: true, Desc: "The webhook's name in the configuration. An address cannot be given."},
		{Name: "data", Type: "map", Desc: "What else the receiver should know."},
	},
	Momentary: true,
	Example:   `{"to": "ticket-system", "data": {"queue": "security"}}`,
}

type params struct {
	To   string          `json:"to"`
	Data json.RawMessage `json:"data"`
}

// Action is the action.Action.
type Action struct{ sender Sender }

// New makes the action.
func New(sender Sender) *Action { return &Action{sender} }

// Spec describes the action.
func (*Action) Spec() action.Spec { return spec }

// Check demands a webhook that there is. Any target will do: it is only told.
func (a *Action) Check(_ action.Target, raw json.RawMessage) error {
	p, err := parse(raw)
	if err != nil {
		return err
	}
	if err := a.sender.Known(p.To); err != nil {
		return fmt.Errorf("params.to: %w", err)
	}
	return nil
}

func parse(raw json.RawMessage) (p params, err error) {
	if err = spec.Decode(raw, &p); err == nil && p.To == "" {
		err = errors.New("params.to: is empty")
	}
	return p, err
}

// document is what is posted.
type document struct {
	Schema  int             `json:"schema"`
	ID      string          `json:"id"`
	Cluster string          `json:"cluster"`
	Target  action.Target   `json:"target"`
	Reason  string          `json:"reason"`
	AlertID string          `json:"alert_id"`
	Data    json.RawMessage `json:"data,omitempty"`
}

func (a *Action) document(r action.Request) (params, []byte, error) {
	p, err := parse(r.Params)
	if err != nil {
		return p, nil, &action.Error{Kind: action.Permanent, Err: err}
	}
	body, err := json.Marshal(document{1, r.ID, r.Target.Cluster, r.Target, r.Reason, r.AlertID, p.Data})
	if err != nil {
		return p, nil, &action.Error{Kind: action.Permanent, Err: fmt.Errorf("write the document: %w", err)}
	}
	return p, body, nil
}

// Execute posts the document. The receiver's yes is the effect, and is seen at once.
func (a *Action) Execute(ctx context.Context, r action.Request) (action.Result, error) {
	p, body, err := a.document(r)
	if err != nil {
		return action.Result{}, err
	}
	if err := a.sender.Send(ctx, p.To, r.ID, body); err != nil {
		return action.Result{}, err
	}
	now := time.Now()
	return action.Result{Note: fmt.Sprintf("webhook %s took the document", p.To), ExecutedAt: now, VerifiedAt: now}, nil
}

// Preview is the document.
func (a *Action) Preview(_ context.Context, r action.Request) (string, error) {
	p, body, err := a.document(r)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("webhook %s would get %s", p.To, body), nil
}

// Verify cannot look at the other side: only its answer tells.
func (*Action) Verify(context.Context, action.Request) (time.Time, error) {
	return time.Time{}, &action.Error{Kind: action.Permanent, Err: errors.New("whether the webhook took the document only its answer could say")}
}
