// Package playbook asks the playbooks: it loads Rego packages with their
// metadata, prepares one query for each, and evaluates those whose trigger fits
// an alert. A playbook proposes; what comes of a proposal is the guard's to say.
package playbook

import (
	"encoding/json"
	"time"

	"riposte/agent/alert"
)

// InputSchema is the version of Input.
const InputSchema = 1

// Input is what a playbook decides about: a projection, without environment
// values. playbooks/schemas/input.json describes its JSON.
type Input struct {
	Schema int          `json:"schema"`
	Alert  *alert.Alert `json:"alert"`
	// Binding says how far the responder itself could confirm what the alert names.
	Binding Binding `json:"binding"`
	Pod     *Pod    `json:"pod,omitempty"`
	// Workload is what the pod is a replica of, nil for none or where it is not known.
	Workload *Workload `json:"workload,omitempty"`
	// Namespace is the pod's, nil where it is not known.
	Namespace *Identified `json:"namespace,omitempty"`
	Node      Identified  `json:"node"`
	Cluster   Named       `json:"cluster"`
	Incident  *Incident   `json:"incident,omitempty"`
	// History is the latest actions on the same target, newest first, twenty at most.
	History []Past `json:"history"`
	// Neighbours are the other incidents with alerts of the same node within the last
	// ten minutes, those with the latest alerts first, twenty at most.
	Neighbours []Neighbour `json:"neighbours,omitempty"`
	Now        time.Time   `json:"now"`
}

// Binding is the responder's own check of an alert's pod.
type Binding string

// Bindings; see design decision 10 in ARCHITECTURE.md.
const (
	// None: the alert names no pod.
	None Binding = "none"
	// Bound: the pod's UID is known and on the reporting node.
	Bound Binding = "bound"
	// Unbound: the UID is not known; nothing may be done in Kubernetes.
	Unbound Binding = "unbound"
	// Forged: the pod is known to be elsewhere; nothing may be done at all.
	Forged Binding = "forged"
)

// Pod is the pod as the API server knows it.
type Pod struct {
	Namespace string            `json:"namespace"`
	Name      string            `json:"name"`
	UID       string            `json:"uid"`
	Node      string            `json:"node"`
	Labels    map[string]string `json:"labels,omitempty"`
	// Owner is the controller as "Kind/name", empty for a standalone pod.
	Owner string `json:"owner,omitempty"`
}

// Workload is the uppermost controller of a pod, as the API server knows it.
type Workload struct {
	// Resource is group/version/resource, such as apps/v1/deployments.
	Resource  string `json:"resource"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	UID       string `json:"uid"`
}

// Identified is a thing with the UID of its object in the API server, which is
// empty where it is not known.
type Identified struct {
	Name string `json:"name"`
	UID  string `json:"uid,omitempty"`
}

// Named is a thing of which only the name is given.
type Named struct {
	Name string `json:"name"`
}

// Incident is the incident that the alert joined.
type Incident struct {
	ID string `json:"id"`
	// Alerts counts this one too.
	Alerts int64 `json:"alerts"`
	// Priority is that of its most severe alert, by Falco's name.
	Priority string    `json:"priority,omitempty"`
	FirstAt  time.Time `json:"first_at"`
	// History is the latest actions of the incident, on whichever of its objects,
	// newest first, twenty at most.
	History []Past `json:"history,omitempty"`
}

// Neighbour is another incident with alerts of the same node.
type Neighbour struct {
	Incident string `json:"incident"`
	// About is what the incident's alerts have in common, see incident.Key.
	About string `json:"about"`
	// Priority is that of the most severe of the node's recent alerts in it.
	Priority string    `json:"priority"`
	LastAt   time.Time `json:"last_at"`
}

// Past is an earlier action on the same target.
type Past struct {
	Type     string    `json:"type"`
	State    string    `json:"state"`
	Playbook string    `json:"playbook"`
	At       time.Time `json:"at"`
}

// Mode is how far a playbook may go by itself.
type Mode string

// Modes of a playbook.
const (
	// Observe: what it would do is recorded, nothing is done.
	Observe Mode = "observe"
	// Approve: a person must agree.
	Approve Mode = "approve"
	// Enforce: it is done, if the guard lets it.
	Enforce Mode = "enforce"
)

// Decision is one playbook's answer to one input.
type Decision struct {
	Playbook string
	// Revision is the hash of the playbook with everything that it imports.
	Revision string
	Mode     Mode
	// Input is the exact JSON that was evaluated, Result the exact JSON that came back.
	Input, Result json.RawMessage
	Proposals     []Proposal
	// Refusal is set when the result was no good (wrong shape, too many actions, out
	// of time, a built-in's error): then there are no proposals.
	Refusal string
	// Late says that the refusal is the evaluation's deadline.
	Late bool
	// Began is when the evaluation began and Took how long it lasted. They are for figures
	// and traces: nothing that is decided or recorded depends on them.
	Began time.Time
	Took  time.Duration
}

// Proposal is one action that a playbook asks for.
type Proposal struct {
	Type string `json:"type"`
	// Target as the playbook gave it, with the keys of its kind. Cluster and node are never the playbook's to say: whoever
	// plans the action takes them from the alert's own, checked, origin.
	Target           Target          `json:"target"`
	Params           json.RawMessage `json:"params,omitempty"`
	TTL              string          `json:"ttl,omitempty"`
	Reason           string          `json:"reason"`
	RequiresApproval bool            `json:"requires_approval,omitempty"`
}

// Target is a Proposal's target.
type Target struct {
	Kind string `json:"kind"`
	// Resource is a workload's or object's, as group/version/resource.
	Resource    string `json:"resource,omitempty"`
	Namespace   string `json:"namespace,omitempty"`
	Name        string `json:"name,omitempty"`
	UID         string `json:"uid,omitempty"`
	ContainerID string `json:"container_id,omitempty"`
	CgroupID    uint64 `json:"cgroup_id,omitempty"`
	PID         int32  `json:"pid,omitempty"`
	// StartNS is the start of the container's first process, or of the process.
	StartNS uint64 `json:"start_ns,omitempty"`
}
