package responder

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"time"

	"riposte/responder/audit"
	"riposte/responder/store"
)

// startSigner signs the record's checkpoints, if there is a key. It stops before the
// bus and the database, and signs what has come until then.
func (r *Responder) startSigner() {
	if r.secrets.checkpointKey == nil {
		return
	}
	log := r.o.Log.With("component", "checkpoints")
	places := []audit.Place{r.bus.Checkpoints()}
	if r.o.CheckpointFile != "" {
		places = append(places, &audit.File{Path: r.o.CheckpointFile})
	}
	r.signer = audit.NewSigner(audit.SignerOptions{
		Store: r.store, Key: r.secrets.checkpointKey, OldKey: r.secrets.oldCheckpointKey, Every: r.o.CheckpointEvery, Within: r.o.CheckpointWithin,
		Places: places, Log: log,
	})
	running := background(r.signer.Run)
	r.cleanups.add("the checkpoints", func(ctx context.Context) error {
		err := running(ctx)
		if signing := r.signer.Round(ctx, true); signing != nil { // it was said before, and does not keep anybody from ending
			log.Error("sign what has come until now", "error", signing)
		}
		return err
	})
}

// checkpointCounts are the signer's, nil without a key.
func (r *Responder) checkpointCounts() map[string]uint64 {
	if r.signer == nil {
		return nil
	}
	return r.signer.Counts()
}

// evidence is what the record is compared with: what the places have, whatever the
// database says. It must be read before the record is.
func (r *Responder) evidence(ctx context.Context) (e audit.Evidence, err error) {
	if r.signer == nil {
		return e, nil
	}
	for _, key := range []ed25519.PrivateKey{r.secrets.checkpointKey, r.secrets.oldCheckpointKey} {
		if key != nil {
			e.Keys = append(e.Keys, key.Public().(ed25519.PublicKey))
		}
	}
	if r.secrets.firstCheckpointKey != nil {
		e.Keys = append(e.Keys, r.secrets.firstCheckpointKey)
	}
	e.Checkpoints, err = r.signer.Published(ctx)
	return e, err
}

// retire takes out of the database what is kept for so long and no longer.
func (r *Responder) retire(ctx context.Context, now time.Time) error {
	var errs []error
	if r.o.AlertRetention > 0 {
		gone, err := r.store.RetireAlerts(ctx, now.Add(-r.o.AlertRetention))
		errs = append(errs, err)
		r.retired("alerts", gone)
		errs = append(errs, r.pruneRevisions(ctx, now))
	}
	if r.o.Retention > 0 && r.signer != nil {
		gone, err := r.signer.Retire(ctx, now.Add(-r.o.Retention))
		if err != nil {
			err = fmt.Errorf("retire the record's oldest months: %w", err)
		}
		errs = append(errs, err)
		r.retired("audit", gone)
	}
	return errors.Join(append(errs, r.prune(ctx, now))...)
}

// prune takes out ended actions and incidents that nothing kept refers to any more: they
// stay for as long as the record does, and the alerts.
func (r *Responder) prune(ctx context.Context, now time.Time) error {
	if r.o.Retention == 0 || r.o.AlertRetention == 0 || r.signer == nil {
		return nil
	}
	before := store.Month(now.Add(-max(r.o.Retention, r.o.AlertRetention)))
	actions, err := r.store.PruneActions(ctx, before, r.undoable)
	r.counts.pruned.actions.Add(uint64(actions))
	if err != nil {
		return err
	}
	incidents, err := r.store.PruneIncidents(ctx, before)
	r.counts.pruned.incidents.Add(uint64(incidents))
	return err
}

// prunedCounts are how many rows were taken out, by their table.
func (r *Responder) prunedCounts() map[string]uint64 {
	return map[string]uint64{"actions": r.counts.pruned.actions.Load(), "incidents": r.counts.pruned.incidents.Load()}
}

func (r *Responder) retired(what string, gone []string) {
	if len(gone) > 0 {
		r.o.Log.Info("months are retired", "of", what, "tables", gone)
	}
}
