package publish

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"

	"riposte/agent/alert"
)

// Format is how alerts are printed.
type Format string

// Formats of an Encoding.
const (
	// Text is Falco's line: time, priority, message.
	Text Format = "text"
	// JSON is Falco's object, one a line.
	JSON Format = "json"
)

// ParseFormat reads a format's name.
func ParseFormat(s string) (Format, error) {
	if f := Format(s); f == Text || f == JSON {
		return f, nil
	}
	return "", fmt.Errorf("unknown output format %q: use text or json", s)
}

// Encoding says how an alert is written for Falco's outputs. The zero value
// writes text; with Format alone it is as Falco does by default.
type Encoding struct {
	Format Format
	// TimeISO writes the time before the message as ISO 8601 in UTC, not as local
	// time of day, and calls the output field of it evt.time.iso8601.
	TimeISO bool

	// These change the object alone. Message is the output without time and priority.
	Message                          bool
	OmitOutput, OmitFields, OmitTags bool
	// Riposte adds "uuid" and "riposte" to Falco's keys.
	Riposte bool
}

// isoTime is how Falco writes a time as ISO 8601.
const isoTime = "2006-01-02T15:04:05.000000000-0700"

// object fixes the order of the keys: alphabetical, as Falco prints them.
type object struct {
	Hostname string          `json:"hostname"`
	Message  *string         `json:"message,omitempty"`
	Output   *string         `json:"output,omitempty"`
	Fields   *map[string]any `json:"output_fields,omitempty"`
	Priority alert.Priority  `json:"priority"`
	Riposte  *alert.Riposte  `json:"riposte,omitempty"`
	Rule     string          `json:"rule"`
	Source   string          `json:"source"`
	Tags     *[]string       `json:"tags,omitempty"`
	Time     string          `json:"time"`
	UUID     string          `json:"uuid,omitempty"`
}

// Encode writes an alert on one line, for a Sink.
func (e Encoding) Encode(a *alert.Alert) (Message, error) {
	line, err := e.encode(a)
	if err != nil {
		return Message{}, fmt.Errorf("encode the alert of rule %q: %w", a.Rule, err)
	}
	return Message{Line: append(line, '\n'), Priority: a.Priority, Time: a.Time, JSON: e.Format == JSON}, nil
}

// encode writes an alert on one line, without its end.
func (e Encoding) encode(a *alert.Alert) ([]byte, error) {
	if e.Format != JSON {
		return []byte(Escape(e.output(a))), nil
	}
	o := object{
		Hostname: a.Hostname, Priority: a.Priority, Rule: a.Rule, Source: a.Source,
		Time: a.Time.UTC().Format("2006-01-02T15:04:05.000000000Z"),
	}
	if !e.OmitOutput {
		s := e.output(a)
		o.Output = &s
	}
	if e.Message {
		s := bareOutput(a)
		o.Message = &s
	}
	if !e.OmitFields {
		fields := e.fields(a)
		o.Fields = &fields
	}
	if !e.OmitTags {
		tags := a.Tags
		if tags == nil {
			tags = []string{}
		}
		o.Tags = &tags
	}
	if e.Riposte {
		o.UUID, o.Riposte = a.UUID, a.Riposte
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	// Command lines are full of <, > and &, and Falco does not escape them either.
	enc.SetEscapeHTML(false)
	if err := enc.Encode(o); err != nil {
		return nil, err
	}
	return escapeJSON(bytes.TrimSuffix(b.Bytes(), []byte("\n"))), nil
}

func (e Encoding) output(a *alert.Alert) string {
	if !e.TimeISO {
		return a.Output
	}
	return a.Time.UTC().Format(isoTime) + ": " + a.Priority.String() + " " + bareOutput(a)
}

// Output is an alert's output: its time of day, its priority and the rule's message.
func Output(at time.Time, p alert.Priority, message string) string {
	return at.Format("15:04:05.000000000") + ": " + p.String() + " " + message
}

// bareOutput is the output without its time and priority.
func bareOutput(a *alert.Alert) string {
	// The time has no ": " in it, so the first one ends it, whatever the message says.
	if _, after, ok := strings.Cut(a.Output, ": "+a.Priority.String()+" "); ok {
		return after
	}
	return a.Output
}

func (e Encoding) fields(a *alert.Alert) map[string]any {
	fields := a.OutputFields
	if fields == nil {
		fields = map[string]any{}
	}
	if at, ok := fields["evt.time"]; ok && e.TimeISO {
		fields = maps.Clone(fields)
		delete(fields, "evt.time")
		fields["evt.time.iso8601"] = at
	}
	return fields
}
