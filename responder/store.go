package responder

import (
	"context"

	"riposte/responder/audit"
	"riposte/responder/store"
)

// startStore brings the schema to this version and opens the database. From here on the
// record has when this replica worked.
func (r *Responder) startStore(ctx context.Context) error {
	if err := r.migrate(ctx); err != nil {
		return err
	}
	s, err := store.Open(ctx, r.o.DatabaseURL)
	if err != nil {
		return err
	}
	r.store = s
	r.cleanups.add("the database", func(ctx context.Context) error { return within(ctx, s.Close) })
	if err := r.record(ctx, audit.Startup); err != nil {
		return err
	}
	r.cleanups.add("the record", func(ctx context.Context) error { return r.record(ctx, audit.Shutdown) })
	return nil
}

// record says in the record when this replica began and ended its work.
func (r *Responder) record(ctx context.Context, kind audit.Kind) error {
	e := audit.Entry{Cluster: r.o.Cluster, Kind: kind, Actor: audit.System("responder"), Note: "instance " + r.o.Instance + ", version " + r.o.Version}
	return r.store.InTx(ctx, func(tx store.Tx) error { return audit.Append(ctx, tx, e) })
}
