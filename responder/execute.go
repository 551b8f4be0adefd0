package responder

import (
	"context"

	"riposte/responder/execute"
)

// startExecutor carries out what is decided.
func (r *Responder) startExecutor(ctx context.Context) error {
	e, err := execute.New(execute.Options{
		Pool: r.store.Pool(), Registry: r.actions, Gate: gate{r.guard}, Instance: r.o.Instance, Log: r.o.Log.With("component", "execute"),
		Observer: r.observers,
	})
	if err != nil {
		return err
	}
	r.counts.execute = e.Stats
	if err := e.Start(ctx); err != nil {
		return err
	}
	r.cleanups.add("the executor", e.Stop)
	return nil
}
