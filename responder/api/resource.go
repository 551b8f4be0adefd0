// Package api is the contract of the responder's HTTP API: what its answers and
// events hold. Package server below it serves them, package client asks for them.
package api

import (
	"encoding/json"
	"time"
)

// Page is one page of a list, newest first. Next is the cursor of the page
// after it ("before" of the next request), empty on the last one.
type Page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty"`
}

// Sizes of a page: what a list returns unless it is asked for less or more, and
// the most that may be asked for.
const (
	DefaultPage = 100
	MaxPage     = 500
)

// ActionStates are the states of an action, in the order of its life.
var ActionStates = []string{
	"planned", "waiting", "executing", "succeeded", "failed", "unknown", "observed", "refused", "rejected", "cancelled", "expired",
}

// Alert is a stored alert.
type Alert struct {
	ID          string    `json:"id"`
	Time        time.Time `json:"time"`
	ReceivedAt  time.Time `json:"received_at"`
	Cluster     string    `json:"cluster"`
	Node        string    `json:"node"`
	Rule        string    `json:"rule"`
	Priority    string    `json:"priority"`
	Source      string    `json:"source"`
	Output      string    `json:"output"`
	ContainerID string    `json:"container_id,omitempty"`
	Namespace   string    `json:"namespace,omitempty"`
	Pod         string    `json:"pod,omitempty"`
	PodUID      string    `json:"pod_uid,omitempty"`
	Binding     string    `json:"binding"`
	Recorded    bool      `json:"recorded,omitempty"`
	IncidentID  string    `json:"incident_id"`
	// Count is how many equal alerts there were in the incident, LastAt when the last
	// was received; all else is of the first.
	Count  int64     `json:"count"`
	LastAt time.Time `json:"last_at"`
	// Labels are those that the pod had when the alert came.
	Labels map[string]string `json:"labels,omitempty"`
	// Body is the alert as the agent sent it.
	Body json.RawMessage `json:"body"`
}

// Action is a decided action.
type Action struct {
	ID      string `json:"id"`
	Type    string `json:"type"`
	State   string `json:"state"`
	Cluster string `json:"cluster"`
	Node    string `json:"node"`
	// Target is action.Target's JSON, TargetName the same for a person.
	Target     json.RawMessage `json:"target"`
	TargetName string          `json:"target_name"`
	Params     json.RawMessage `json:"params"`
	Playbook   string          `json:"playbook"`
	Revision   string          `json:"revision"`
	Mode       string          `json:"mode"`
	Reason     string          `json:"reason"`
	RefusedBy  string          `json:"refused_by,omitempty"`
	Note       string          `json:"note,omitempty"`
	Attempts   int             `json:"attempts"`
	// Recorded says that the alert is about a recording.
	Recorded   bool       `json:"recorded,omitempty"`
	AlertID    string     `json:"alert_id"`
	Rule       string     `json:"rule"`
	PlannedAt  time.Time  `json:"planned_at"`
	ExecutedAt *time.Time `json:"executed_at,omitempty"`
	VerifiedAt *time.Time `json:"verified_at,omitempty"`
	// LiftAt is when the effect is to be lifted, LiftedAt when it was, LiftBy who asked
	// for it (empty: its time was over), LiftReason why, LiftNote how it went.
	LiftAt     *time.Time `json:"lift_at,omitempty"`
	LiftedAt   *time.Time `json:"lifted_at,omitempty"`
	LiftBy     string     `json:"lift_by,omitempty"`
	LiftReason string     `json:"lift_reason,omitempty"`
	LiftNote   string     `json:"lift_note,omitempty"`
	// Labels are those that the alert's pod had when the alert came.
	Labels map[string]string `json:"labels,omitempty"`
	// Before, After and Evidence are what the action found, left and gathered; only one
	// action alone is shown with them. What was too large is an object with cut, bytes,
	// sha256 and how it began.
	Before   json.RawMessage `json:"before,omitempty"`
	After    json.RawMessage `json:"after,omitempty"`
	Evidence json.RawMessage `json:"evidence,omitempty"`
}

// DecisionStates are the states of a decision.
var DecisionStates = []string{"decided", "refused"}

// Decision is what a playbook answered to an alert.
type Decision struct {
	ID       string `json:"id"`
	AlertID  string `json:"alert_id"`
	Cluster  string `json:"cluster"`
	Rule     string `json:"rule"`
	Playbook string `json:"playbook"`
	Revision string `json:"revision"`
	Mode     string `json:"mode"`
	// State is decided, or refused if the answer had a wrong shape or came too late;
	// Reason says which.
	State  string `json:"state"`
	Reason string `json:"reason,omitempty"`
	// Count is how many equal alerts got this answer.
	Count     int64     `json:"count"`
	DecidedAt time.Time `json:"decided_at"`
	// Result is the answer: the actions that the playbook proposed.
	Result json.RawMessage `json:"result,omitempty"`
	// Input is what the playbook was asked, in an answer about this one alone.
	Input json.RawMessage `json:"input,omitempty"`
}

