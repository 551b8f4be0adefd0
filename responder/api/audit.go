package api

import (
	"encoding/json"
	"time"
)

// AuditTarget is the object that an entry is about.
type AuditTarget struct {
	// Kind is pod, container, process, node, workload or object.
	Kind      string `json:"kind,omitempty"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name,omitempty"`
	UID       string `json:"uid,omitempty"`
	// Labels are those that it had then.
	Labels map[string]string `json:"labels,omitempty"`
}

// AuditCounts are the names that the record's entries are counted by: the day in UTC,
// the cluster, the kind of entry, the target's namespace, the playbook, the action's
// type and the result.
var AuditCounts = []string{"day", "cluster", "kind", "namespace", "playbook", "action", "result"}

// AuditCount is a number of entries of the record. Of its other fields those are there
// that were counted by; one is empty where the entries have none.
type AuditCount struct {
	// Day is a date such as 2006-01-02.
	Day       *string `json:"day,omitempty"`
	Cluster   *string `json:"cluster,omitempty"`
	Kind      *string `json:"kind,omitempty"`
	Namespace *string `json:"namespace,omitempty"`
	Playbook  *string `json:"playbook,omitempty"`
	Action    *string `json:"action,omitempty"`
	Result    *string `json:"result,omitempty"`
	Entries   int64   `json:"entries"`
}

// Field is the value of one of AuditCounts, empty if it was not counted by.
func (c AuditCount) Field(name string) string {
	v := map[string]*string{
		"day": c.Day, "cluster": c.Cluster, "kind": c.Kind, "namespace": c.Namespace, "playbook": c.Playbook, "action": c.Action, "result": c.Result,
	}[name]
	if v == nil {
		return ""
	}
	return *v
}

// Story is all that is known about an action, an alert or an entry of the record.
type Story struct {
	// Asked says what the id was of: action, alert or entry.
	Asked string `json:"asked"`
	// Alert is missing if there is none, or its month was dropped.
	Alert *Alert `json:"alert,omitempty"`
	// Decisions are the answers behind the actions: of an alert, all.
	Decisions []StoryDecision `json:"decisions"`
	Actions   []StoryAction   `json:"actions"`
	// Entries are the record's, the oldest first.
	Entries []AuditEntry `json:"entries"`
	// More says that there is more than was read.
	More bool `json:"more,omitempty"`
}

// StoryDecision is a playbook's answer, and why it was so.
type StoryDecision struct {
	Decision Decision `json:"decision"`
	// Rules are the playbook's rules "action" as they fired when the recorded input was
	// put to the same revision again; none if that is not kept any more, which Note says.
	Rules []StoryRule `json:"rules"`
	Note  string      `json:"note,omitempty"`
}

// StoryRule is a rule that fired.
type StoryRule struct {
	Rule string `json:"rule"`
	File string `json:"file"`
	Line int    `json:"line"`
	// Conditions are its expressions, as they were when it fired first.
	Conditions []StoryCondition `json:"conditions"`
}

// StoryCondition is an expression that held, with what it was about.
type StoryCondition struct {
	Line   int          `json:"line"`
	Text   string       `json:"text"`
	Values []StoryValue `json:"values,omitempty"`
}

// StoryValue is a variable or path with its value, both cut to 200 bytes.
type StoryValue struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// StoryAction is an action with all that was asked and done about it.
type StoryAction struct {
	// Action has what it found, left and gathered.
	Action   Action   `json:"action"`
	Timeline Timeline `json:"timeline"`
	// Guard is missing if the guard never saw the action.
	Guard *StoryGuard `json:"guard,omitempty"`
	// Approval is missing if nobody was asked.
	Approval *Approval `json:"approval,omitempty"`
	// Checks are commands that show how its target is now.
	Checks []string `json:"checks"`
}

// StoryGuard is what the guard knew when it judged.
type StoryGuard struct {
	// Effect is the guard's own JSON: the target as the cluster knew it, and what would
	// be done to it.
	Effect json.RawMessage `json:"effect"`
	// Counted are the budgets that it counts in.
	Counted []StoryCounted `json:"counted"`
}

// StoryCounted is one place in a budget.
type StoryCounted struct {
	// Scope is playbook, workload, namespace, node, cluster or target, Name whose, Subject
	// what is counted once.
	Scope   string    `json:"scope"`
	Name    string    `json:"name"`
	Subject string    `json:"subject"`
	At      time.Time `json:"at"`
}
