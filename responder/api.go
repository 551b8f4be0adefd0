package responder

import (
	"context"

	"riposte/responder/api/server"
	"riposte/responder/execute"
	"riposte/responder/playbook"
)

// listenAPI takes the API's port.
func (r *Responder) listenAPI(ctx context.Context) (err error) {
	if r.apiPort, err = r.listen(ctx, "API", r.o.Listen); err != nil {
		return err
	}
	r.addr = r.apiPort.Addr().String()
	return nil
}

// startAPI serves it, and runs the playbooks' tests, whose coverage it shows.
func (r *Responder) startAPI() {
	tester := playbook.NewTester(r.playbooks)
	r.cleanups.add("the playbooks' tests", background(tester.Run))
	r.api = server.New(server.Options{
		Cluster: r.o.Cluster, Version: r.o.Version, Store: r.store, Guard: r.guard, Redrive: r.redrive,
		Lift: func(ctx context.Context, id, actor, reason string) error {
			return execute.AskLift(ctx, r.store, r.actions, id, actor, reason)
		},
		Playbooks: r.playbooks.Playbooks, Explain: r.explain, Coverage: tester.Coverage, Loads: r.playbooks.Loads,
		Evidence: r.evidence, Ready: r.ready.parts, Backlog: r.bus.Backlog,
		Principals: r.secrets.principals, Access: r.secrets.access, Review: r.review, Console: r.o.Console, Log: r.o.Log.With("component", "api"),
	})
	r.api.Start(r.apiPort)
	r.cleanups.add("the API", r.api.Stop)
	r.watch("API", r.api.Failed())
}
