package watch

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"riposte/agent/alert"
	"riposte/responder/incident"
	"riposte/responder/store"
)

// walk is how many numbers are read at a time.
const walk = 10_000

func (l *look) gaps(ctx context.Context) error {
	runs, err := l.tx.OpenRuns(ctx)
	if err != nil {
		return err
	}
	for _, r := range runs {
		if err := l.gap(ctx, r); err != nil {
			return fmt.Errorf("run %s of node %s: %w", r.BootID, r.Node, err)
		}
	}
	return nil
}

func (l *look) gap(ctx context.Context, r store.Run) error {
	before := r.Complete
	next, err := l.advance(ctx, &r)
	if err != nil {
		return err
	}
	ended := r.GapState == string(incident.Resolved) || r.GapState == string(incident.FalsePositive)
	for r.GapIncident != "" && ended && r.Complete < r.Highest {
		// A person has said that it is all right: nobody waits for what is missing now.
		last := r.Highest
		if next > 0 {
			last = next - 1
		}
		if err := l.tx.AcceptLoss(ctx, r.RunKey, r.Complete+1, last, l.now); err != nil {
			return err
		}
		if next, err = l.advance(ctx, &r); err != nil {
			return err
		}
	}
	switch {
	case r.Complete >= r.Highest:
		if r.GapIncident != "" {
			if err := l.resolve(ctx, r.GapIncident, r.GapState, "what was missing has come or was announced as dropped"); err != nil {
				return err
			}
		}
		r.GapSince, r.GapMark, r.GapIncident = nil, 0, ""
	case r.GapIncident != "":
	case r.GapSince == nil || r.Complete > before:
		r.GapSince, r.GapMark = &l.now, int64(l.last)
	case l.counts(r):
		upTo := r.Highest
		if next > 0 {
			upTo = next - 1
		}
		reason := fmt.Sprintf("alerts %d to %d of run %s did not come and were not announced as dropped", r.Complete+1, upTo, r.BootID)
		if r.GapIncident, err = l.open(ctx, r.Cluster, incident.GapKey(r.Node, r.BootID), incident.KindGap, "alerts of node "+r.Node+" are missing", reason); err != nil {
			return err
		}
	}
	return l.tx.SaveRun(ctx, r)
}

// advance moves a run's Complete over all that is known and returns the first
// known number behind the gap, 0 if there is none.
func (l *look) advance(ctx context.Context, r *store.Run) (next int64, err error) {
	for {
		known, err := l.tx.KnownAfter(ctx, r.RunKey, r.Complete, walk)
		if err != nil {
			return 0, err
		}
		for _, k := range known {
			if k.First > r.Complete+1 {
				return k.First, nil
			}
			r.Complete = max(r.Complete, k.Last)
		}
		if len(known) < walk {
			return 0, nil
		}
	}
}

// counts says whether a gap has stayed as it is for long enough, unexplained.
func (l *look) counts(r store.Run) bool {
	age := l.now.Sub(*r.GapSince)
	if age < l.GapAfter {
		return false
	}
	if age >= l.Patience {
		return true
	}
	var h alert.Heartbeat
	_ = json.Unmarshal([]byte(r.Body), &h) // what cannot be read explains nothing
	unheard := r.SeenAt.Before(*r.GapSince)
	return l.done >= uint64(r.GapMark) && !unheard && h.Waiting == 0
}

func (l *look) silence(ctx context.Context) error {
	before := l.now.Add(-l.SilentAfter)
	agents, err := l.tx.SilentAgents(ctx, before)
	if err != nil {
		return err
	}
	deaf := l.Hearing == nil
	if !deaf {
		since := l.Hearing()
		deaf = since.IsZero() || since.After(before)
	}
	for _, a := range agents {
		silent := a.SeenAt.Before(before)
		switch {
		case !silent && a.Incident != "":
			if err := l.resolve(ctx, a.Incident, a.State, "the agent speaks again"); err != nil {
				return err
			}
			a.Incident = ""
		case silent && a.Incident == "" && !deaf:
			reason := fmt.Sprintf("no heartbeat since %s", a.SeenAt.UTC().Format(time.RFC3339))
			if a.Incident, err = l.open(ctx, a.Cluster, incident.SilenceKey(a.Node), incident.KindSilence, "the agent on node "+a.Node+" is silent", reason); err != nil {
				return err
			}
		default:
			continue
		}
		if err := l.tx.SaveSilence(ctx, a.Cluster, a.Node, a.Incident); err != nil {
			return err
		}
	}
	return nil
}
