package ingest

import (
	"context"
	"time"

	"riposte/responder/incident"
)

// Keep tidies up at its start and every minute, until ctx ends. Several
// responders may do it at once.
func (in *Ingest) Keep(ctx context.Context) error {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		if err := in.Tidy(ctx); err != nil && ctx.Err() == nil {
			in.Log.Warn("tidying up after alerts is put off", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Tidy closes incidents whose window is over and forgets what arrived longer ago
// than InboxAge.
func (in *Ingest) Tidy(ctx context.Context) error {
	now := in.Now()
	if _, err := in.Store.CloseIdleIncidents(ctx, now.Add(-incident.Window)); err != nil {
		return err
	}
	_, err := in.Store.PruneInbox(ctx, now.Add(-in.InboxAge))
	return err
}
