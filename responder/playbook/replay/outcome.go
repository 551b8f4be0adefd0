package replay

import (
	"slices"
	"time"

	"riposte/responder/action"
	"riposte/responder/guard"
)

const (
	// maxPods and maxLimits bound what an outcome tells one by one, maxTimes what its
	// times are made of.
	maxPods   = 1000
	maxLimits = 200
	maxTimes  = 100_000
)

// counting are the guard's rules that are about limits.
var counting = []string{
	guard.RuleBudgetPlaybook, guard.RuleBudgetWorkload, guard.RuleBudgetNamespace, guard.RuleBudgetNode, guard.RuleBudgetCluster,
	guard.RuleCooldown, guard.RuleLoop, guard.RuleShare, guard.RuleCordoned,
}

// outcome simulates the guard over one side's proposals.
type outcome struct {
	Outcome
	sim   *guard.Simulation
	asked time.Duration
	// canary, if not nil, is set for each playbook when it first proposes.
	canary func(name string) error
	set    map[string]bool
	limits map[string]int // by rule and reason: where it stands in Limits
	pods   map[string]bool
	took   durations
	// exact are the times of what was executed, until those until the decision of what
	// was not, by type of action.
	exact []time.Duration
	until map[string][]time.Duration
}

func newOutcome(o Options, took durations) (*outcome, error) {
	sim, err := guard.NewSimulation(o.Guard, o.Actions)
	return &outcome{
		Outcome: Outcome{Rules: map[string]int64{}, Limits: []Reached{}, Pods: []Death{}}, sim: sim, asked: o.Asked, set: map[string]bool{},
		limits: map[string]int{}, pods: map[string]bool{}, took: took, until: map[string][]time.Duration{},
	}, err
}

func (o *outcome) play(u unit, s side) {
	if o.canary != nil && !o.set[u.playbook] {
		o.set[u.playbook] = true
		_ = o.canary(u.playbook) // labels are texts: they can be written as JSON
	}
	for _, p := range s.proposals {
		o.Proposed++
		v := o.sim.Judge(u.at, p.outlook.Question, p.verdict, p.lasts, o.asked)
		switch v.Outcome {
		case guard.Allow:
			o.Allowed++
			o.allowed(u, p, v)
		case guard.Ask:
			o.Asked++
		case guard.Watch:
			o.Observed++
		case guard.Joined:
			o.Joined++
		default:
			o.Refused++
		}
		spoke := v.Asks
		if len(spoke) == 0 && v.Rule != "" {
			spoke = []guard.Verdict{v.Verdict}
		}
		for _, by := range spoke {
			o.Rules[by.Rule]++
			if slices.Contains(counting, by.Rule) {
				o.reached(u.at, by)
			}
		}
	}
}

func (o *outcome) reached(at time.Time, v guard.Verdict) {
	key := v.Rule + "\x00" + v.Reason
	i, there := o.limits[key]
	if !there {
		if len(o.Limits) == maxLimits {
			return // Rules has the number
		}
		i = len(o.Limits)
		o.limits[key] = i
		o.Limits = append(o.Limits, Reached{Rule: v.Rule, Reason: v.Reason, First: at})
	}
	o.Limits[i].Times++
}

func (o *outcome) allowed(u unit, p proposal, v guard.Foreseen) {
	t := p.outlook.Question.Target
	if v.Effect.Kills && t.Kind == action.KindPod && !o.pods[t.Identity()] {
		o.pods[t.Identity()] = true
		o.PodsDeleted++
		if len(o.Pods) < maxPods {
			o.Pods = append(o.Pods, Death{Namespace: t.Namespace, Name: t.Name, UID: t.UID, Action: p.Type, Playbook: u.playbook, At: u.at})
		}
	}
	if !v.Effect.Counted {
		return // it contains nothing
	}
	o.Contain.Effects++
	executed, was := u.executed[p.Type]
	switch {
	case u.kernel.IsZero():
		o.Contain.Unknown++
	case was && len(o.exact) < maxTimes:
		o.exact = append(o.exact, executed.Sub(u.kernel))
	case !was && len(o.until[p.Type]) < maxTimes:
		o.until[p.Type] = append(o.until[p.Type], u.at.Sub(u.kernel))
	}
}

func (o *outcome) end() Outcome {
	all := o.exact
	for kind, list := range o.until {
		took := slices.Clone(o.took[kind])
		if len(took) == 0 {
			o.Contain.Unknown += int64(len(list))
			continue
		}
		slices.Sort(took)
		for _, d := range list {
			all = append(all, d+took[len(took)/2])
		}
	}
	slices.Sort(all)
	if n := len(all); n > 0 {
		o.Contain.Median, o.Contain.P90, o.Contain.Longest = all[n/2], all[n*9/10], all[n-1]
	}
	return o.Outcome
}

// durations are how long actions took from the decision to the effect, by type.
type durations map[string][]time.Duration

func (d durations) note(u unit) {
	for kind, at := range u.executed {
		if len(d[kind]) < maxTimes {
			d[kind] = append(d[kind], at.Sub(u.at))
		}
	}
}
