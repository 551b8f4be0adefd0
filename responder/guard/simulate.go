package guard

import (
	"slices"
	"time"

	"riposte/responder/action"
	"riposte/responder/store"
)

// Simulation counts what an Assessor let pass, one action after the other, by the
// guard's own limits and rules, but in memory and at a clock of its own. It stands in
// for what cannot be known afterwards: every allowed action succeeds at once, nobody
// answers what people would be asked, and whoever steps back to observe stays there.
// It is not safe for concurrent use.
type Simulation struct {
	g     *Guard
	now   time.Time
	modes map[string]store.ModeRow
	kept  map[store.CountKey][]kept
	// effects holds until when an effect cannot be caused again, or asked for.
	effects map[string]standing
	// swept is when what nobody can ask for any more was last forgotten.
	swept time.Time
}

// kept is one effect that counts under a key.
type kept struct {
	at            time.Time
	subject, kind string
	kills         bool
}

// standing is an action that another with the same effect joins.
type standing struct {
	until   time.Time // zero: for good
	waiting bool
}

func (s standing) over(now time.Time) bool { return !s.until.IsZero() && !now.Before(s.until) }

// Joined is the outcome, of Simulation alone, of an action whose effect another one
// has or waits for already.
const Joined Outcome = "joined"

// Foreseen is a verdict of a Simulation.
type Foreseen struct {
	Verdict
	// Asks are all verdicts by which people would be asked, the first one's rule is
	// the Verdict's.
	Asks []Verdict
}

// NewSimulation starts with nothing counted, by the same options as the Assessor's.
func NewSimulation(o Options, actions action.Registry) (*Simulation, error) {
	o.KillSwitchFile = ""
	g, err := New(o)
	if err != nil {
		return nil, err
	}
	g.parts.Actions = actions
	return &Simulation{g: g, modes: map[string]store.ModeRow{}, kept: map[store.CountKey][]kept{}, effects: map[string]standing{}}, nil
}

// Canary has a playbook observe outside of these namespaces and labels.
func (s *Simulation) Canary(playbook string, namespaces []string, labels map[string]string) error {
	b, err := encodeLabels(labels)
	s.modes[playbook] = store.ModeRow{Playbook: playbook, Namespaces: namespaces, Labels: b}
	return err
}

// SteppedBack says by which rule a playbook has stepped back to observe; empty if it
// has not.
func (s *Simulation) SteppedBack(playbook string) string { return s.modes[playbook].SteppedBack }

// Judge decides about an action that was assessed, at a time that is not before the
// last one's. An allowed effect lasts for that long, or for good if that is 0; people
// are asked for as long as asked.
func (s *Simulation) Judge(at time.Time, q Question, v Verdict, lasts, asked time.Duration) Foreseen {
	if at.After(s.now) {
		s.now = at
	}
	s.sweep()
	if v.Effect == nil {
		return Foreseen{Verdict: v}
	}
	key := bounded(q.Type + " " + q.Target.Identity())
	if held, there := s.effects[key]; there && !held.over(s.now) && (!held.waiting || v.Outcome == Ask) {
		return Foreseen{Verdict: Verdict{Outcome: Joined, Effect: v.Effect}}
	}
	look := &survey{g: s.g, modes: s.modes}
	look.tallies.want(s.g.limits(v.Effect, false))
	look.tallies.answer(s.found(look.tallies.asked))
	judged := look.decide(Proposed{Effect: v.Effect, Waiting: v.Outcome == Ask, Rule: v.Rule, Reason: v.Reason})
	judged.Effect = v.Effect
	switch judged.Outcome {
	case Allow:
		s.effects[key] = standing{until: end(s.now, lasts)}
		if v.Effect.Counted {
			for _, k := range v.Effect.keys() {
				s.kept[k] = append(s.kept[k], kept{s.now, v.Effect.Subject, v.Effect.Type, v.Effect.Kills})
			}
		}
	case Ask:
		s.effects[key] = standing{until: end(s.now, asked), waiting: true}
	default: // nothing comes of it
		return Foreseen{Verdict: judged}
	}
	return Foreseen{Verdict: judged, Asks: look.asks}
}

func end(now time.Time, lasts time.Duration) time.Time {
	if lasts == 0 {
		return time.Time{}
	}
	return now.Add(lasts)
}

// found answers tallies as the store does, see store.Tally.
func (s *Simulation) found(asked []store.Tally) [][]string {
	out := make([][]string, len(asked))
	for i, t := range asked {
		seen := map[string]bool{}
		for _, k := range s.kept[t.CountKey] {
			age := s.now.Sub(k.at)
			if age >= t.Span || age < t.Settle || t.Kills && !k.kills || t.Type != "" && t.Type != k.kind || seen[k.subject] {
				continue
			}
			if len(out[i]) == t.Limit {
				break
			}
			seen[k.subject] = true
			out[i] = append(out[i], k.subject)
		}
	}
	return out
}

// sweep forgets now and then what is older than the guard looks back.
func (s *Simulation) sweep() {
	span := s.g.options.Limits.LookBack()
	if s.now.Sub(s.swept) < span {
		return
	}
	s.swept = s.now
	for key, all := range s.kept {
		i := 0
		for i < len(all) && s.now.Sub(all[i].at) >= span {
			i++
		}
		if i == len(all) {
			delete(s.kept, key)
		} else {
			s.kept[key] = slices.Clone(all[i:])
		}
	}
	for key, held := range s.effects {
		if held.over(s.now) {
			delete(s.effects, key)
		}
	}
}
