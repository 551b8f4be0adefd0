// Package action defines what the responder can do: one Action per kind of
// effect, each in a package below this one. Actions know neither the store nor
// each other; package execute runs them.
package action

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Target is the one object that an action is about. Identity decides: an
// object of the same name with another UID, or a container of the same id with
// another cgroup, is another object.
type Target struct {
	// Kind is one of the kinds below.
	Kind    string `json:"kind"`
	Cluster string `json:"cluster"`
	// Node is where a pod, container or process runs.
	Node string `json:"node,omitempty"`
	// Resource says what a workload or object is, as group/version/resource, such as
	// apps/v1/deployments or v1/configmaps.
	Resource string `json:"resource,omitempty"`
	// Namespace, Name and UID identify a Kubernetes object; a node has no namespace.
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name,omitempty"`
	UID       string `json:"uid,omitempty"`
	// ContainerID, CgroupID and StartNS identify a container on its node, as in order.Target.
	ContainerID string `json:"container_id,omitempty"`
	CgroupID    uint64 `json:"cgroup_id,omitempty"`
	StartNS     uint64 `json:"start_ns,omitempty"`
	// PID and ProcessNS identify a process on its node: ProcessNS is its start since boot.
	PID       int32  `json:"pid,omitempty"`
	ProcessNS uint64 `json:"process_ns,omitempty"`
}

// Kinds of targets.
const (
	KindPod       = "pod"
	KindContainer = "container"
	KindProcess   = "process"
	KindNode      = "node"
	// KindWorkload is a pod's controller, KindObject any other namespaced object; a
	// namespace itself counts as being in itself.
	KindWorkload = "workload"
	KindObject   = "object"
)

// Identity is a stable text that is equal for equal objects only.
func (t Target) Identity() string {
	switch t.Kind {
	case KindContainer:
		return fmt.Sprintf("%s/container/%s/%s/%d/%d", t.Cluster, t.Node, t.ContainerID, t.CgroupID, t.StartNS)
	case KindProcess:
		return fmt.Sprintf("%s/process/%s/%d/%d", t.Cluster, t.Node, t.PID, t.ProcessNS)
	case KindWorkload, KindObject:
		return fmt.Sprintf("%s/%s/%s/%s/%s/%s", t.Cluster, t.Kind, t.Resource, t.Namespace, t.Name, t.UID)
	}
	return fmt.Sprintf("%s/%s/%s/%s/%s", t.Cluster, t.Kind, t.Namespace, t.Name, t.UID)
}

// String names the target for a person.
func (t Target) String() string {
	switch t.Kind {
	case KindContainer:
		id := t.ContainerID
		if len(id) > 12 {
			id = id[:12]
		}
		return fmt.Sprintf("container %s on %s", id, t.Node)
	case KindProcess:
		return fmt.Sprintf("process %d on %s", t.PID, t.Node)
	case KindNode:
		return fmt.Sprintf("node %s (%s)", t.Name, t.UID)
	case KindWorkload, KindObject:
		return fmt.Sprintf("%s %s/%s (%s)", t.Resource, t.Namespace, t.Name, t.UID)
	}
	return fmt.Sprintf("%s %s/%s (%s)", t.Kind, t.Namespace, t.Name, t.UID)
}

// Request is one decided action.
type Request struct {
	// ID is the action's id; it is the same at every attempt.
	ID      string
	Type    string
	Target  Target
	Params  json.RawMessage
	Reason  string
	AlertID string
	// Attempt counts from 1; above 1 an earlier attempt may have had its effect.
	Attempt int
	Expires time.Time
	// Before is what Result.Before was, for Undo.
	Before json.RawMessage
}

// Result is what an attempt achieved.
type Result struct {
	// Note says in a sentence what happened, for instance that the object was already gone.
	Note string
	// ExecutedAt is when the effect's request had been taken; zero means now.
	ExecutedAt time.Time
	// VerifiedAt is when the effect was seen; zero if it was not yet.
	VerifiedAt time.Time
	// Before is what Undo needs to know of how things were, After how they are; without
	// secrets, for both are recorded. Evidence is what an action gathered.
	Before, After, Evidence json.RawMessage
}

// Stage orders the actions of one decision: an action waits until those of earlier
// stages have ended.
type Stage uint8

// The stages. Evidence comes before what destroys it; of what contains and what is
// told to people nothing waits.
const (
	Contain Stage = iota
	Gather
	Destroy
)

// Param describes one key of an action's params.
type Param struct {
	Name string
	// Type is text, number, bool, duration, list or map.
	Type     string
	Required bool
	// Default is how it is written, empty for none.
	Default string
	Desc    string
}

