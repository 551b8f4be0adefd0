package playbook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"riposte/responder/playbook/sandbox"
)

// MaxHistory is how many earlier actions an Input carries.
const MaxHistory = 20

// Evaluate asks every playbook whose trigger fits the alert, and returns one
// Decision for each, in the order of their names. A playbook that fails has a
// Decision with a Refusal and holds up none of the others. When ctx ends the
// remaining playbooks are left out: look at ctx before the decisions are used.
//
// The answer depends on the Input and the revision alone; Input.Now is the
// playbook's clock.
func (s *Set) Evaluate(ctx context.Context, in Input) []Decision {
	if in.Alert == nil {
		return nil
	}
	asked := s.index.triggered(in.Alert)
	if len(asked) == 0 {
		return nil
	}
	body, value, refusal := s.encode(in)
	out := make([]Decision, 0, len(asked))
	for _, p := range asked {
		d := Decision{Playbook: p.Name, Revision: p.Revision, Mode: p.Mode, Input: body, Refusal: refusal}
		if refusal == "" {
			d.Began = time.Now()
			s.ask(ctx, p, value, in, &d)
			d.Took = time.Since(d.Began)
		}
		if ctx.Err() != nil {
			return out
		}
		d.Refusal = sandbox.Plain(d.Refusal, maxReason)
		out = append(out, d)
	}
	return out
}

// encode makes the input's JSON and its Rego value, once for all playbooks.
func (s *Set) encode(in Input) (body json.RawMessage, value ast.Value, refusal string) {
	if in.Schema == 0 {
		in.Schema = InputSchema
	}
	if in.History == nil {
		in.History = []Past{}
	}
	in.History = in.History[:min(len(in.History), MaxHistory)]
	in.Now = in.Now.UTC()
	none := json.RawMessage("null")
	body, err := encodeJSON(in)
	if err != nil {
		return none, nil, fmt.Sprintf("the input cannot be written as JSON: %v", err)
	}
	if refusal := s.tooLarge(body); refusal != "" {
		return none, nil, refusal
	}
	value, err = ast.ValueFromReader(bytes.NewReader(body))
	if err != nil {
		return none, nil, fmt.Sprintf("the input cannot be read as JSON: %v", err)
	}
	return body, value, ""
}

func (s *Set) ask(ctx context.Context, p *Playbook, input ast.Value, in Input, d *Decision) {
	value, err := p.query.Eval(ctx, input, in.Now, s.options.Deadline)
	switch {
	case errors.Is(err, sandbox.ErrDeadline):
		d.Late, d.Refusal = true, fmt.Sprintf("the evaluation did not end within %s", s.options.Deadline)
	case err != nil:
		d.Refusal = err.Error()
	default:
		d.Result, d.Proposals, err = readResult(value, s.options.MaxActions)
		if err != nil {
			d.Proposals, d.Refusal = nil, err.Error()
		}
	}
}

// encodeJSON leaves <, > and & as they are: command lines are full of them.
func encodeJSON(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
