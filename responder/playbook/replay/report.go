package replay

import (
	"time"

	"riposte/responder/playbook"
)

// Report is what a replay found.
type Report struct {
	// From and To are the receipts of the first and the last alert.
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	// Alerts is how many lines were replayed, Equal how many alerts they stand for.
	Alerts int64 `json:"alerts"`
	Equal  int64 `json:"equal"`
	// Rebuilt is how many of the lines no playbook was asked about.
	Rebuilt int64 `json:"rebuilt"`
	// Unreadable lines were left out; Errors are the first ones'.
	Unreadable int64    `json:"unreadable"`
	Errors     []string `json:"errors,omitempty"`
	// TimedOut decisions had run out of time: they are not compared.
	TimedOut int64 `json:"timed_out"`
	// Decisions were compared.
	Decisions int64 `json:"decisions"`
	// NotCompared counts recorded decisions of other playbooks.
	NotCompared map[string]int64 `json:"not_compared,omitempty"`
	// Added, Removed and Changed count proposals. A decision that would be refused now
	// and had none counts as changed.
	Added   int64 `json:"added"`
	Removed int64 `json:"removed"`
	Changed int64 `json:"changed"`
	// Playbooks has each one's part, by name.
	Playbooks []PlaybookReport `json:"playbooks"`
	// Changes are the first of them; Untold is how many more there are.
	Changes []Change `json:"changes"`
	Untold  int64    `json:"untold"`
	// Before and After are what would have come of it.
	Before Outcome `json:"before"`
	After  Outcome `json:"after"`
	// Reordered decisions came so late that they were counted too late.
	Reordered int64 `json:"reordered,omitempty"`
	// Took is how long the replay ran; it is no part of what it found.
	Took time.Duration `json:"-"`
}

// PlaybookReport is one playbook's part in a Report.
type PlaybookReport struct {
	Name string `json:"name"`
	// Revisions and Modes are those before, in the order in which they came; Revision
	// and Mode those after, empty if it would not be asked any more.
	Revisions []string        `json:"revisions"`
	Modes     []playbook.Mode `json:"modes"`
	Revision  string          `json:"revision"`
	Mode      playbook.Mode   `json:"mode"`
	Decisions int64           `json:"decisions"`
	Added     int64           `json:"added"`
	Removed   int64           `json:"removed"`
	Changed   int64           `json:"changed"`
}

// Change is one difference.
type Change struct {
	// Kind is added, removed, changed or refused.
	Kind     string    `json:"kind"`
	Alert    string    `json:"alert"`
	At       time.Time `json:"at"`
	Rule     string    `json:"rule"`
	Playbook string    `json:"playbook"`
	Action   string    `json:"action,omitempty"`
	Target   string    `json:"target,omitempty"`
	// Before and After are the proposals, nil for none.
	Before *playbook.Proposal `json:"before,omitempty"`
	After  *playbook.Proposal `json:"after,omitempty"`
	// Why is a refusal's reason.
	Why string `json:"why,omitempty"`
}

// Outcome is what the guard would have made of the proposals.
type Outcome struct {
	// Proposed is how many there were. Allowed would have been done, Asked is what people
	// would have been asked about, Joined had or waited for the same effect already.
	Proposed int64 `json:"proposed"`
	Allowed  int64 `json:"allowed"`
	Asked    int64 `json:"asked"`
	Observed int64 `json:"observed"`
	Refused  int64 `json:"refused"`
	Joined   int64 `json:"joined"`
	// Rules counts how often each rule of the guard spoke.
	Rules map[string]int64 `json:"rules"`
	// Limits are the guard's limits that were reached, in the order in which they were.
	Limits []Reached `json:"limits"`
	// Pods would have been deleted; PodsDeleted is how many, of which Pods are the first.
	Pods        []Death `json:"pods"`
	PodsDeleted int     `json:"pods_deleted"`
	// Contain is how long it would have taken from the system call to the effect.
	Contain Times `json:"contain"`
}

// Reached is one limit of the guard that was reached.
type Reached struct {
	Rule   string    `json:"rule"`
	Reason string    `json:"reason"`
	First  time.Time `json:"first"`
	Times  int64     `json:"times"`
}

// Death is a pod that would have been deleted.
type Death struct {
	Namespace string    `json:"namespace"`
	Name      string    `json:"name"`
	UID       string    `json:"uid"`
	Action    string    `json:"action"`
	Playbook  string    `json:"playbook"`
	At        time.Time `json:"at"`
}

// Times are of effects from the system call on: as recorded where it was executed,
// else the time until the decision and the median of how long such an action took.
type Times struct {
	Effects int64         `json:"effects"`
	Median  time.Duration `json:"median_ns"`
	P90     time.Duration `json:"p90_ns"`
	Longest time.Duration `json:"longest_ns"`
	// Unknown effects are of a type that was never executed, or of an alert without the
	// kernel's time.
	Unknown int64 `json:"unknown"`
}

// Bounds are how much may change; a negative number is no bound.
type Bounds struct{ Added, Removed, Changed, DeletedPods int64 }

// Exceeded names the bounds that the report is beyond.
func (b Bounds) Exceeded(r *Report) []string {
	var out []string
	for _, x := range []struct {
		name       string
		got, limit int64
	}{
		{"added", r.Added, b.Added},
		{"removed", r.Removed, b.Removed},
		{"changed", r.Changed, b.Changed},
		{"deleted pods", int64(r.After.PodsDeleted), b.DeletedPods},
	} {
		if x.limit >= 0 && x.got > x.limit {
			out = append(out, sprint(x.name, x.got, x.limit))
		}
	}
	return out
}
