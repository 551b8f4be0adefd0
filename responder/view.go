package responder

import (
	"context"
	"errors"
)

// ready says whether an alert that comes now could be decided and acted on.
func (r *Responder) ready(ctx context.Context) error {
	if err := r.store.Ping(ctx); err != nil {
		return err
	}
	if !r.bus.Connected() {
		return errors.New("NATS cannot be reached")
	}
	return nil
}
