package api

import (
	"encoding/json"
	"time"
)

// IncidentStates are the states of an incident, in the order of its life.
var IncidentStates = []string{"open", "contained", "resolved", "false_positive"}

// Incident gathers the alerts of one attack.
type Incident struct {
	ID      string `json:"id"`
	Cluster string `json:"cluster"`
	// Key is what its alerts have in common.
	Key string `json:"key"`
	// Kind is alerts, or gap or silence for what the responder itself found.
	Kind  string `json:"kind"`
	State string `json:"state"`
	Title string `json:"title"`
	// Priority is that of its most severe alert.
	Priority string `json:"priority"`
	// Alerts counts all, equal ones too; Actions those of its decisions.
	Alerts  int64     `json:"alerts"`
	Actions int64     `json:"actions"`
	FirstAt time.Time `json:"first_at"`
	LastAt  time.Time `json:"last_at"`
	// Labels are those that the pod of its first alert had then.
	Labels map[string]string `json:"labels,omitempty"`
}

// IncidentEvent is one thing in an incident's timeline.
type IncidentEvent struct {
	At time.Time `json:"at"`
	// Kind is state, alert, decision, or action.planned, .executed, .verified.
	Kind string `json:"kind"`
	// ID is the alert's, decision's or action's.
	ID string `json:"id,omitempty"`
	// Name is the rule, the playbook or the action's type; State the new state.
	Name  string `json:"name,omitempty"`
	State string `json:"state,omitempty"`
	// Actor is who changed the state, Detail why, or the alert's output.
	Actor  string `json:"actor,omitempty"`
	Detail string `json:"detail,omitempty"`
	// Count is how many equal ones there were.
	Count int64 `json:"count,omitempty"`
}

// IncidentTimeline is what happened in an incident, oldest first.
type IncidentTimeline struct {
	Incident Incident        `json:"incident"`
	Events   []IncidentEvent `json:"events"`
	// More says that there were too many to list all: the last ones are missing.
	More bool `json:"more,omitempty"`
}

// DeadLetter is a message that could not be processed.
type DeadLetter struct {
	ID string `json:"id"`
	// State is dead, or redriven once it was processed after all.
	State     string `json:"state"`
	Subject   string `json:"subject"`
	MessageID string `json:"message_id"`
	Cluster   string `json:"cluster,omitempty"`
	Node      string `json:"node,omitempty"`
	// Reason is a stable word, Error a sentence.
	Reason string `json:"reason"`
	Error  string `json:"error"`
	// Deaths is how often it could not be processed.
	Deaths     int64     `json:"deaths"`
	Bytes      int       `json:"bytes"`
	ReceivedAt time.Time `json:"received_at"`
	DiedAt     time.Time `json:"died_at"`
	// Body is the message, in an answer about this one alone: JSON if it is some, else
	// its text as a JSON string, bytes that are no text replaced.
	Body json.RawMessage `json:"body,omitempty"`
}
