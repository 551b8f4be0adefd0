// Package alert is the contract between the node agent and the responder: the
// alert itself, its JSON, and the subjects it travels on.
//
// The top-level keys are Falco's, so that whatever reads Falco's alerts reads
// ours. What Falco has no place for stands under "riposte". The package uses the
// standard library alone, because both halves of Riposte import it.
package alert

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Schema is the version of the "riposte" part that this package writes.
const Schema = 1

// MaxBytes bounds one alert's JSON. A larger message is refused, unread.
const MaxBytes = 256 << 10

// Alert is one firing of one rule.
type Alert struct {
	// UUID is a UUIDv7, made by the agent. Falco's alerts have none.
	UUID string
	// Time is the event's time, nanoseconds kept.
	Time time.Time
	Rule string
	// Priority is one of Falco's eight.
	Priority Priority
	// Source is the event source, "syscall" for the kernel's events.
	Source   string
	Hostname string
	// Output is the rule's formatted message, Falco's time and priority prefix included.
	Output string
	Tags   []string
	// OutputFields holds one typed value for each field of the output: string, bool,
	// json.Number or integer, nil for a missing value, or a list of these.
	OutputFields map[string]any
	// Riposte is nil in an alert that Falco wrote.
	Riposte *Riposte
	// Extra keeps the top-level keys that this version does not know.
	Extra map[string]json.RawMessage
}

// Riposte is what an alert of ours carries beyond Falco's keys.
type Riposte struct {
	Schema  int    `json:"schema"`
	Cluster string `json:"cluster"`
	Node    string `json:"node"`
	// BootID is a random UUID made at each start of the agent process.
	BootID string `json:"boot_id"`
	// Seq counts this agent process's alerts from 1 without gaps.
	Seq uint64 `json:"seq"`
	// KernelTimeNS is when the system call returned, Unix nanoseconds.
	KernelTimeNS int64 `json:"kernel_time_ns"`
	// AlertTimeNS is when the agent made the alert, Unix nanoseconds.
	AlertTimeNS int64 `json:"alert_time_ns"`
	// Ruleset is the SHA-256 of the loaded rules, as hexadecimal.
	Ruleset string `json:"ruleset"`
	// Recorded marks an alert about a replayed recording: nothing may be done about it.
	Recorded bool `json:"recorded,omitempty"`
	// Intake is the identity that an alert of Falco's came from over the responder's
	// HTTP intake, which made this part. An agent's alert never has it.
	Intake    string     `json:"intake,omitempty"`
	Process   *Process   `json:"process,omitempty"`
	Container *Container `json:"container,omitempty"`
	Pod       *Pod       `json:"pod,omitempty"`
	// Contained is what the agent did at once, nil for nothing.
	Contained *Contained `json:"contained,omitempty"`
}

// Contained says that the agent holds the container already, before anybody has
// decided: until the lease ends, or an order confirms or lifts it.
type Contained struct {
	// Kind is "freeze" or "cut".
	Kind string `json:"kind"`
	// AtNS is when the hold began, Unix nanoseconds: another alert may have caused it.
	AtNS int64 `json:"at_ns"`
	// LeaseNS is how long it lasts from this alert on, in nanoseconds.
	LeaseNS  int64  `json:"lease_ns"`
	Playbook string `json:"playbook"`
}

// Process identifies the process that made the call.
type Process struct {
	PID int32 `json:"pid"`
	// StartNS is the process's start, nanoseconds since the machine's boot.
	StartNS uint64   `json:"start_ns"`
	Name    string   `json:"name"`
	Exe     string   `json:"exe"`
	ExePath string   `json:"exe_path"`
	Args    []string `json:"args,omitempty"`
	UID     uint32   `json:"uid"`
	// Ancestors are the names of the parents, nearest first.
	Ancestors []string `json:"ancestors,omitempty"`
}

// Container identifies the container, nil for the host.
type Container struct {
	// ID is the runtime's full identifier; Falco's container.id is its first 12 characters.
	ID    string `json:"id"`
	Name  string `json:"name,omitempty"`
	Image string `json:"image,omitempty"`
	// MetadataMissing says that the runtime had not answered when the rules looked at
	// the event: what they saw of the container was its id alone.
	MetadataMissing bool `json:"metadata_missing,omitempty"`
	// CgroupID is the inode of the container's directory in the cgroup v2 tree.
	CgroupID uint64 `json:"cgroup_id"`
	// StartNS is the start of the first process that the agent saw in the container,
	// nanoseconds since the machine's boot.
	StartNS uint64 `json:"start_ns"`
}