// Spec describes an Action to people, to the chart's RBAC and to the guard.
type Spec struct {
	// Type is the name that playbooks use.
	Type    string
	Summary string
	// Kind is the Kind of its targets; Also are further ones.
	Kind string
	Also []string
	// Permissions are the Kubernetes verbs it needs, as ParsePermission reads them; empty for none.
	Permissions []string
	// Params are the keys of its params, Example is a whole object.
	Params  []Param
	Example string
	// Stage orders it among the others of its decision.
	Stage Stage
	// Momentary marks what leaves nothing behind in what it acts on: it tells or gathers.
	// It is done once for each incident, playbook and target; anything else once, until
	// it is lifted.
	Momentary bool
	// NodeWide marks what concerns every pod of a node: two people must agree.
	NodeWide bool
	// Slow marks what gathers evidence or otherwise takes seconds: it is executed in
	// a queue of its own, so that it never delays a containment.
	Slow bool
	// Patient marks what others may hold up for long, such as a disruption budget: it is
	// tried until it expires, and not only so many times.
	Patient bool
}

// Kinds are the kinds of targets that the action takes.
func (s Spec) Kinds() []string { return append([]string{s.Kind}, s.Also...) }

// Action is one kind of effect.
type Action interface {
	Spec() Spec
	// Check refuses a target or params that the action could not work with, before
	// anything is planned. Its error names the key.
	Check(target Target, params json.RawMessage) error
	// Execute causes the effect, or finds that it is already there; it is safe to
	// call again after a crash. An error that is no *Error counts as Retryable.
	Execute(ctx context.Context, r Request) (Result, error)
	// Verify looks whether the effect is there and returns when it was seen. It
	// waits until ctx ends, if it must, and returns ctx's error then.
	Verify(ctx context.Context, r Request) (time.Time, error)
}

// Previewer is an Action that can say what it would change, and changes nothing.
type Previewer interface {
	Action
	// Preview returns a unified diff of the objects that Execute would change, or a
	// sentence where there is no object; empty if nothing would change.
	Preview(ctx context.Context, r Request) (string, error)
}

// Undoer is an Action whose effect can be lifted, when its time is over or a person
// asks for it.
type Undoer interface {
	Action
	// Undo brings back what was, as r.Before says, where nobody else changed it since:
	// what another one changed stays, and the note says so. Like Execute it is safe to
	// repeat, and an effect that is gone already is a success.
	Undo(ctx context.Context, r Request) (Result, error)
}

// Leaser is an Undoer whose effect ends by itself after a lease, unless it is renewed
// by calling Execute again.
type Leaser interface {
	Undoer
	// Lease is how long the effect lasts from each Execute on. An error is about params.
	Lease(params json.RawMessage) (time.Duration, error)
}

// Undoable says whether there is an action of this type that can be lifted.
func (r Registry) Undoable(kind string) bool {
	_, ok := r[kind].(Undoer)
	return ok
}

// Momentary says whether there is an action of this type that leaves nothing behind.
func (r Registry) Momentary(kind string) bool {
	a, ok := r[kind]
	return ok && a.Spec().Momentary
}

// Lease is how long an action's effect lasts that ends by itself; false if there is no
// such action, or the params are wrong.
func (r Registry) Lease(kind string, params json.RawMessage) (time.Duration, bool) {
	l, ok := r[kind].(Leaser)
	if !ok {
		return 0, false
	}
	lease, err := l.Lease(params)
	return lease, err == nil
}

// ErrorKind says what follows from an error.
type ErrorKind string

// Kinds of errors.
const (
	// Retryable: trying again may work.
	Retryable ErrorKind = "retryable"
	// Permanent: trying again cannot work.
	Permanent ErrorKind = "permanent"
	// Refused: the other side said no on purpose.
	Refused ErrorKind = "refused"
)

// Error is an action's error with its kind.
type Error struct {
	Kind ErrorKind
	Err  error
}

func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf returns an error's kind.
func KindOf(err error) ErrorKind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Retryable
}

// Registry finds actions by type.
type Registry map[string]Action

// NewRegistry panics on two actions of one type: that is a programming error.
func NewRegistry(actions ...Action) Registry {
	r := Registry{}
	for _, a := range actions {
		t := a.Spec().Type
		if _, twice := r[t]; twice {
			panic("two actions of type " + t)
		}
		r[t] = a
	}
	return r
}

// Check refuses an unknown type and whatever the action itself refuses.
func (r Registry) Check(kind string, target Target, params json.RawMessage) error {
	a, ok := r[kind]
	if !ok {
		return fmt.Errorf("type: no action is called %q", kind)
	}
	if kinds := a.Spec().Kinds(); !slices.Contains(kinds, target.Kind) {
		return fmt.Errorf("target.kind: %s acts on a %s, not on a %q", kind, strings.Join(kinds, " or "), target.Kind)
	}
	return a.Check(target, params)
}
