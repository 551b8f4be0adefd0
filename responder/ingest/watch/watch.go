// Package watch notices what does not come: alerts whose numbers are missing, and
// agents that say nothing. Each becomes an incident of its own, once, however many
// responders look, and is resolved by itself when it ends. It also notices that an
// incident is contained.
//
// # Gaps
//
// An agent numbers its alerts from 1 without gaps and sends the most severe first,
// so numbers are missing for a while whenever a backlog is sent. A gap counts when
// it stays as it is for GapAfter and nothing explains it: the stream has no
// message from before that time which was not dealt with, and the agent's
// heartbeat says that nothing waits there. After Patience it counts without
// these. What an agent announces as dropped (alert.Loss) is no gap.
//
//	missing number ──GapAfter, unexplained──▶ incident ──came, or announced──▶ resolved by itself
//	                                             └──a person resolves it──▶ nobody waits for it any more
//
// # Silence
//
// An agent is silent when no heartbeat came for SilentAfter, all of which this
// responder was listening.
package watch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/google/uuid"

	"riposte/agent/alert"
	"riposte/responder/audit"
	"riposte/responder/incident"
	"riposte/responder/store"
)

// Options configure a Watch. Store must be set.
type Options struct {
	Store *store.Store
	// Position is how far the stream of alerts goes, and up to where it is dealt with,
	// see bus.Position. Nil: there is no stream.
	Position func(ctx context.Context) (last, done uint64, err error)
	// Hearing is since when all heartbeats are heard, zero if they are not now. Nil:
	// no silence is noticed.
	Hearing func() time.Time
	// GapAfter is how long a gap may stay as it is, 30 s if 0, Patience how long it may
	// be explained, 10 min if 0, SilentAfter how long an agent may say nothing, 1 min if 0.
	GapAfter, Patience, SilentAfter time.Duration
	// Now is the clock, time.Now if nil.
	Now func() time.Time
	Log *slog.Logger
}

// Watch looks every few seconds.
type Watch struct{ Options }

const (
	every    = 5 * time.Second
	lookTime = 30 * time.Second
	// recent is how far back a verified effect is looked for.
	recent = 10 * time.Minute
	// atOnce is how many incidents one transaction changes: after a burst each commit
	// of its own would hold up the executor's.
	atOnce = 50
)

// New returns a Watch that is ready.
func New(o Options) *Watch {
	if o.GapAfter == 0 {
		o.GapAfter = 30 * time.Second
	}
	if o.Patience == 0 {
		o.Patience = 10 * time.Minute
	}
	if o.SilentAfter == 0 {
		o.SilentAfter = time.Minute
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Watch{o}
}

// Run looks until ctx ends.
func (w *Watch) Run(ctx context.Context) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := w.Look(ctx); err != nil && ctx.Err() == nil {
			w.Log.Warn("looking for gaps and silence", "error", err, "again_in", every)
		}
	}
}

// Look looks once.
func (w *Watch) Look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	return errors.Join(w.missing(ctx), w.contained(ctx))
}

func (w *Watch) missing(ctx context.Context) error {
	l := look{Watch: w, now: w.Now()}
	if w.Position != nil {
		var err error
		if l.last, l.done, err = w.Position(ctx); err != nil {
			return err
		}
	}
	// A transaction of its own: within one, the runs' rows would be locked first for these
	// and then for those with a gap, while heartbeats lock them in one order.
	err := w.alone(ctx, func(tx store.Tx) error { return tx.AdvanceWhole(ctx) })
	if err != nil {
		return err
	}
	return w.alone(ctx, func(tx store.Tx) error {
		l.tx = tx
		if err := l.gaps(ctx); err != nil {
			return err
		}
		if err := l.silence(ctx); err != nil {
			return err
		}
		return audit.Append(ctx, tx, l.entries...)
	})
}

// alone does it in one transaction, unless another responder is about it.
func (w *Watch) alone(ctx context.Context, do func(tx store.Tx) error) error {
	return w.Store.InTx(ctx, func(tx store.Tx) error {
		mine, err := tx.TryWatch(ctx)
		if err != nil || !mine {
			return err
		}
		return do(tx)
	})
}

// look is one look, in one transaction.
type look struct {
	*Watch
	tx         store.Tx
	now        time.Time
	last, done uint64
	entries    []audit.Entry
}

var actor = audit.System("watch")

// open opens an incident; its entry is written with the others at the end.
func (l *look) open(ctx context.Context, cluster, key, kind, title, reason string) (id string, err error) {
	o := store.OpenedIncident{
		IncidentKey: store.IncidentKey{Cluster: cluster, Key: key}, ID: uuid.Must(uuid.NewV7()).String(), Kind: kind, Title: title,
		Priority: int(alert.Error), At: l.now, Actor: actor, Reason: reason,
	}
	id, opened, err := l.tx.OpenIncident(ctx, o)
	if err != nil || !opened {
		return id, err
	}
	l.Log.Warn(title, "incident", id, "reason", reason)
	l.entries = append(l.entries, incident.Entry(cluster, store.IncidentChange{ID: id, To: string(incident.Open), At: l.now, Actor: actor, Reason: reason}))
	return id, nil
}

// resolve ends an incident that this package opened, unless a person did before.
func (l *look) resolve(ctx context.Context, id, state, reason string) error {
	if state == string(incident.Resolved) || state == string(incident.FalsePositive) {
		return nil
	}
	return incident.Change{ID: id, To: incident.Resolved, At: l.now, Actor: actor, Reason: reason}.Apply(ctx, l.tx)
}

// contained notes the incidents against which an effect was verified.
func (w *Watch) contained(ctx context.Context) error {
	now := w.Now()
	ids, err := w.Store.ContainedIncidents(ctx, incident.Containing(), now.Add(-recent).UnixNano())
	if err != nil {
		return err
	}
	slices.Sort(ids) // one order for all who lock several
	for some := range slices.Chunk(ids, atOnce) {
		changes := make([]incident.Change, len(some))
		for i, id := range some {
			changes[i] = incident.Change{ID: id, To: incident.Contained, At: now, Actor: actor, Reason: "an effect against it was verified and nothing is under way"}
		}
		// One that is not open any more is left out: another responder was first, or a person.
		if err := w.Store.InTx(ctx, func(tx store.Tx) error { return incident.ApplyAll(ctx, tx, changes) }); err != nil {
			return fmt.Errorf("note what is contained: %w", err)
		}
	}
	return nil
}
