package audit

import (
	"encoding/json"
	"time"
)

// Schema is the version of the body's JSON. Entries of version 1 are verified too.
const Schema = 2

// Bounds of what one entry keeps. Longer text is cut and says so; longer
// parameters are replaced by their SHA-256.
const (
	maxText   = 4 << 10
	maxName   = 256
	maxParams = 16 << 10
	maxLabels = 64
)

// Entry is one thing that happened. Cluster, Kind and Actor are needed, all
// else is given as far as it is known.
type Entry struct {
	// Cluster chooses the chain.
	Cluster string
	// Namespace is whose readers may see the entry: that of the alert and the action it is
	// about. Empty: only who may see every namespace of the cluster.
	Namespace string
	Kind      Kind
	// At is when it happened; zero means now.
	At time.Time
	// Actor is who did it: see Playbook, User and System.
	Actor string
	// Result is how it ended, one stable word such as an action's state; empty where nothing ends.
	Result string
	// Note is a sentence for a person. It is sealed, see the package's documentation.
	Note string
	Why  Why
	What What
	When When
}

// Playbook names a playbook, at the revision that decided, as an Actor.
func Playbook(name, revision string) string { return playbookActor + name + "@" + revision }

const playbookActor = "playbook:"

// User names a person or token as an Actor.
func User(name string) string { return "user:" + name }

// System names a component of the responder as an Actor, for instance "execute".
func System(component string) string { return "system:" + component }

// Why is the cause.
type Why struct {
	// AlertID and IncidentID are UUIDs.
	AlertID    string
	IncidentID string
	Rule       string
	// Playbook and Revision are the ones that decided; those of the actor if empty.
	Playbook, Revision string
	// Reason is sealed: it may quote a command line.
	Reason string
}

// What is the effect, wanted or caused.
type What struct {
	// ActionID is a UUID.
	ActionID string
	// Type is the action's type, for instance "delete_pod".
	Type string
	// Object is the target's whole identity (action.Target.Identity), UID the part
	// of it that tells it from an object of the same name.
	Object string
	UID    string
	// Kind, Namespace and Name are the target's, Labels those it had then, Node is
	// where it is or where the alert is from.
	Kind, Namespace, Name, Node string
	Labels                      map[string]string
	// Params is sealed: it may hold what an alert said.
	Params json.RawMessage
	// Attempt counts from 1.
	Attempt int
}

// When is the event's way so far, each in Unix nanoseconds, 0 for not yet.
type When struct {
	KernelNS   int64
	AgentNS    int64
	ReceivedNS int64
	DecidedNS  int64
	ExecutedNS int64
	VerifiedNS int64
}
