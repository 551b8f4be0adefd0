package playbook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/open-policy-agent/opa/v1/ast"

	"riposte/agent/alert"
	"riposte/responder/playbook/sandbox"
)

// Recorded is an input whose exact JSON is kept, so that playbooks can be asked
// about it again. It is not safe for concurrent use.
type Recorded struct {
	Input Input
	raw   json.RawMessage
	value ast.Value
}

// ReadRecorded decodes an input's JSON.
func ReadRecorded(raw json.RawMessage) (*Recorded, error) {
	r := &Recorded{raw: raw}
	if err := json.Unmarshal(raw, &r.Input); err != nil {
		return nil, fmt.Errorf("the input: %w", err)
	}
	if r.Input.Alert == nil {
		return nil, errors.New("the input has no alert")
	}
	if r.Input.Now.IsZero() {
		return nil, errors.New("the input does not say when it was decided about: now is missing")
	}
	return r, nil
}

// Triggered are the playbooks that are asked about an alert, sorted by name.
func (s *Set) Triggered(a *alert.Alert) []*Playbook { return s.index.triggered(a) }

// Replay asks one playbook of the set about an input whose exact JSON was recorded.
// The same playbook gives the same Decision as it did then, unless it ran out of
// time; see sandbox.ErrDeadline. It is not used when ctx has ended.
func (s *Set) Replay(ctx context.Context, p *Playbook, r *Recorded) Decision {
	d := Decision{Playbook: p.Name, Revision: p.Revision, Mode: p.Mode, Input: r.raw}
	if r.value == nil {
		if d.Refusal = s.tooLarge(r.raw); d.Refusal != "" {
			return d
		}
		var err error
		if r.value, err = ast.ValueFromReader(bytes.NewReader(r.raw)); err != nil {
			d.Refusal = fmt.Sprintf("the input cannot be read as JSON: %v", err)
			return d
		}
	}
	s.ask(ctx, p, r.value, r.Input, &d)
	d.Refusal = sandbox.Plain(d.Refusal, maxReason)
	return d
}

func (s *Set) tooLarge(body json.RawMessage) string {
	if len(body) > s.options.MaxInput {
		return fmt.Sprintf("the input has %d bytes, %d are allowed", len(body), s.options.MaxInput)
	}
	return ""
}

// ReadResult reads the proposals of a decision's recorded result.
func ReadResult(raw json.RawMessage) ([]Proposal, error) {
	var doc struct {
		Action []Proposal `json:"action"`
	}
	if len(raw) == 0 {
		return nil, nil
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		return nil, fmt.Errorf("the result: %w", err)
	}
	return doc.Action, nil
}
