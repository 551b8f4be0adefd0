package rules

import (
	"time"

	"riposte/agent/alert"
	"riposte/agent/event"
	"riposte/agent/rules/compile"
	"riposte/agent/rules/syntax"
)

// Rule is one loaded rule. It must not be changed.
type Rule struct {
	Name, Desc string
	// Source is the kind of events, "syscall".
	Source   string
	Priority alert.Priority
	// Tags are in alphabetical order.
	Tags []string
	// Enabled says that the rule can fire: neither its file nor the options turn it off.
	Enabled bool
	// Capture asks for a recording of the events around an alert, CaptureDuration
	// for how long, 0 for the default.
	Capture         bool
	CaptureDuration time.Duration
	// Condition and Output are the rule's texts as merged, before macros and lists.
	Condition, Output string
	// Types are the captured events that the condition can be true for, EventTypes
	// the names of all such events, captured or not.
	Types      []event.Type
	EventTypes []string
	// File and Line are where the rule was defined first.
	File string
	Line int

	program *compile.Program
	output  output
	// extra are the output fields that stand in no output.
	extra   []extra
	details details
	// tree is the condition with exceptions and lists in place.
	tree syntax.Node
}

// Match evaluates the rule's condition alone.
func (r *Rule) Match(e *event.Event) bool { return r.program.Match(e) }

// Format writes the rule's message for an event, without time and priority, and
// the values of all fields in it and of the extra fields. The message is one line of valid UTF-8 in
// which control characters are escaped: most values are chosen by whoever runs
// the process, and must not be able to forge a line.
func (r *Rule) Format(e *event.Event) (message string, fields map[string]any) {
	return r.format(e)
}
