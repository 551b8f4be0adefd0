package ingest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strconv"

	"riposte/responder/action"
	"riposte/responder/audit"
	"riposte/responder/incident"
	"riposte/responder/playbook"
	"riposte/responder/store"
)

// groups are a batch's alerts folded for storing: equal alerts of one incident are
// one row, equal answers to them one decision. What is equal to something that is
// stored already is counted there.
type groups struct {
	alerts []group
	// actions are those that are planned or have to be shown, in the order of alerts.
	actions []proposed
}

// group is some equal alerts; the first stands for all.
type group struct {
	drafts []draft
	row    store.NewAlert
	// repeated: an equal alert was stored before this batch.
	repeated  bool
	decisions []answer
}

// answer is some equal decisions of one group.
type answer struct {
	store.NewDecision
	// repeated: an equal decision was stored before.
	repeated bool
	// actions are those of all the equal decisions, until store has chosen.
	actions []proposed
	// chosen is how many of groups.actions are this answer's.
	chosen int
}

func fold(fresh []draft, incidents map[store.IncidentKey]string) *groups {
	type key struct {
		incident    store.IncidentKey
		fingerprint string
	}
	g := &groups{}
	at := map[key]int{}
	for _, d := range fresh {
		fingerprint := incident.Fingerprint(d.alert, d.binding)
		k := key{d.incident, string(fingerprint)}
		i, known := at[k]
		if !known {
			i = len(g.alerts)
			at[k] = i
			row := d.row(incidents[d.incident])
			row.Fingerprint = fingerprint
			g.alerts = append(g.alerts, group{row: row})
		}
		g.alerts[i].add(d)
	}
	return g
}

func (g *group) add(d draft) {
	g.drafts = append(g.drafts, d)
	g.row.Count++
	if g.row.Count > 1 {
		g.row.LastNS = max(g.row.LastNS, d.ReceivedAt().UnixNano())
	}
	for _, decision := range d.decisions {
		var own []proposed
		for _, a := range d.actions {
			if a.DecisionID == decision.ID {
				own = append(own, a)
			}
		}
		decision.Digest, decision.Count = digest(decision, own), 1
		i := 0
		for i < len(g.decisions) && string(g.decisions[i].Digest) != string(decision.Digest) {
			i++
		}
		if i == len(g.decisions) {
			g.decisions = append(g.decisions, answer{NewDecision: decision})
		} else {
			g.decisions[i].Count++
		}
		g.decisions[i].actions = append(g.decisions[i].actions, own...)
	}
}

// digest is equal for decisions that say the same and came to the same.
func digest(d store.NewDecision, actions []proposed) []byte {
	h := sha256.New()
	add := func(parts ...string) {
		for _, p := range parts {
			fmt.Fprintf(h, "%d:%s", len(p), p)
		}
	}
	add(d.Playbook, d.Revision, d.Mode, d.State, d.Reason, d.Result)
	for _, a := range actions {
		add(a.Type, a.target.Identity(), string(a.Params), a.State, a.RefusedBy, a.Note)
	}
	return h.Sum(nil)[:16]
}

// store writes alerts and decisions and chooses the actions: those of a repeated
// decision only if they may have an effect, for they may find the first one's ended.
func (g *groups) store(ctx context.Context, tx store.Tx) error {
	ids, err := tx.AddAlerts(ctx, column(g.alerts, func(x *group) store.NewAlert { return x.row }))
	if err != nil {
		return err
	}
	var decisions []store.NewDecision
	for i := range g.alerts {
		x := &g.alerts[i]
		x.repeated, x.row.ID = ids[i] != x.row.ID, ids[i]
		for j := range x.decisions {
			x.decisions[j].AlertID = x.row.ID
			decisions = append(decisions, x.decisions[j].NewDecision)
		}
	}
	if len(decisions) == 0 {
		return nil
	}
	stored, err := tx.AddDecisions(ctx, decisions)
	if err != nil {
		return err
	}
	for i := range g.alerts {
		x := &g.alerts[i]
		for j := range x.decisions {
			d := &x.decisions[j]
			d.repeated, d.ID = stored[0] != d.ID, stored[0]
			stored = stored[1:]
			first := ""
			for _, a := range d.actions {
				if first == "" {
					first = a.DecisionID
				}
				again := d.repeated || a.DecisionID != first
				if again && a.State != "planned" && a.State != "waiting" {
					continue
				}
				a.AlertID, a.DecisionID, a.IncidentID, a.again = x.row.ID, d.ID, x.row.IncidentID, again
				a.Labels, a.Namespace = x.row.Labels, seenIn(x.row.Namespace, a.target)
				g.actions = append(g.actions, a)
				d.chosen++
			}
		}
	}
	return nil
}

