package guard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"riposte/responder/audit"
	"riposte/responder/store"
)

// Why an answer to a waiting action is not taken. Their texts are for the person.
var (
	// ErrNotWaiting: the action does not wait, or not any more.
	ErrNotWaiting = errors.New("nobody is asked about this action any more")
	// ErrVoted: each person answers once.
	ErrVoted = errors.New("you have answered already: somebody else must agree")
	// ErrStopped: the guard would not let the action happen now.
	ErrStopped = errors.New("the guard refuses this now")
	// ErrChanged: there is more to agree about than what was asked; the votes so far
	// do not count.
	ErrChanged = errors.New("something changed since this was asked: look again, and answer again")
)

// Answer is a person's answer to a waiting action.
type Answer struct {
	// Actor is the person, in audit's form. Two people are two different actors.
	Actor   string
	Agrees  bool
	Comment string
}

// Answer takes a person's answer. One who rejects ends the action; when enough
// people agree it is planned and counts in the budgets, even beyond them if that is
// what was asked. The action's id must be the whole one.
func (g *Guard) Answer(ctx context.Context, actionID string, a Answer) error {
	var f facts
	if a.Agrees {
		var err error
		if f, err = g.factsOf(ctx, actionID); err != nil {
			return err
		}
	}
	var changed error
	err := g.parts.Store.InTx(ctx, func(tx store.Tx) error {
		changed = nil
		w, err := tx.LockWaiting(ctx, actionID)
		switch {
		case errors.Is(err, store.ErrNotFound):
			return ErrNotWaiting
		case err != nil:
			return err
		case w.State != "waiting":
			return fmt.Errorf("%w: it is %s", ErrNotWaiting, w.State)
		case g.options.Now().UnixNano() >= w.ExpiresNS:
			return fmt.Errorf("%w: its time is over", ErrNotWaiting)
		}
		fresh, err := tx.AddVote(ctx, actionID, store.Vote{Actor: a.Actor, Agrees: a.Agrees, Comment: a.Comment})
		if err != nil {
			return err
		}
		if !fresh {
			return ErrVoted
		}
		if !a.Agrees {
			return g.reject(ctx, tx, &w, a)
		}
		changed, err = g.agreeTo(ctx, tx, &w, a, f)
		return err
	})
	return errors.Join(err, changed)
}

// factsOf asks the cluster about a waiting action, before anything is locked.
func (g *Guard) factsOf(ctx context.Context, actionID string) (facts, error) {
	j, err := g.parts.Store.Judged(ctx, actionID)
	if errors.Is(err, store.ErrNotFound) {
		return facts{}, ErrNotWaiting
	}
	var e Effect
	if err == nil {
		err = json.Unmarshal(j.Effect, &e)
	}
	if err != nil {
		return facts{}, err
	}
	if v := g.learn(ctx, &e); v.Outcome != "" {
		return facts{}, fmt.Errorf("%w: %s", ErrStopped, v.Reason)
	}
	return e.facts, nil
}

func (g *Guard) reject(ctx context.Context, tx store.Tx, w *store.Waiting, a Answer) error {
	if err := tx.Settle(ctx, w.ActionID, "rejected", "rejected by "+a.Actor, 0); err != nil {
		return err
	}
	return audit.Append(ctx, tx, answered(w, a, "rejected"))
}

// answered begins the entry about a person's answer.
func answered(w *store.Waiting, a Answer, result string) audit.Entry {
	return audit.Entry{
		Cluster: w.Cluster, Namespace: w.Namespace, Kind: audit.Approval, Actor: a.Actor, Result: result, Note: a.Comment,
		Why:  audit.Why{AlertID: w.AlertID, Reason: w.Reason},
		What: audit.What{ActionID: w.ActionID, Type: w.Type, Object: w.Object},
	}
}

