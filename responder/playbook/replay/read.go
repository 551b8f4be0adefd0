package replay

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"riposte/agent/alert"
	"riposte/responder/api"
	"riposte/responder/intake"
	"riposte/responder/playbook"
)

// Read reads one line of what can be replayed: a line of the export of decisions, a
// playbook's input, or an alert as an agent or Falco writes it. Of an alert the input
// is made with playbook.InputOf; one of Falco's is of cluster "local".
func Read(line []byte) (api.Recorded, error) {
	var r api.Recorded
	var keys struct {
		Input, Alert, Rule json.RawMessage
	}
	if err := json.Unmarshal(line, &keys); err != nil {
		return r, fmt.Errorf("no JSON object: %w", err)
	}
	switch {
	case keys.Input != nil:
		err := json.Unmarshal(line, &r)
		return r, err
	case keys.Alert != nil:
		return rebuilt(line)
	case keys.Rule != nil:
		a, err := readAlert(line)
		if err != nil {
			return r, err
		}
		b, err := encode(playbook.InputOf(a))
		if err != nil {
			return r, err
		}
		return rebuilt(b)
	}
	return r, errors.New("neither an alert (rule), nor a playbook's input (alert), nor a line of the export (input)")
}

// readAlert believes an alert of ours, and gives one of Falco's what the intake would.
func readAlert(line []byte) (*alert.Alert, error) {
	a := new(alert.Alert)
	if err := json.Unmarshal(line, a); err != nil {
		return nil, err
	}
	if a.Riposte != nil {
		return a, a.Validate()
	}
	return intake.FromFile(line, "local")
}

func rebuilt(input []byte) (api.Recorded, error) {
	in, err := playbook.ReadRecorded(input)
	if err != nil {
		return api.Recorded{}, err
	}
	r := api.Recorded{AlertID: in.Input.Alert.UUID, ReceivedAt: in.Input.Now, Count: 1, Input: input, Rebuilt: true}
	return r, nil
}

func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}