// record says in the audit record what the batch decided, in the order in which it
// happened. What is repeated is one entry with a number, unless it has an effect.
func (g *groups) record(fates []store.Planned) []audit.Entry {
	var all []audit.Entry
	actions := g.actions
	for _, x := range g.alerts {
		d := x.drafts[0]
		why := audit.Why{AlertID: x.row.ID, IncidentID: x.row.IncidentID, Rule: d.alert.Rule}
		came := audit.Entry{Cluster: d.origin.Cluster, Namespace: x.row.Namespace, Kind: audit.Alert, Actor: d.sender(), Result: "stored", Why: why, What: d.about(), When: when(d.arrival, 0)}
		if d.binding == playbook.Forged {
			came.Kind, came.Note = audit.AlertForged, "the alert names a pod that is on another node, or that its sender may not speak of"
		}
		again := len(x.drafts)
		if !x.repeated {
			all = append(all, came)
			again--
		}
		if again > 0 {
			last := x.drafts[len(x.drafts)-1]
			all = append(all, audit.Entry{
				Cluster: d.origin.Cluster, Namespace: x.row.Namespace, Kind: audit.AlertRepeated, Actor: d.sender(), Result: "counted", Why: why, What: d.about(), When: when(last.arrival, 0),
				Note: strconv.Itoa(again) + " more that are equal",
			})
		}
		decided := when(d.arrival, d.decidedNS)
		for _, a := range x.decisions {
			if !a.repeated {
				e := audit.Entry{
					Cluster: d.origin.Cluster, Namespace: x.row.Namespace, Kind: audit.Decision, Actor: audit.Playbook(clipName(a.Playbook), a.Revision), Result: a.State, Note: a.Reason,
					Why: why, What: d.about(), When: decided,
				}
				if a.State == "refused" {
					e.Kind = audit.DecisionRefused
				}
				all = append(all, e)
			}
			for i, p := range actions[:a.chosen] {
				if !p.again || fates[i].Joined == "" {
					all = append(all, recordAction(d, p, fates[i], why, decided)...)
				}
				if longer := fates[i].Prolonged; longer != nil {
					e := entryOf(d, p, why, decided)
					e.Kind, e.Result, e.What.ActionID, e.Note = audit.ActionProlonged, "prolonged", fates[i].Joined, longer.String()
					all = append(all, e)
				}
			}
			actions, fates = actions[a.chosen:], fates[a.chosen:]
		}
	}
	return all
}

// seenIn is the namespace whose readers may see an action: the alert's, if the target is
// there too. A container and a process are where their alert is.
func seenIn(namespace string, t action.Target) string {
	if t.Kind == action.KindContainer || t.Kind == action.KindProcess || t.Namespace == namespace {
		return namespace
	}
	return ""
}

// entryOf begins an entry about an action.
func entryOf(d draft, x proposed, why audit.Why, decided audit.When) audit.Entry {
	why.Reason = x.Reason
	e := audit.Entry{
		Cluster: d.origin.Cluster, Namespace: x.Namespace, Actor: audit.Playbook(clipName(x.Playbook), x.Revision), Result: x.State, Note: x.Note, Why: why, When: decided,
		What: audit.What{
			ActionID: x.ID, Type: x.Type, Object: x.target.Identity(), UID: x.target.UID, Params: x.Params,
			Kind: x.target.Kind, Namespace: x.target.Namespace, Name: x.target.Name, Node: d.origin.Node,
		},
	}
	e.What.Labels = d.labels()
	return e
}

func recordAction(d draft, x proposed, fate store.Planned, why audit.Why, decided audit.When) []audit.Entry {
	e := entryOf(d, x, why, decided)
	switch {
	case fate.Joined != "":
		e.Kind, e.Result, e.What.ActionID, e.Note = audit.ActionJoined, "joined", fate.Joined, "joined "+fate.Joined
	case x.State == "observed":
		e.Kind = audit.ActionObserved
	case x.State == "refused":
		e.Kind, e.Note = audit.ActionRefused, x.RefusedBy+": "+x.Note
	default:
		e.Kind = audit.ActionIntent
	}
	all := []audit.Entry{e}
	if fate.Superseded != "" {
		gone := e
		gone.Kind, gone.Result, gone.What.ActionID, gone.Note = audit.ActionResult, "cancelled", fate.Superseded, "needless: "+x.ID+" needs no approval"
		all = append([]audit.Entry{gone}, all...)
	}
	return all
}

// column is one field of all rows.
func column[T, V any](rows []T, field func(*T) V) []V {
	all := make([]V, len(rows))
	for i := range rows {
		all[i] = field(&rows[i])
	}
	return all
}
