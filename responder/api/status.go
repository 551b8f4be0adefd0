package api

import "time"

// Status is one look at everything, within what the asker may see.
type Status struct {
	Version    string     `json:"version"`
	Cluster    string     `json:"cluster"`
	KillSwitch KillSwitch `json:"kill_switch"`
	// Parts are what is needed to decide and act, and whether each works now.
	Parts []Part `json:"parts"`
	// Stream is missing if the bus could not say.
	Stream *StreamStatus `json:"stream,omitempty"`
	// Incidents that are not over, by state and priority.
	Incidents []IncidentCount `json:"incidents"`
	Actions   ActionsStatus   `json:"actions"`
	// DeadLetters wait for a person.
	DeadLetters int64 `json:"dead_letters"`
	// Record is missing for who may not see all of a cluster.
	Record *RecordStatus `json:"record,omitempty"`
	// Agents are the first 500 by name; AgentsMore says that there are others.
	Agents     []Agent          `json:"agents"`
	AgentsMore bool             `json:"agents_more,omitempty"`
	Playbooks  []PlaybookStatus `json:"playbooks"`
	// PlaybookLoads and GuardLoads are about the files of the playbooks and of the guard's rules.
	PlaybookLoads Loads        `json:"playbook_loads"`
	GuardLoads    Loads        `json:"guard_loads"`
	Events        EventsStatus `json:"events"`
}

// Part is one thing that the responder needs: database, bus, playbooks, or informers of a
// cluster.
type Part struct {
	Name  string `json:"name"`
	Works bool   `json:"works"`
	// Error says what is missing.
	Error string `json:"error,omitempty"`
}

// StreamStatus is how far the responders are behind the stream of alerts.
type StreamStatus struct {
	// Waiting messages were taken by no responder yet, Unanswered are being worked on.
	Waiting    uint64 `json:"waiting"`
	Unanswered uint64 `json:"unanswered"`
}

// IncidentCount counts the incidents of one state and priority.
type IncidentCount struct {
	State    string `json:"state"`
	Priority string `json:"priority"`
	Count    int64  `json:"count"`
}

// ActionsStatus counts actions that a person should know of.
type ActionsStatus struct {
	// Waiting have been put to people.
	Waiting int64 `json:"waiting"`
	// Failed and Unknown were planned within the last day.
	Failed  int64 `json:"failed"`
	Unknown int64 `json:"unknown"`
	// LiftsLate are effects that should have ended more than a minute ago.
	LiftsLate int64 `json:"lifts_late"`
	// OldestPlannedAt is when the action was planned that waits longest for its execution.
	OldestPlannedAt *time.Time `json:"oldest_planned_at,omitempty"`
}

// RecordStatus is how far the record can be trusted without reading it again.
type RecordStatus struct {
	Chains []RecordChain `json:"chains"`
	// Verified is how the last verification by this replica ended; missing if there was none.
	Verified *RecordVerified `json:"verified,omitempty"`
}

// RecordChain is one cluster's part of the record.
type RecordChain struct {
	Cluster string `json:"cluster"`
	Entries int64  `json:"entries"`
	// Signed is the last entry that a checkpoint vouches for, 0 for none, made at SignedAt.
	Signed   int64      `json:"signed"`
	SignedAt *time.Time `json:"signed_at,omitempty"`
	// UnsignedSince is when the first entry after it was made.
	UnsignedSince *time.Time `json:"unsigned_since,omitempty"`
}

// RecordVerified is one verification's end.
type RecordVerified struct {
	At      time.Time `json:"at"`
	OK      bool      `json:"ok"`
	Entries int64     `json:"entries"`
}
