package responder

import (
	"context"

	"riposte/responder/bus"
)

// startBus connects to NATS and makes the streams that are missing.
func (r *Responder) startBus(ctx context.Context) error {
	b, err := bus.Connect(ctx, bus.Options{
		URL: r.o.NATS, Seed: r.secrets.natsSeed, OrderKey: r.secrets.orderKey, StreamReplicas: r.o.StreamReplicas, Log: r.o.Log.With("component", "bus"),
	})
	if err != nil {
		return err
	}
	r.bus = b
	r.cleanups.add("the bus", func(context.Context) error { b.Close(); return nil })
	return nil
}