// Pod identifies the Kubernetes pod, as far as the agent knows it.
type Pod struct {
	Namespace string            `json:"namespace,omitempty"`
	Name      string            `json:"name,omitempty"`
	UID       string            `json:"uid"`
	Labels    map[string]string `json:"labels,omitempty"`
	// Owner is the controller as "Kind/name", empty for a standalone pod.
	Owner string `json:"owner,omitempty"`
}

// wire fixes the order of the keys: alphabetical, as Falco prints them.
type wire struct {
	Hostname     string         `json:"hostname"`
	Output       string         `json:"output"`
	OutputFields map[string]any `json:"output_fields"`
	Priority     Priority       `json:"priority"`
	Riposte      *Riposte       `json:"riposte,omitempty"`
	Rule         string         `json:"rule"`
	Source       string         `json:"source"`
	Tags         []string       `json:"tags"`
	Time         string         `json:"time"`
	UUID         string         `json:"uuid,omitempty"`
}

var known = []string{"hostname", "output", "output_fields", "priority", "riposte", "rule", "source", "tags", "time", "uuid"}

// MarshalJSON writes the whole alert, unknown keys included.
func (a *Alert) MarshalJSON() ([]byte, error) {
	b, err := encode(a.wire())
	if err != nil || len(a.Extra) == 0 {
		return b, err
	}
	all := map[string]json.RawMessage{}
	if err := json.Unmarshal(b, &all); err != nil {
		return nil, err
	}
	for k, v := range a.Extra {
		if _, taken := all[k]; !taken {
			all[k] = v
		}
	}
	return encode(all)
}

// FalcoJSON writes the alert with Falco's keys alone, as Falco's own outputs do.
func (a *Alert) FalcoJSON() ([]byte, error) {
	w := a.wire()
	w.UUID, w.Riposte = "", nil
	return encode(w)
}

// encode leaves <, > and & as they are: command lines are full of them, and
// Falco does not escape them either.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

func (a *Alert) wire() wire {
	w := wire{
		Hostname: a.Hostname, Output: a.Output, OutputFields: a.OutputFields, Priority: a.Priority, Riposte: a.Riposte,
		Rule: a.Rule, Source: a.Source, Tags: a.Tags, Time: a.Time.UTC().Format("2006-01-02T15:04:05.000000000Z"), UUID: a.UUID,
	}
	if w.OutputFields == nil {
		w.OutputFields = map[string]any{}
	}
	if w.Tags == nil {
		w.Tags = []string{}
	}
	return w
}

// UnmarshalJSON reads an alert of ours or of Falco's. Numbers in OutputFields
// are kept as json.Number, because Falco's nanoseconds exceed a float64.
func (a *Alert) UnmarshalJSON(b []byte) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	var w wire
	if err := dec.Decode(&w); err != nil {
		return err
	}
	t, err := time.Parse(time.RFC3339Nano, w.Time)
	if err != nil {
		return fmt.Errorf("time: %q is not RFC 3339", w.Time)
	}
	all := map[string]json.RawMessage{}
	if err := json.Unmarshal(b, &all); err != nil {
		return err
	}
	for _, k := range known {
		delete(all, k)
	}
	if len(all) == 0 {
		all = nil
	}
	*a = Alert{
		UUID: w.UUID, Time: t, Rule: w.Rule, Priority: w.Priority, Source: w.Source, Hostname: w.Hostname, Output: w.Output,
		Tags: w.Tags, OutputFields: w.OutputFields, Riposte: w.Riposte, Extra: all,
	}
	return nil
}

// Validate says what a responder cannot do without.
func (a *Alert) Validate() error {
	switch {
	case a.Rule == "":
		return errors.New("rule is empty")
	case a.Time.IsZero():
		return errors.New("time is zero")
	case a.Riposte == nil:
		return nil
	case a.Riposte.Schema != Schema:
		return fmt.Errorf("riposte.schema is %d, this version reads %d", a.Riposte.Schema, Schema)
	case a.UUID == "":
		return errors.New("uuid is empty")
	case a.Riposte.Cluster == "" || a.Riposte.Node == "":
		return errors.New("riposte.cluster or riposte.node is empty")
	case a.Riposte.BootID == "" || a.Riposte.Seq == 0:
		return errors.New("riposte.boot_id or riposte.seq is missing")
	}
	return nil
}
