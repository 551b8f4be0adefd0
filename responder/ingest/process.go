package ingest

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"riposte/responder/action"
	"riposte/responder/guard"
	"riposte/responder/playbook"
	"riposte/responder/store"
)

const (
	// readTime and writeTime bound what a batch may wait for the database.
	readTime  = 5 * time.Second
	writeTime = 15 * time.Second
	// attempts is how often a batch is written that loses against a concurrent one.
	attempts = 3
	// historyLength is how many earlier actions a playbook sees.
	historyLength = 20
)

// process makes alerts durable with all that follows from them, or none of them.
func (in *Ingest) process(ctx context.Context, work []*arrival) error {
	drafts, err := in.draft(ctx, work)
	if err != nil || len(drafts) == 0 {
		return err
	}
	if err := in.decideAll(ctx, drafts); err != nil {
		return err
	}
	for attempt := 1; ; attempt++ {
		err = in.write(ctx, drafts)
		if err == nil && in.Lift != nil {
			for _, a := range unwanted(drafts) {
				in.Lift(a)
			}
		}
		if err == nil || attempt == attempts || !store.Conflict(err) {
			return err
		}
	}
}

// draft is one alert with all that will be written about it.
type draft struct {
	*arrival
	incident store.IncidentKey
	// newIncident is the incident's id if this batch opens it.
	newIncident string
	input       playbook.Input
	decisions   []store.NewDecision
	actions     []proposed
	decidedNS   int64
	// evaluated is how each of the decisions came about, for the Observer.
	evaluated []Evaluated
}

// proposed is one action with the target that it was resolved to.
type proposed struct {
	store.NewAction
	target action.Target
	// effect is what the guard counts, nil if nothing can come of the action.
	effect *guard.Effect
	// again: an equal decision asked for it before.
	again bool
}

// objects are the identities of what the alert's playbooks may act on, as the
// column object has them.
func (a *arrival) objects() []string {
	var all []string
	if t, ok := a.container(); ok {
		all = append(all, bounded(t.Identity()))
	}
	if t, ok := a.boundPod(); ok {
		all = append(all, bounded(t.Identity()))
	}
	return all
}

// past merges the objects' histories, newest first.
func past(history map[string][]store.Past, objects []string) []playbook.Past {
	merged := []playbook.Past{}
	lists := make([][]store.Past, len(objects))
	for i, o := range objects {
		lists[i] = history[o]
	}
	for len(merged) < historyLength {
		newest := -1
		for i, l := range lists {
			if len(l) > 0 && (newest < 0 || l[0].At.After(lists[newest][0].At)) {
				newest = i
			}
		}
		if newest < 0 {
			break
		}
		p := lists[newest][0]
		lists[newest] = lists[newest][1:]
		merged = append(merged, playbook.Past{Type: p.Type, State: p.State, Playbook: p.Playbook, At: p.At})
	}
	return merged
}

// decideAll decides on all processors: no alert's decision depends on another's of
// its batch.
func (in *Ingest) decideAll(ctx context.Context, drafts []draft) error {
	each, ctx := errgroup.WithContext(ctx)
	each.SetLimit(runtime.GOMAXPROCS(0))
	for i := range drafts {
		each.Go(func() error { return in.decide(ctx, &drafts[i]) })
	}
	return each.Wait()
}

// decide asks the playbooks and the guard. A panic there is this alert's fault,
// not the batch's.
func (in *Ingest) decide(ctx context.Context, d *draft) (err error) {
	defer func() {
		if r := recover(); r != nil {
			in.Log.Error("deciding about an alert panicked", "alert", d.alert.UUID, "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
			err = fmt.Errorf("deciding panicked: %v", r)
		}
	}()
	answers := in.Playbooks.Evaluate(ctx, d.input)
	d.decidedNS = in.Now().UnixNano()
	for _, answer := range answers {
		decision := store.NewDecision{
			ID: newID(), AlertID: d.alert.UUID, Playbook: answer.Playbook, Revision: answer.Revision, Mode: string(answer.Mode), State: "decided",
			Input: string(answer.Input), Result: string(answer.Result), DecidedNS: d.decidedNS,
		}
		if answer.Refusal != "" {
			decision.State, decision.Reason = "refused", answer.Refusal
		} else {
			for _, p := range answer.Proposals {
				d.actions = append(d.actions, in.judge(ctx, d, decision, answer, p))
			}
		}
		d.decisions = append(d.decisions, decision)
		d.evaluated = append(d.evaluated, Evaluated{
			Playbook: decision.Playbook, Revision: decision.Revision, Mode: decision.Mode, State: decision.State, Late: answer.Late, Began: answer.Began, Took: answer.Took,
		})
	}
	return ctx.Err() // an evaluation that was cut short decided nothing
}

func newID() string { return uuid.Must(uuid.NewV7()).String() }
