package guard

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"riposte/responder/audit"
	"riposte/responder/playbook"
	"riposte/responder/store"
)

// Proposed is an effect whose action was just stored, as planned or as waiting.
type Proposed struct {
	Effect  *Effect
	Waiting bool
	// Rule and Reason are Judge's, for one that waits.
	Rule, Reason string
	// AskUntil is how long people may be asked about it, Unix nanoseconds.
	AskUntil int64
	// Instead is the waiting action that was cancelled because this one seemed to need
	// no approval. It waits again unless this one is allowed; and one that people would
	// be asked about too is dropped, because they are asked already.
	Instead string
}

// Reserved is what became of stored actions.
type Reserved struct {
	// Verdicts has one for each: Allow leaves it planned, Ask has it wait, Watch and
	// Refuse end it. The rows say so already.
	Verdicts []Verdict
	// Entries belong into the record, in the same transaction.
	Entries []audit.Entry
}

// Reserve gives each action its place in the budgets, in the transaction that
// stored it, or takes back that it was planned. Effects of one cluster are counted
// one transaction after the other, so no budget is ever exceeded, however many
// responders there are. The record's head must be locked after this, not before.
func (g *Guard) Reserve(ctx context.Context, tx store.Tx, all []Proposed) (Reserved, error) {
	r := Reserved{Verdicts: make([]Verdict, len(all))}
	if len(all) == 0 {
		return r, nil
	}
	s, err := g.survey(ctx, tx, all)
	if err != nil {
		return r, err
	}
	w := &writing{effects: map[string]json.RawMessage{}}
	for i, p := range all {
		v := s.decide(p)
		r.Verdicts[i] = v
		g.count(v)
		if err := w.add(p, v, s.asks); err != nil {
			return r, err
		}
	}
	slices.SortFunc(s.back, func(a, b stepBack) int { return strings.Compare(a.playbook, b.playbook) }) // one order for all
	for _, b := range s.back {
		did, err := tx.StepBack(ctx, b.playbook, b.rule, b.reason, audit.System("guard"))
		if err != nil {
			return r, err
		}
		if did {
			r.Entries = append(r.Entries, audit.Entry{
				Cluster: b.cluster, Kind: audit.PlaybookMode, Actor: audit.System("guard"), Result: string(playbook.Observe),
				Note: fmt.Sprintf("playbook %s steps back to observe, by %s: %s", b.playbook, b.rule, b.reason), What: audit.What{Object: "playbook/" + b.playbook},
			})
		}
	}
	return r, w.write(ctx, tx)
}

// survey is what decide needs, read at once under the lock.
type survey struct {
	g        *Guard
	modes    map[string]store.ModeRow
	switches []Switch
	ended    map[string]store.Ended
	tallies  tallies
	back     []stepBack
	// asks are the verdicts behind the last Ask.
	asks []Verdict
}

type stepBack struct{ playbook, cluster, rule, reason string }

func (g *Guard) survey(ctx context.Context, tx store.Tx, all []Proposed) (*survey, error) {
	s := &survey{g: g, modes: map[string]store.ModeRow{}}
	var clusters, playbooks []string
	for _, p := range all {
		clusters, playbooks = append(clusters, p.Effect.Cluster), append(playbooks, p.Effect.Playbook)
		s.tallies.want(g.limits(p.Effect, false))
	}
	playbooks = slices.Compact(slices.Sorted(slices.Values(playbooks)))
	seen, err := tx.Survey(ctx, clusters, playbooks, g.settings().limits.ErrorWindow, s.tallies.asked)
	if err != nil {
		return nil, err
	}
	for _, r := range seen.Modes {
		s.modes[r.Playbook] = r
	}
	s.switches, s.ended = switchesOf(seen.Switches), seen.Ended
	s.tallies.answer(seen.Found)
	return s, nil
}

// decide judges one action with all that was decided before it.
func (s *survey) decide(p Proposed) Verdict {
	e, row := p.Effect, s.modes[p.Effect.Playbook]
	s.asks = nil
	if v := s.stopped(e); v.Outcome != "" {
		return v
	}
	mode := s.g.inMode(e, row)
	if mode.Outcome == Watch || mode.Outcome == Refuse {
		return mode
	}
	if v := s.errorRate(e); v.Outcome != "" {
		return v
	}
	s.asks = s.g.consent(e)
	if mode.Outcome == Ask {
		s.asks = append(s.asks, mode)
	}
	byItself := len(s.asks) == 0 && !p.Waiting
	for _, v := range s.tallies.judge(e, s.g.limits(e, false)) {
		if v.Outcome == Refuse {
			return v
		}
		s.asks = append(s.asks, v)
		if byItself && v.Rule == RuleBudgetPlaybook {
			s.stepBack(e, v.Rule, v.Reason)
		}
	}
	if p.Waiting && !slices.ContainsFunc(s.asks, func(v Verdict) bool { return v.Rule == p.Rule }) {
		s.asks = slices.Insert(s.asks, 0, Verdict{Outcome: Ask, Rule: p.Rule, Reason: p.Reason})
	}
	if len(s.asks) > 0 {
		return together(s.asks)
	}
	if e.Counted {
		s.tallies.accept(e)
	}
	return Verdict{Outcome: Allow}
}

