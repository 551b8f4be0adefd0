package responder

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"riposte/responder/action"
	"riposte/responder/audit"
	"riposte/responder/execute"
	"riposte/responder/guard"
	"riposte/responder/playbook/sandbox"
	"riposte/responder/store"
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
	if r.o.GuardFile != "" {
		r.cleanups.add("the watch of the guard's file", background(func(ctx context.Context) {
			r.guard.WatchFile(ctx, watchFiles, func(l sandbox.Reload) { r.guardReloaded(ctx, l, log) })
		}))
	}
	return nil
}

// guardReloaded records that other limits hold now, or says why they do not. Each
// replica reads its own file, so each records it.
func (r *Responder) guardReloaded(ctx context.Context, l sandbox.Reload, log *slog.Logger) {
	if l.Err != nil {
		log.Error("the guard's file has an error, what was read before holds", "error", l.Err)
		return
	}
	for _, c := range slices.Concat(l.Added, l.Changed) {
		log.Info("the guard's file was read anew", "revision", c.Revision, "was", c.Was)
		e := audit.Entry{
			Cluster: r.o.Cluster, Kind: audit.Configuration, At: l.At, Actor: audit.System("guard"), Result: "changed", What: audit.What{Object: c.Source},
			Note: fmt.Sprintf("configuration changed: %s, SHA-256 %s, before %s, instance %s", c.Name, c.Revision, c.Was, r.o.Instance),
		}
		r.recordUntil(ctx, e, log)
	}
}

// recordUntil writes an entry about what has happened already, however long the
// database is away.
func (r *Responder) recordUntil(ctx context.Context, e audit.Entry, log *slog.Logger) {
	for wait := time.Second; ; wait = min(2*wait, time.Minute) {
		err := r.store.InTx(ctx, func(tx store.Tx) error { return audit.Append(ctx, tx, e) })
		if err == nil || ctx.Err() != nil {
			return
		}
		log.Warn("a changed configuration is not in the record yet", "error", err, "again_in", wait)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
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
