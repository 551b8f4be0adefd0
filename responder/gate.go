package responder

import (
	"context"
	"fmt"

	"riposte/responder/action"
	"riposte/responder/execute"
	"riposte/responder/guard"
	"riposte/responder/playbook/sandbox"
)

// newGuard reads the guard's file, if there is one, and compiles its rules.
func newGuard(o Options) (*guard.Guard, error) {
	g := guard.Options{ProtectedNamespaces: o.ProtectedNamespaces, File: o.GuardFile, KillSwitchFile: o.KillSwitchFile}
	if o.GuardPolicyDir != "" {
		g.Rego = []sandbox.Source{sandbox.Dir(o.GuardPolicyDir)}
	}
	made, err := guard.New(g)
	if err != nil {
		return nil, fmt.Errorf("load the guard's rules: %w", err)
	}
	return made, nil
}

// startGuard gives the guard what it counts in and whom it asks, and has it hear
// what the other responders' people change.
func (r *Responder) startGuard(ctx context.Context) error {
	parts := guard.Parts{Store: r.store, Home: r.o.Cluster, Actions: r.actions, Enqueue: execute.Enqueuer(r.actions)}
	if r.binder != nil {
		parts.Cluster = r.binder
	}
	if err := r.guard.Open(ctx, parts); err != nil {
		return err
	}
	log := r.o.Log.With("component", "guard")
	r.cleanups.add("the guard", background(func(ctx context.Context) { r.guard.Run(ctx, log) }))
	if r.o.GuardFile != "" {
		limits := reporter{r: r, log: log, what: limitsReloaded}
		r.cleanups.add("the watch of the guard's file", background(func(ctx context.Context) {
			r.guard.WatchFile(ctx, watchFiles, limits.with(ctx))
		}))
	}
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
