package guard

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"riposte/responder/action"
	"riposte/responder/playbook"
	"riposte/responder/store"
)

// Effect is what an action would do, as far as the guard counts it. Judge makes it,
// Reserve keeps it with the action, Release reads it.
type Effect struct {
	// ActionID is the caller's to set before Reserve.
	ActionID string `json:"action_id"`
	Playbook string `json:"playbook"`
	// Mode is the one that the playbook's METADATA says.
	Mode    playbook.Mode `json:"mode"`
	Type    string        `json:"type"`
	Cluster string        `json:"cluster"`
	Node    string        `json:"node,omitempty"`
	// Namespace, Name, Workload ("Kind/name") and Labels are the target's, or its pod's,
	// as the API server knows them.
	Namespace string            `json:"namespace,omitempty"`
	Name      string            `json:"name,omitempty"`
	Workload  string            `json:"workload,omitempty"`
	Labels    map[string]string `json:"labels,omitempty"`
	// Target is the target's identity, Subject what counts once in the budgets: the
	// pod, or the target if there is none.
	Target  string `json:"target"`
	Subject string `json:"subject"`
	// Counted effects count in the budgets; Kills ends a pod, container or process;
	// Cordons keeps new pods off a node; NodeWide concerns every pod of it.
	Counted  bool `json:"counted,omitempty"`
	Kills    bool `json:"kills,omitempty"`
	Cordons  bool `json:"cordons,omitempty"`
	NodeWide bool `json:"node_wide,omitempty"`
	// Wanted says that the playbook itself wants this one approved.
	Wanted bool `json:"wanted,omitempty"`
	// Limits is the fingerprint of the limits that it was measured against.
	Limits string `json:"limits,omitempty"`

	facts facts
}

// facts are what the cluster said when it was asked.
type facts struct {
	// ready is how many ready replicas the workload has, if it was asked.
	ready int
	// cordoned are the nodes that take no new pods, if it was asked.
	cordoned []string
}

// Cluster answers what the guard has to know of a cluster. An error means that it
// is not known now, and then the guard refuses.
type Cluster interface {
	// Ready counts the ready replicas of a workload, "Kind/name" as in
	// playbook.Pod.Workload; standalone pods have none.
	Ready(ctx context.Context, namespace, workload string) (int, error)
	// Cordoned names the nodes that take no new pods.
	Cordoned(ctx context.Context) ([]string, error)
}

// cordoning are the actions after which a node takes no new pods.
var cordoning = []string{"cordon_node", "drain_node", "taint_node"}

// mortal are the kinds of targets that an action of stage Destroy kills. One that
// restarts a workload or deletes an object is something else.
var mortal = []string{action.KindPod, action.KindContainer, action.KindProcess}

// effect reads a question.
func (g *Guard) effect(q *Question) *Effect {
	spec, known := g.spec(q.Type)
	t := q.Target
	e := &Effect{
		Playbook: q.Playbook, Mode: q.Mode, Type: q.Type, Cluster: t.Cluster, Node: t.Node, Namespace: t.Namespace, Name: t.Name,
		Target: t.Identity(), Subject: t.Identity(), Kills: known && spec.Stage == action.Destroy && slices.Contains(mortal, t.Kind), NodeWide: spec.NodeWide,
		Counted: spec.Stage != action.Gather && !slices.Contains(g.settings().limits.Uncounted, q.Type),
		Cordons: slices.Contains(cordoning, q.Type), Wanted: q.RequiresApproval, Limits: g.settings().fingerprint,
	}
	if t.Kind == action.KindNode {
		e.Node, e.Subject = t.Name, nodeSubject(t.Cluster, t.Name)
	}
	if p := q.Pod; p != nil && t.Kind != action.KindNode {
		e.Namespace, e.Workload, e.Labels = p.Namespace, p.Workload(), p.Labels
		if t.Kind != action.KindWorkload && t.Kind != action.KindObject {
			e.Name = p.Name
			e.Subject = action.Target{Kind: action.KindPod, Cluster: t.Cluster, Namespace: p.Namespace, Name: p.Name, UID: p.UID}.Identity()
		}
	}
	e.Target, e.Subject = bounded(e.Target), bounded(e.Subject)
	return e
}

func nodeSubject(cluster, name string) string {
	return bounded(action.Target{Kind: action.KindNode, Cluster: cluster, Name: name}.Identity())
}

func (g *Guard) spec(kind string) (action.Spec, bool) {
	a, ok := g.parts.Actions[kind]
	if !ok {
		return action.Spec{}, false
	}
	return a.Spec(), true
}

// learn asks the cluster what the counting rules need. It is done before the
// transaction that reserves: nobody waits for the API server with a lock held.
func (g *Guard) learn(ctx context.Context, e *Effect) Verdict {
	ask := g.parts.Cluster
	if e.Cluster != g.parts.Home {
		ask = nil // another cluster than the one that we can ask
	}
	if e.Kills && e.Workload != "" {
		if ask == nil {
			return refuse(RuleWorkloadUnknown, "there is no cluster to ask for the ready replicas of %s", e.Workload)
		}
		n, err := ask.Ready(ctx, e.Namespace, e.Workload)
		if err != nil {
			return refuse(RuleWorkloadUnknown, "the ready replicas of %s are not known: %v", e.Workload, err)
		}
		e.facts.ready = n
	}
	if e.Cordons {
		if ask == nil {
			return refuse(RuleNodesUnknown, "there is no cluster to ask for its cordoned nodes")
		}
		nodes, err := ask.Cordoned(ctx)
		if err != nil {
			return refuse(RuleNodesUnknown, "the cordoned nodes are not known: %v", err)
		}
		e.facts.cordoned = nodes
	}
	return Verdict{}
}

// Scopes in which effects count.
const (
	scopePlaybook  = "playbook"
	scopeWorkload  = "workload"
	scopeNamespace = "namespace"
	scopeNode      = "node"
	scopeCluster   = "cluster"
	scopeTarget    = "target"
	scopeCordon    = "cordon"
)

// keys are where an effect counts.
func (e *Effect) keys() []store.CountKey {
	key := func(scope, name string) store.CountKey {
		return store.CountKey{Scope: scope, Cluster: store.Text(e.Cluster), Name: bounded(name)}
	}
	all := []store.CountKey{key(scopePlaybook, e.Playbook), key(scopeCluster, ""), key(scopeTarget, e.Target)}
	if e.Workload != "" {
		all = append(all, key(scopeWorkload, e.Namespace+"/"+e.Workload))
	}
	if e.Namespace != "" {
		all = append(all, key(scopeNamespace, e.Namespace))
	}
	if e.Node != "" {
		all = append(all, key(scopeNode, e.Node))
	}
	if e.Cordons {
		all = append(all, key(scopeCordon, ""))
	}
	return all
}

func (e *Effect) reservation() store.Reservation {
	return store.Reservation{ActionID: e.ActionID, Subject: e.Subject, Type: e.Type, Kill: e.Kills, Keys: e.keys()}
}

// maxIndexed bounds a text that a database index holds, in bytes.
const maxIndexed = 512

// bounded replaces a text that is too long for an index by its hash.
func bounded(s string) string {
	s = store.Text(s)
	if len(s) <= maxIndexed {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	return "sha256:" + hex.EncodeToString(sum[:])
}
