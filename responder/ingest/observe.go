package ingest

import (
	"time"

	"riposte/agent/alert"
	"riposte/responder/playbook"
	"riposte/responder/store"
)

// Observer is told what becomes of alerts, for figures and traces. It stands in the
// way of the alerts: it must not wait.
type Observer interface {
	// Stored tells of an alert whose transaction has committed.
	Stored(s Stored)
	// Left tells of a message that was not stored as an alert.
	Left(why Leaving, priority string)
	// Batch tells how long a batch of messages took, until each had its answer.
	Batch(messages int, took time.Duration)
}

// Leaving is why a message was not stored as an alert.
type Leaving string

// Reasons of a Leaving.
const (
	// Duplicate: it was stored before.
	Duplicate Leaving = "duplicate"
	// Dead: it can never be an alert, or could not be stored, and is put aside.
	Dead Leaving = "dead"
)

// Stored is an alert that is stored, with what was decided about it.
type Stored struct {
	Alert   *alert.Alert
	Binding playbook.Binding
	// Namespace is the pod's as the API server knows it, or as the alert says.
	Namespace string
	// Row is the alert's own id, or that of the equal alert that it was counted with.
	Row, IncidentID              string
	Received, Decided, Committed time.Time
	Evaluated                    []Evaluated
	// Planned are the actions that are new, none where equal alerts came to the same.
	Planned []Planned
}

// Repeated says that an equal alert was stored before, in whose row this one counts.
func (s *Stored) Repeated() bool { return s.Row != s.Alert.UUID }

// Evaluated is one playbook's answer.
type Evaluated struct {
	Playbook, Revision, Mode string
	// State is decided or refused; Late says that it is refused for its deadline.
	State string
	Late  bool
	// Began is zero if the playbook was not asked, because the input was no good.
	Began time.Time
	Took  time.Duration
}

// Planned is what became of a proposed action when the alert was stored.
type Planned struct {
	ID, Type, Playbook string
	// State is the action's first, or "joined" for one that has an earlier action's id.
	State string
	// Rule is why it is not simply planned, empty if it is.
	Rule string
}

// joined is the State of an action that another one stands for.
const joined = "joined"

type unobserved struct{}

func (unobserved) Stored(Stored)            {}
func (unobserved) Left(Leaving, string)     {}
func (unobserved) Batch(int, time.Duration) {}

// observe tells the Observer of a batch that was committed.
func (in *Ingest) observe(g *groups, fates []store.Planned) {
	now := in.Now()
	planned := map[string][]Planned{}
	for i := range g.actions {
		a := &g.actions[i]
		p := Planned{ID: a.ID, Type: a.Type, Playbook: a.Playbook, State: a.State, Rule: a.RefusedBy}
		if fates[i].Joined != "" {
			p.ID, p.State = fates[i].Joined, joined
		}
		planned[a.AlertID] = append(planned[a.AlertID], p)
	}
	for i := range g.alerts {
		x := &g.alerts[i]
		for j := range x.drafts {
			d := &x.drafts[j]
			s := Stored{
				Alert: d.alert, Binding: d.binding, Namespace: x.row.Namespace, Row: x.row.ID, IncidentID: x.row.IncidentID,
				Received: d.ReceivedAt(), Decided: time.Unix(0, d.decidedNS), Committed: now, Evaluated: d.evaluated,
			}
			if j == 0 {
				s.Planned = planned[x.row.ID]
			}
			in.Observer.Stored(s)
		}
	}
}

// leftOut tells the Observer of what another responder stored meanwhile.
func (in *Ingest) leftOut(drafts, fresh []draft) {
	if len(drafts) == len(fresh) {
		return
	}
	is := map[store.Origin]bool{}
	for _, d := range fresh {
		is[d.origin] = true
	}
	for _, d := range drafts {
		if !is[d.origin] {
			in.Observer.Left(Duplicate, d.alert.Priority.Token())
		}
	}
}

// priorityOf is the priority of a message that cannot be read, as its subject says.
func priorityOf(subject string) string {
	if _, _, p, err := alert.ParseSubject(subject); err == nil {
		return p.Token()
	}
	return "unknown"
}