// stopped says whether a kill switch, here or elsewhere, or the protection of its
// target stops an effect.
func (s *survey) stopped(e *Effect) Verdict {
	if v := s.g.protectedEffect(e); v.Outcome != "" {
		return v
	}
	if v := s.g.killed(e.Cluster, e.Playbook); v.Outcome != "" {
		return v
	}
	for _, sw := range s.switches {
		if sw.stops(e) {
			return stoppedBy(sw)
		}
	}
	return Verdict{}
}

// together is one verdict of several that ask.
func together(asks []Verdict) Verdict {
	reasons := make([]string, len(asks))
	for i, v := range asks {
		reasons[i] = v.Reason
	}
	return Verdict{Outcome: Ask, Rule: asks[0].Rule, Reason: strings.Join(reasons, "; ")}
}

// consent are the rules by which people must agree, whatever was done before.
func (g *Guard) consent(e *Effect) []Verdict {
	var asks []Verdict
	if e.NodeWide {
		asks = append(asks, ask(RuleTwoPerson, "%s concerns every pod of a node: two people must agree", e.Type))
	}
	if e.Wanted {
		asks = append(asks, ask(RuleApproval, "the playbook wants a person's consent to this action"))
	}
	return asks
}

func (s *survey) errorRate(e *Effect) Verdict {
	l := &s.g.settings().limits
	n := s.ended[e.Playbook]
	if l.ErrorWindow == 0 || n.All < l.ErrorActions || n.Failed*100 < l.ErrorShare*n.All {
		return Verdict{}
	}
	reason := fmt.Sprintf("%d of its last %d actions failed within %s", n.Failed, n.All, l.ErrorWindow)
	s.stepBack(e, RuleErrorRate, reason)
	return Verdict{Outcome: Watch, Rule: RuleErrorRate, Reason: "playbook " + e.Playbook + " steps back to observe: " + reason}
}

// stepBack holds for the actions that are decided after it too.
func (s *survey) stepBack(e *Effect, rule, reason string) {
	row := s.modes[e.Playbook]
	if row.SteppedBack != "" {
		return
	}
	row.Playbook, row.SteppedBack, row.Reason = e.Playbook, rule, reason
	s.modes[e.Playbook] = row
	s.back = append(s.back, stepBack{e.Playbook, e.Cluster, rule, reason})
}

// writing collects what Reserve writes.
type writing struct {
	effects   map[string]json.RawMessage
	reserved  []store.Reservation
	questions []store.Question
	regards   []store.Regard
	again     []store.Reinstatement
}

func (w *writing) add(p Proposed, v Verdict, asks []Verdict) error {
	e := p.Effect
	if p.Instead != "" && v.Outcome != Allow {
		w.again = append(w.again, store.Reinstatement{Waiting: p.Instead, Other: e.ActionID, Drop: v.Outcome == Ask})
		if v.Outcome == Ask {
			return nil
		}
	}
	regard := store.Regard{ActionID: e.ActionID, RefusedBy: v.Rule, Note: v.Reason}
	switch v.Outcome {
	case Allow:
		if e.Counted {
			w.reserved = append(w.reserved, e.reservation())
		}
	case Ask:
		w.questions = append(w.questions, question(e, asks))
		regard.State, regard.ExpiresNS = "waiting", p.AskUntil
	case Watch:
		regard.State, regard.RefusedBy = "observed", ""
	default:
		regard.State = "refused"
	}
	if regard.State != "" {
		w.regards = append(w.regards, regard)
	}
	if v.Outcome != Allow && v.Outcome != Ask {
		return nil
	}
	b, err := json.Marshal(e)
	w.effects[e.ActionID] = b
	return err
}

func question(e *Effect, asks []Verdict) store.Question {
	q := store.Question{ActionID: e.ActionID, Reason: together(asks).Reason, Needed: 1}
	if e.NodeWide {
		q.Needed = 2
	}
	for _, v := range asks {
		q.Rules = append(q.Rules, v.Rule)
	}
	return q
}

func (w *writing) write(ctx context.Context, tx store.Tx) error {
	if err := tx.AddEffects(ctx, w.effects); err != nil {
		return err
	}
	if err := tx.Reserve(ctx, w.reserved); err != nil {
		return err
	}
	if err := tx.Regard(ctx, w.regards); err != nil {
		return err
	}
	if err := tx.Reinstate(ctx, w.again); err != nil {
		return err
	}
	return tx.Ask(ctx, w.questions...)
}
