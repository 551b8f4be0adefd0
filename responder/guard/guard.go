// Package guard is the last gate before an effect. A playbook only proposes: the
// guard's rules, in Go and in the Rego packages riposte.guard, always apply, and
// no playbook can widen them. In doubt the guard refuses.
package guard

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"riposte/responder/playbook/sandbox"
)

// Options of a Guard; zero values take the defaults.
type Options struct {
	// ProtectedNamespaces are never acted in; DefaultNamespaces. An empty, non-nil
	// list protects none.
	ProtectedNamespaces []string
	// ProtectedLabels protect each pod that has one of them with that value; DefaultLabels.
	ProtectedLabels map[string]string
	// ProtectedNames are never acted on: patterns as path.Match reads them, of a
	// node's, pod's or workload's name, or of namespace/name.
	ProtectedNames []string
	// Limits are the budgets and the like; DefaultLimits if no MaxMode is set.
	Limits Limits
	// File is the guard's file, see ReadConfig: its limits take the place of Limits, what
	// it protects is protected on top. Without it there is none.
	File string
	// ActionTTL is how long an approved action may wait for its execution; 5 minutes.
	ActionTTL time.Duration
	// KillSwitchFile is where the kill switch is kept; without it there is none.
	KillSwitchFile string
	// Rego are sources of more guard rules, in packages riposte.guard.<name>. They
	// can refuse more, never less. See Policies for what becomes of changes.
	Rego []sandbox.Source
	// Deadline bounds the evaluation of each Rego package; 250 ms.
	Deadline time.Duration
	// Now is the clock; time.Now.
	Now func() time.Time
}

// DefaultNamespaces are Kubernetes' own and ours.
func DefaultNamespaces() []string {
	return []string{"kube-system", "kube-public", "kube-node-lease", "riposte"}
}

// DefaultLabels are how anybody protects a pod, and what our own pods have
// wherever they are.
func DefaultLabels() map[string]string {
	return map[string]string{"riposte.dev/protected": "true", "app.kubernetes.io/part-of": "riposte"}
}

// Guard judges actions. It is safe for concurrent use.
type Guard struct {
	options Options
	rego    *sandbox.Keeper[[]policy]
	kill    files
	parts   Parts
	file    *sandbox.Keeper[settings]
	last    atomic.Pointer[known]
	// refreshing lets one read of the database at a time change the files.
	refreshing sync.Mutex

	counting sync.Mutex
	counts   map[string]uint64
}

// New compiles the Rego rules: their errors are returned, as sandbox.Errors.
func New(o Options) (*Guard, error) {
	if o.ProtectedNamespaces == nil {
		o.ProtectedNamespaces = DefaultNamespaces()
	}
	if o.ProtectedLabels == nil {
		o.ProtectedLabels = DefaultLabels()
	}
	if o.Deadline <= 0 {
		o.Deadline = 250 * time.Millisecond
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.ActionTTL <= 0 {
		o.ActionTTL = defaultActionTTL
	}
	if o.Limits.MaxMode == "" {
		o.Limits = DefaultLimits()
	}
	g := &Guard{options: o, kill: files{base: o.KillSwitchFile}, counts: map[string]uint64{}}
	var err error
	if g.file, err = keepSettings(o); err != nil {
		return nil, err
	}
	g.rego, err = keepRego(o.Rego)
	return g, err
}

// Protected is what is protected, for those who must know it without asking: the
// agents, which contain by themselves.
func (g *Guard) Protected() (namespaces, names []string, labels map[string]string) {
	s := g.settings()
	return slices.Clone(s.namespaces), slices.Clone(s.names), maps.Clone(s.labels)
}

// rule is one rule in Go: the zero Verdict means that it has nothing to say.
type rule func(ctx context.Context, g *Guard, q *Question) Verdict

// rules are asked in this order, and the first that speaks decides. All that
// refuse for the target's sake stand before the mode: a person must not be asked
// to approve what the guard refuses, and an observing playbook's record should
// say that nothing would have been done. The users' own rules are the last of these.
var rules = []rule{
	recorded, forged, unbound, foreign, protectedNamespace, protectedLabel, protectedName, policies,
}

// Judge says what may become of one proposed action, as far as that can be said
// without counting. What it allows, or has people asked about, has an Effect in its
// verdict, which goes to Reserve.
func (g *Guard) Judge(ctx context.Context, q Question) Verdict {
	v := g.judge(ctx, &q)
	if v.Outcome == Watch || v.Outcome == Refuse {
		g.count(v) // Reserve counts the others
	}
	return v
}

func (g *Guard) judge(ctx context.Context, q *Question) Verdict {
	for _, r := range rules {
		if v := r(ctx, g, q); v.Outcome != "" {
			return v
		}
	}
	e := g.effect(q)
	mode := g.inMode(e, g.known().modes[q.Playbook])
	if mode.Outcome == Watch || mode.Outcome == Refuse {
		return mode
	}
	if v := g.killed(q.Target.Cluster, q.Playbook); v.Outcome != "" {
		return v
	}
	if v := g.learn(ctx, e); v.Outcome != "" {
		return v
	}
	asks := g.consent(e)
	if mode.Outcome == Ask {
		asks = append(asks, mode)
	}
	v := Verdict{Outcome: Allow}
	if len(asks) > 0 {
		v = together(asks)
	}
	v.Effect = e
	return v
}

func refuse(rule, format string, args ...any) Verdict {
	return Verdict{Outcome: Refuse, Rule: rule, Reason: fmt.Sprintf(format, args...)}
}