// agreeTo counts one who agrees, and plans the action if it was the last needed.
// An error that it returns as changed does not undo the transaction.
func (g *Guard) agreeTo(ctx context.Context, tx store.Tx, w *store.Waiting, a Answer, f facts) (changed, err error) {
	agreed := w.Agreed() + 1
	if agreed < w.Needed {
		return nil, audit.Append(ctx, tx, answered(w, a, fmt.Sprintf("approved %d of %d", agreed, w.Needed)))
	}
	var e Effect
	if err := json.Unmarshal(w.Effect, &e); err != nil {
		return nil, err
	}
	e.facts = f
	s, err := g.survey(ctx, tx, []Proposed{{Effect: &e}})
	if err != nil {
		return nil, err
	}
	if v := s.stopped(&e); v.Outcome != "" {
		return nil, fmt.Errorf("%w: %s", ErrStopped, v.Reason)
	}
	var refused Verdict
	asks := g.consent(&e)
	for _, v := range s.tallies.judge(&e, g.limits(&e, false)) {
		if v.Outcome == Refuse {
			refused = v
		} else {
			asks = append(asks, v)
		}
	}
	if refused.Outcome != "" {
		return nil, fmt.Errorf("%w: %s", ErrStopped, refused.Reason)
	}
	more := slices.DeleteFunc(slices.Clone(asks), func(v Verdict) bool { return slices.Contains(w.Rules, v.Rule) })
	if len(more) > 0 {
		return g.askAgain(ctx, tx, w, &e, more)
	}
	if e.Counted {
		if err := tx.Reserve(ctx, []store.Reservation{e.reservation()}); err != nil {
			return nil, err
		}
	}
	expires := g.options.Now().Add(g.options.ActionTTL)
	if err := tx.Settle(ctx, w.ActionID, "planned", "approved by "+agreedBy(w, a), expires.UnixNano()); err != nil {
		return nil, err
	}
	if err := g.parts.Enqueue(ctx, tx, w.ActionID); err != nil {
		return nil, err
	}
	planned := answered(w, a, "planned")
	planned.Kind, planned.Actor, planned.Note = audit.ActionIntent, audit.Playbook(w.Playbook, w.Revision), "approved by "+agreedBy(w, a)
	return nil, audit.Append(ctx, tx, answered(w, a, "approved"), planned)
}

// askAgain puts the question anew, with what came to it.
func (g *Guard) askAgain(ctx context.Context, tx store.Tx, w *store.Waiting, e *Effect, more []Verdict) (changed, err error) {
	q := question(e, more)
	q.Rules = append(slices.Clone(w.Rules), q.Rules...)
	q.Reason = w.Reason + "; " + q.Reason
	q.Needed = max(q.Needed, w.Needed)
	return fmt.Errorf("%w: %s", ErrChanged, together(more).Reason), tx.Ask(ctx, q)
}

func agreedBy(w *store.Waiting, last Answer) string {
	var who []string
	for _, v := range w.Votes {
		if v.Agrees {
			who = append(who, v.Actor)
		}
	}
	return strings.Join(append(who, last.Actor), ", ")
}

// Lapse ends the waiting actions whose time is over: nothing is done, and the
// record and the feed say so. It returns how many.
func (g *Guard) Lapse(ctx context.Context) (int, error) {
	var n int
	err := g.parts.Store.InTx(ctx, func(tx store.Tx) error {
		lapsed, err := tx.Lapse(ctx, g.options.Now())
		n = len(lapsed)
		if err != nil || n == 0 {
			return err
		}
		entries := make([]audit.Entry, n)
		for i, l := range lapsed {
			entries[i] = audit.Entry{
				Cluster: l.Cluster, Namespace: l.Namespace, Kind: audit.Approval, Actor: audit.System("guard"), Result: "expired",
				Note: "nobody agreed in time: nothing was done about what playbook " + l.Playbook + " wanted", Why: audit.Why{AlertID: l.AlertID},
				What: audit.What{ActionID: l.ID, Type: l.Type, Object: l.Object},
			}
		}
		return audit.Append(ctx, tx, entries...)
	})
	return n, err
}

// defaultActionTTL is how long an approved action may wait for its execution.
const defaultActionTTL = 5 * time.Minute