// Timeline is how long each stage of one action took, from the system call on.
type Timeline struct {
	Action      string `json:"action"`
	Type        string `json:"type"`
	State       string `json:"state"`
	Alert       string `json:"alert"`
	Rule        string `json:"rule"`
	TargetName  string `json:"target_name"`
	ContainerID string `json:"container_id,omitempty"`
	Recorded    bool   `json:"recorded,omitempty"`
	// Stages are syscall, alert, received, decided, executed, verified, audited, in
	// this order; a stage that has not come is left out.
	Stages   []Stage `json:"stages"`
	Verified bool    `json:"verified"`
}

// Stage is one stage; NS counts nanoseconds since the system call returned.
type Stage struct {
	Name string    `json:"name"`
	At   time.Time `json:"at"`
	NS   int64     `json:"ns"`
}

// AuditEntry is one entry of the chained record.
type AuditEntry struct {
	Cluster  string    `json:"cluster"`
	Seq      int64     `json:"seq"`
	At       time.Time `json:"at"`
	Kind     string    `json:"kind"`
	Actor    string    `json:"actor"`
	Result   string    `json:"result"`
	AlertID  string    `json:"alert_id,omitempty"`
	ActionID string    `json:"action_id,omitempty"`
	// IncidentID is the incident's, if it is about one.
	IncidentID string `json:"incident_id,omitempty"`
	// Type is the action's; Playbook and Revision decided, by an alert of Rule on Node.
	Type     string `json:"type,omitempty"`
	Playbook string `json:"playbook,omitempty"`
	Revision string `json:"revision,omitempty"`
	Rule     string `json:"rule,omitempty"`
	Node     string `json:"node,omitempty"`
	// Target is what it is about.
	Target *AuditTarget `json:"target,omitempty"`
	// Note, Reason and Params stand beside the body, which has salted digests of them;
	// empty once they were erased.
	Note   string          `json:"note,omitempty"`
	Reason string          `json:"reason,omitempty"`
	Params json.RawMessage `json:"params,omitempty"`
	// Body is the exact JSON that is hashed; Prev and Hash are hexadecimal.
	Body json.RawMessage `json:"body"`
	Prev string          `json:"prev"`
	Hash string          `json:"hash"`
}

// Verification is the answer to "did anybody change the record".
type Verification struct {
	OK bool `json:"ok"`
	// Entries is how many were read in all chains, Chains how each did.
	Entries int64               `json:"entries"`
	Chains  []ChainVerification `json:"chains"`
}

