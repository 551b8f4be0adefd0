package responder

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"riposte/responder/action"
	"riposte/responder/execute"
	"riposte/responder/guard"
	"riposte/responder/playbook/sandbox"
)

// newGuard reads the guard's file, if there is one, and compiles its rules. What
// the file protects comes on top of what is protected anyway.
func newGuard(o Options) (*guard.Guard, error) {
	g := guard.Options{ProtectedNamespaces: o.ProtectedNamespaces, KillSwitchFile: o.KillSwitchFile}
	if o.GuardPolicyDir != "" {
		g.Rego = []sandbox.Source{sandbox.Dir(o.GuardPolicyDir)}
	}
	if o.GuardFile != "" {
		c, err := guard.ReadConfig(o.GuardFile)
		if err != nil {
			return nil, err
		}
		if g.ProtectedNamespaces == nil {
			g.ProtectedNamespaces = guard.DefaultNamespaces()
		}
		g.ProtectedNamespaces = append(slices.Clone(g.ProtectedNamespaces), c.Namespaces...)
		g.ProtectedLabels = guard.DefaultLabels()
		maps.Copy(g.ProtectedLabels, c.Labels)
		g.ProtectedNames, g.Limits = c.Names, c.Limits
	}
	made, err := guard.New(g)
	if err != nil {
		return nil, fmt.Errorf("load the guard's rules: %w", err)
	}
	return made, nil
}

// startGuard gives the guard what it counts in and whom it asks, and has it hear
// what the other responders' people change.
func (r *Responder) startGuard(ctx context.Context, actions action.Registry) error {
	parts := guard.Parts{Store: r.store, Home: r.o.Cluster, Actions: actions, Enqueue: execute.Enqueuer(actions)}
	if r.binder != nil {
		parts.Cluster = r.binder
	}
	if err := r.guard.Open(ctx, parts); err != nil {
		return err
	}
	log := r.o.Log.With("component", "guard")
	r.cleanups.add("the guard", background(func(ctx context.Context) { r.guard.Run(ctx, log) }))
	return nil
}

// gate is the guard's last look as the executor asks for it.
type gate struct{ guard *guard.Guard }

// Pass holds an action while a kill switch is on or the guard cannot look; whatever
// else the guard has against it does not change by waiting.
func (g gate) Pass(ctx context.Context, r action.Request) *execute.Stop {
	v := g.guard.Release(ctx, r)
	if v.Outcome == "" || v.Outcome == guard.Allow {
		return nil
	}
	return &execute.Stop{Hold: v.Hold, Rule: v.Rule, Reason: v.Reason}
}
