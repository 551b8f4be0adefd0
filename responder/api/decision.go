package api

import (
	"encoding/json"
	"time"
)

// Recorded is one line of the export of decisions: an alert with what the playbooks
// saw of it, what they answered and what came of it. It is what a replay needs.
type Recorded struct {
	AlertID    string    `json:"alert_id"`
	ReceivedAt time.Time `json:"received_at"`
	// KernelAt is when the system call returned, nil for an alert of Falco's.
	KernelAt *time.Time `json:"kernel_at,omitempty"`
	// Count is how many equal alerts there were in the incident.
	Count int64 `json:"count"`
	// Input is the exact input of the first decision about it.
	Input json.RawMessage `json:"input"`
	// Rebuilt says that no playbook was asked: Input is made of the alert's row, without
	// history, and with the pod's labels and owner as the agent knew them.
	Rebuilt   bool               `json:"rebuilt,omitempty"`
	Decisions []RecordedDecision `json:"decisions"`
}

// RecordedDecision is one playbook's answer. Equal answers to equal alerts are one,
// with the first one's input.
type RecordedDecision struct {
	Playbook string `json:"playbook"`
	Revision string `json:"revision"`
	Mode     string `json:"mode"`
	// State is decided, or refused for Reason.
	State     string    `json:"state"`
	Reason    string    `json:"reason,omitempty"`
	DecidedAt time.Time `json:"decided_at"`
	Count     int64     `json:"count"`
	// Input is left out where it is the alert's.
	Input json.RawMessage `json:"input,omitempty"`
	// Result is the exact result; missing if there was none.
	Result  json.RawMessage  `json:"result,omitempty"`
	Actions []RecordedAction `json:"actions,omitempty"`
}

// RecordedAction is what became of one proposal.
type RecordedAction struct {
	ID         string     `json:"id"`
	Type       string     `json:"type"`
	State      string     `json:"state"`
	RefusedBy  string     `json:"refused_by,omitempty"`
	ExecutedAt *time.Time `json:"executed_at,omitempty"`
}

// RecordedEnd is the export's last line. Without it the export is not whole.
type RecordedEnd struct {
	End    bool  `json:"end"`
	Alerts int64 `json:"alerts"`
}