// ChainVerification is one cluster's part of a Verification.
type ChainVerification struct {
	Cluster string `json:"cluster"`
	OK      bool   `json:"ok"`
	Entries int64  `json:"entries"`
	Head    string `json:"head"`
	// First is the first entry that is kept; Signed the last one that a checkpoint
	// vouches for, 0 for none; Erased how many values were erased.
	First  int64 `json:"first"`
	Signed int64 `json:"signed"`
	Erased int64 `json:"erased"`
	// BadSeq and Reason name the first entry that does not fit.
	BadSeq int64  `json:"bad_seq,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// VerificationProgress is one line of a verification that is still running.
type VerificationProgress struct {
	// Read is how many entries were read so far.
	Read int64 `json:"read"`
}

// Redaction erases one value of one entry of the record, for good.
type Redaction struct {
	Cluster string `json:"cluster"`
	Seq     int64  `json:"seq"`
	// Field is note, reason or params.
	Field  string `json:"field"`
	Reason string `json:"reason"`
}

// EventsStatus counts this replica's readers of the event stream.
type EventsStatus struct {
	Subscribers int `json:"subscribers"`
	// Dropped counts readers that were too slow and were sent away, Refused those
	// that came when all places were taken, both since the start.
	Dropped uint64 `json:"dropped"`
	Refused uint64 `json:"refused"`
}

// Names of the events in the stream. The data of alert, action and audit are
// Alert, Action and AuditEntry: always the object's present state, so that an
// event which comes twice does no harm.
const (
	// EventReady comes first: what is committed from now on will be told.
	EventReady = "ready"
	// EventReset says that too much happened to tell it: read the lists again.
	EventReset  = "reset"
	EventAlert  = "alert"
	EventAction = "action"
	EventAudit  = "audit"
)

// KillSwitch stops every effect while it is on, or those of its scope.
type KillSwitch struct {
	On bool `json:"on"`
	// Scope is all, cluster or playbook, Name whose; a missing scope means all.
	Scope  string `json:"scope,omitempty"`
	Name   string `json:"name,omitempty"`
	Reason string `json:"reason,omitempty"`
	// Actor turned it on, at At; both are missing if that was done by hand.
	Actor string     `json:"actor,omitempty"`
	At    *time.Time `json:"at,omitempty"`
	// Others, of the one for all alone, are the narrower ones that are on.
	Others []KillSwitch `json:"others,omitempty"`
}

// Approval is a waiting action's question to people, or what came of it.
type Approval struct {
	Action Action `json:"action"`
	// Rules are the guard's rules that ask.
	Rules  []string `json:"rules"`
	Reason string   `json:"reason"`
	// Needed different people must agree; Agreed have.
	Needed int `json:"needed"`
	Agreed int `json:"agreed"`
	// AskedAt is when it was asked, ExpiresAt until when it can be answered.
	AskedAt   time.Time `json:"asked_at"`
	ExpiresAt time.Time `json:"expires_at"`
	Votes     []Vote    `json:"votes"`
}

// Vote is one person's answer.
type Vote struct {
	Actor   string    `json:"actor"`
	Agrees  bool      `json:"agrees"`
	Comment string    `json:"comment,omitempty"`
	At      time.Time `json:"at"`
}

// Mode is what a playbook's mode is to be.
type Mode struct {
	// Mode is observe, approve, enforce, or default for what the playbook's METADATA says.
	Mode string `json:"mode"`
	// Namespaces and Labels are the canary: outside of them the playbook observes.
	Namespaces []string          `json:"namespaces,omitempty"`
	Labels     map[string]string `json:"labels,omitempty"`
	Reason     string            `json:"reason,omitempty"`
}

// Budget is one budget of the guard and how much of it is used now.
type Budget struct {
	// Scope is playbook, workload, namespace, node or cluster, Name whose in Cluster.
	Scope   string `json:"scope"`
	Cluster string `json:"cluster"`
	Name    string `json:"name,omitempty"`
	// Used counts different targets within the last WindowSeconds, Limit is the most.
	Used  int `json:"used"`
	Limit int `json:"limit"`
	// Left is how many more are allowed now.
	Left          int     `json:"left"`
	WindowSeconds float64 `json:"window_seconds"`
}

// Agent is a node's agent as its last heartbeat described it.
type Agent struct {
	Cluster string    `json:"cluster"`
	Node    string    `json:"node"`
	Version string    `json:"version"`
	Source  string    `json:"source"`
	Rules   int       `json:"rules"`
	SeenAt  time.Time `json:"seen_at"`
	// Silent says that it has not spoken for longer than it should; IncidentID is the
	// incident about that.
	Silent     bool   `json:"silent,omitempty"`
	IncidentID string `json:"incident_id,omitempty"`
	// Lost counts, by reason, what the agent had to drop since it started.
	Lost map[string]uint64 `json:"lost,omitempty"`
}

// PlaybookSource is a loaded playbook's text.
type PlaybookSource struct {
	Name     string `json:"name"`
	Revision string `json:"revision"`
	// Source says where it is from.
	Source string       `json:"source"`
	Files  []SourceFile `json:"files"`
}

// SourceFile is one file of a playbook.
type SourceFile struct {
	Path string `json:"path"`
	Text string `json:"text"`
}

// PlaybookStatus is one loaded playbook.
type PlaybookStatus struct {
	Name        string `json:"name"`
	Title       string `json:"title"`
	Description string `json:"description,omitempty"`
	// Mode is the one in force, Declared what its METADATA says.
	Mode     string `json:"mode"`
	Declared string `json:"declared,omitempty"`
	Revision string `json:"revision"`
	// Source is where it is from: a folder, a bundle, or "embedded:".
	Source string `json:"source,omitempty"`
	// SteppedBack is the guard's rule that made it step back to observe.
	SteppedBack string `json:"stepped_back,omitempty"`
	// Namespaces and Labels are the canary: outside of them the playbook observes.
	Namespaces []string          `json:"namespaces,omitempty"`
	Labels     map[string]string `json:"labels,omitempty"`
	// ModeReason is why the mode is another one than the declared, ModeActor and ModeAt
	// who set it, and when.
	ModeReason string     `json:"mode_reason,omitempty"`
	ModeActor  string     `json:"mode_actor,omitempty"`
	ModeAt     *time.Time `json:"mode_at,omitempty"`
}

// Problem is an error's body (RFC 9457).
type Problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	// Code is stable and for programs.
	Code   string `json:"code"`
	Detail string `json:"detail,omitempty"`
}
