package replay

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"riposte/responder/action"
	"riposte/responder/api"
	"riposte/responder/guard"
	"riposte/responder/ingest"
	"riposte/responder/playbook"
)

// line is what the count needs of one line.
type line struct {
	at      time.Time
	count   int64
	rebuilt bool
	// others counts recorded decisions of playbooks that are not compared, by name.
	others map[string]int64
}

// unit is one playbook's answer to one input, as it was and as it would be.
type unit struct {
	playbook, alert, rule string
	// at is when it was decided, kernel when the system call returned (zero: not known).
	at, kernel    time.Time
	before, after side
	// timed: it ran out of time then, and nothing can be said.
	timed bool
	// executed is when the recorded actions were, by type.
	executed map[string]time.Time
}

// side is one of the two answers.
type side struct {
	// asked is false if the playbook was not triggered.
	asked     bool
	revision  string
	mode      playbook.Mode
	refusal   string
	proposals []proposal
}

// proposal is what a playbook asked for, as the guard sees it before it counts.
type proposal struct {
	playbook.Proposal
	outlook ingest.Outlook
	verdict guard.Verdict
	lasts   time.Duration
}

// worker decides about lines, one at a time.
type worker struct {
	Options
	guard *guard.Assessor
}

func newWorker(o Options) (*worker, error) {
	g, err := guard.NewAssessor(o.Guard, o.Actions, o.Ready)
	return &worker{Options: o, guard: g}, err
}

// compared says whether a playbook is one of those to compare.
func (w *worker) compared(name string) bool {
	return len(w.Names) == 0 || slices.Contains(w.Names, name)
}

func (w *worker) decide(ctx context.Context, text []byte) (r result) {
	rec, err := Read(text)
	if err != nil {
		return result{err: err}
	}
	first, err := playbook.ReadRecorded(rec.Input)
	if err != nil {
		return result{err: err}
	}
	r.line = line{at: rec.ReceivedAt, count: rec.Count, rebuilt: rec.Rebuilt}
	known := map[string]bool{}
	for _, d := range rec.Decisions {
		if !w.compared(d.Playbook) {
			if r.line.others == nil {
				r.line.others = map[string]int64{}
			}
			r.line.others[d.Playbook]++
			continue
		}
		known[d.Playbook] = true
		in := first
		if d.Input != nil {
			if in, err = playbook.ReadRecorded(d.Input); err != nil {
				return result{err: err}
			}
		}
		r.units = append(r.units, w.unit(ctx, rec, in, d))
	}
	for _, name := range w.triggered(first) {
		if !known[name] && w.compared(name) {
			r.units = append(r.units, w.unit(ctx, rec, first, api.RecordedDecision{Playbook: name, DecidedAt: rec.ReceivedAt}))
		}
	}
	return r
}

// triggered are the playbooks, as they were or would be, that an input triggers.
func (w *worker) triggered(in *playbook.Recorded) []string {
	var names []string
	for _, set := range []*playbook.Set{w.Base, w.Set} {
		if set == nil {
			continue
		}
		for _, p := range set.Triggered(in.Input.Alert) {
			if !slices.Contains(names, p.Name) {
				names = append(names, p.Name)
			}
		}
	}
	return names
}

// outOfTime begins the refusal of an evaluation that ran into its deadline.
const outOfTime = "the evaluation did not end within"

func (w *worker) unit(ctx context.Context, rec api.Recorded, in *playbook.Recorded, d api.RecordedDecision) unit {
	u := unit{playbook: d.Playbook, alert: rec.AlertID, rule: in.Input.Alert.Rule, at: d.DecidedAt, executed: map[string]time.Time{}}
	if rec.KernelAt != nil {
		u.kernel = *rec.KernelAt
	}
	for _, a := range d.Actions {
		if a.ExecutedAt != nil {
			u.executed[a.Type] = *a.ExecutedAt
		}
	}
	if w.Base != nil {
		u.before = w.ask(ctx, w.Base, d.Playbook, in)
	} else {
		u.before = recorded(d)
		u.timed = strings.HasPrefix(d.Reason, outOfTime)
	}
	var same bool
	if w.Set == nil {
		u.after, same = u.before, true
	} else {
		u.after = w.ask(ctx, w.Set, d.Playbook, in)
		same = slices.EqualFunc(u.before.proposals, u.after.proposals, func(a, b proposal) bool { return equal(a.Proposal, b.Proposal) })
	}
	if w.Mode != "" {
		u.after.mode = w.Mode
	}
	u.before.proposals = w.assess(ctx, in, u, u.before)
	if same && u.after.mode == u.before.mode {
		u.after.proposals = u.before.proposals
	} else {
		u.after.proposals = w.assess(ctx, in, u, u.after)
	}
	return u
}

// recorded is what was decided; a decision without a revision was never made.
func recorded(d api.RecordedDecision) side {
	s := side{asked: d.Revision != "", revision: d.Revision, mode: playbook.Mode(d.Mode), refusal: d.Reason}
	if d.State == "refused" || !s.asked {
		return s
	}
	list, err := playbook.ReadResult(d.Result)
	if err != nil {
		s.refusal = err.Error()
		return s
	}
	s.proposals = wrap(list)
	return s
}

func wrap(list []playbook.Proposal) []proposal {
	out := make([]proposal, len(list))
	for i, p := range list {
		out[i].Proposal = p
	}
	return out
}

func (w *worker) ask(ctx context.Context, set *playbook.Set, name string, in *playbook.Recorded) side {
	for _, p := range set.Triggered(in.Input.Alert) {
		if p.Name == name {
			d := set.Replay(ctx, p, in)
			return side{asked: true, revision: d.Revision, mode: d.Mode, refusal: d.Refusal, proposals: wrap(d.Proposals)}
		}
	}
	return side{}
}

// assess puts one side's proposals to the guard's rules.
func (w *worker) assess(ctx context.Context, in *playbook.Recorded, u unit, s side) []proposal {
	out := slices.Clone(s.proposals)
	for i := range out {
		p := &out[i]
		p.outlook = ingest.Foresee(w.Actions, in.Input, u.playbook, s.mode, p.Proposal)
		if p.outlook.Rule != "" {
			p.verdict = guard.Verdict{Outcome: guard.Refuse, Rule: p.outlook.Rule, Reason: p.outlook.Reason}
			continue
		}
		p.verdict = w.guard.Assess(ctx, u.at, p.outlook.Question)
		p.lasts = p.outlook.TTL
		if leaser, ok := w.Actions[p.Type].(action.Leaser); ok && p.lasts == 0 {
			if lease, err := leaser.Lease(p.Params); err == nil {
				p.lasts = lease
			}
		}
	}
	return out
}

// equal compares everything but how the params are spaced.
func equal(a, b playbook.Proposal) bool {
	same := sameJSON(a.Params, b.Params)
	a.Params, b.Params = nil, nil
	return same && reflect.DeepEqual(a, b)
}

func sameJSON(a, b json.RawMessage) bool {
	if string(a) == string(b) {
		return true
	}
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}

// target names a proposal's target for a person.
func target(p playbook.Proposal) string {
	t := p.Target
	switch t.Kind {
	case action.KindContainer:
		return fmt.Sprintf("container %.12s", t.ContainerID)
	case action.KindProcess:
		return fmt.Sprintf("process %d", t.PID)
	case action.KindNode:
		return "node " + t.Name
	case action.KindPod:
		return fmt.Sprintf("pod %s/%s", t.Namespace, t.Name)
	}
	return fmt.Sprintf("%s %s/%s", t.Resource, t.Namespace, t.Name)
}
