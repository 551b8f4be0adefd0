// Package notify tells people: in the responder's log, and through webhooks of the
// configuration.
package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"riposte/responder/action"
)

// Type is the name that playbooks use.
const Type = "notify"

// Log is the destination that is always there.
const Log = "log"

// Bounds of a message.
const (
	maxText         = 4096
	maxDestinations = 10
)

// Sender delivers to configured places.
type Sender interface {
	// Known is nil if there is a place of this name.
	Known(name string) error
	// Send delivers body there under an id, which is the same at each repetition.
	Send(ctx context.Context, name, id string, body []byte) error
}

var spec = action.Spec{
	Type:    Type,
	Summary: "Tell people, in the responder's log and through webhooks of the configuration. Each is told at least once; the id tells repetitions.",
	Kind:    action.KindPod,
	Also:    []string{action.KindContainer, action.KindProcess, action.KindNode, action.KindWorkload, action.KindObject},
	Params: []action.Param{
		{Name: "text", Type: "text", Default: "the action's reason", Desc: "What to say, 4096 bytes at most."},
		{Name: "to", Type: "list", Default: "log", Desc: "Names: log, or webhooks of the configuration."},
	},
	Momentary: true,
	Example:   `{"text": "A shell runs in a pod of the shop.", "to": ["log"]}`,
}

type params struct {
	Text string   `json:"text"`
	To   []string `json:"to"`
}

// Action is the action.Action.
type Action struct {
	log    *slog.Logger
	sender Sender
}

// New makes the action.
func New(log *slog.Logger, sender Sender) *Action { return &Action{log, sender} }

// Spec describes the action.
func (*Action) Spec() action.Spec { return spec }

// Check demands destinations that there are. Any target will do: it is only told.
func (a *Action) Check(_ action.Target, raw json.RawMessage) error {
	p, err := parse(raw)
	if err != nil {
		return err
	}
	for _, name := range p.To {
		if name == Log {
			continue
		}
		if err := a.sender.Known(name); err != nil {
			return fmt.Errorf("params.to: %w", err)
		}
	}
	return nil
}

func parse(raw json.RawMessage) (params, error) {
	p := params{To: []string{Log}}
	if err := spec.Decode(raw, &p); err != nil {
		return p, err
	}
	if len(p.Text) > maxText {
		return p, fmt.Errorf("params.text: has %d bytes, %d are allowed", len(p.Text), maxText)
	}
	if len(p.To) == 0 || len(p.To) > maxDestinations {
		return p, fmt.Errorf("params.to: has %d names, from 1 to %d are allowed", len(p.To), maxDestinations)
	}
	return p, nil
}

// message is what a webhook gets.
type message struct {
	Schema  int           `json:"schema"`
	ID      string        `json:"id"`
	Cluster string        `json:"cluster"`
	Text    string        `json:"text"`
	Target  action.Target `json:"target"`
	Reason  string        `json:"reason"`
	AlertID string        `json:"alert_id"`
}

func compose(r action.Request) (p params, text string, body []byte, err error) {
	if p, err = parse(r.Params); err != nil {
		return p, "", nil, &action.Error{Kind: action.Permanent, Err: err}
	}
	if text = p.Text; text == "" {
		text = r.Reason
	}
	if body, err = json.Marshal(message{1, r.ID, r.Target.Cluster, text, r.Target, r.Reason, r.AlertID}); err != nil {
		return p, "", nil, &action.Error{Kind: action.Permanent, Err: fmt.Errorf("write the message: %w", err)}
	}
	return p, text, body, nil
}

// Execute tells everybody. Where one destination fails the others are told all the
// same; a second attempt tells all of them again, under the same id.
func (a *Action) Execute(ctx context.Context, r action.Request) (action.Result, error) {
	p, text, body, err := compose(r)
	if err != nil {
		return action.Result{}, err
	}
	var failed []error
	hopeless := true
	for _, name := range p.To {
		if name == Log {
			a.log.Warn("notice", "text", text, "action", r.ID, "target", r.Target.String(), "alert", r.AlertID)
			continue
		}
		if err := a.sender.Send(ctx, name, r.ID, body); err != nil {
			failed = append(failed, err)
			hopeless = hopeless && action.KindOf(err) == action.Permanent
		}
	}
	switch err := errors.Join(failed...); {
	case err != nil && hopeless:
		return action.Result{}, &action.Error{Kind: action.Permanent, Err: err}
	case err != nil:
		return action.Result{}, errors.New(err.Error()) // without the kind of the one that is hopeless
	}
	now := time.Now()
	return action.Result{Note: "told " + strings.Join(p.To, ", "), ExecutedAt: now, VerifiedAt: now}, nil
}

// Preview is what would be said, and to whom.
func (a *Action) Preview(_ context.Context, r action.Request) (string, error) {
	p, text, _, err := compose(r)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("would tell %s: %q", strings.Join(p.To, ", "), text), nil
}

// Verify cannot look at the other side: only its answer tells.
func (*Action) Verify(context.Context, action.Request) (time.Time, error) {
	return time.Time{}, &action.Error{Kind: action.Permanent, Err: errors.New("whether people were told only the answers could say")}
}
