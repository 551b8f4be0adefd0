package ingest

import (
	"context"
	"slices"
	"strings"
	"time"

	"riposte/responder/action"
	"riposte/responder/audit"
	"riposte/responder/incident"
	"riposte/responder/playbook"
	"riposte/responder/store"
)

// write stores drafts in one transaction. The tables are written in one order
// by all writers, the audit record last: its head is the lock that all share.
func (in *Ingest) write(ctx context.Context, drafts []draft) error {
	ctx, cancel := context.WithTimeout(ctx, writeTime)
	defer cancel()
	var fresh []draft
	var enqueued int
	var noted []store.RunKey
	var folded *groups
	var fates []store.Planned
	err := in.Store.InTx(ctx, func(tx store.Tx) error {
		var err error
		if fresh, err = in.arrive(ctx, tx, drafts); err != nil || len(fresh) == 0 {
			return err
		}
		noted = in.runs.unknown(fresh)
		if err := tx.NoteRuns(ctx, noted, in.Now()); err != nil {
			return err
		}
		incidents, opened, err := in.join(ctx, tx, fresh)
		if err != nil {
			return err
		}
		if err := tx.NoteNodes(ctx, seenOn(fresh, incidents)); err != nil {
			return err
		}
		folded = fold(fresh, incidents)
		if err := folded.store(ctx, tx); err != nil {
			return err
		}
		fates, err = tx.Plan(ctx, column(folded.actions, func(a *proposed) store.NewAction { return a.NewAction }))
		if err != nil {
			return err
		}
		entries, err := in.reserve(ctx, tx, folded.actions, fates)
		if err != nil {
			return err
		}
		ids := planned(folded.actions, fates)
		enqueued = len(ids)
		if enqueued > 0 {
			if err := in.Enqueue(ctx, tx, ids...); err != nil {
				return err
			}
		}
		return audit.Append(ctx, tx, slices.Concat(opened, folded.record(fates), entries)...)
	})
	if err != nil {
		return err
	}
	in.runs.note(noted)
	in.count(drafts, fresh, enqueued)
	if len(fresh) > 0 {
		in.observe(folded, fates)
	}
	return nil
}

// planned are the actions to execute.
func planned(actions []proposed, fates []store.Planned) (ids []string) {
	for i := range actions {
		if fates[i].Joined == "" && actions[i].State == "planned" {
			ids = append(ids, actions[i].ID)
		}
	}
	return ids
}

func (in *Ingest) count(drafts, fresh []draft, planned int) {
	in.counts.stored.Add(uint64(len(fresh)))
	in.counts.duplicates.Add(uint64(len(drafts) - len(fresh)))
	in.leftOut(drafts, fresh)
	in.counts.actions.Add(uint64(planned))
	for _, d := range fresh {
		in.counts.decisions.Add(uint64(len(d.decisions)))
		switch d.binding {
		case playbook.Forged:
			in.counts.forged.Add(1)
			in.Log.Warn("an alert names a pod of another node", "alert", d.alert.UUID, "node", d.origin.Node)
		case playbook.Unbound:
			in.counts.unbound.Add(1)
		}
	}
}

// arrive writes the inbox and leaves out what another responder stored meanwhile.
func (in *Ingest) arrive(ctx context.Context, tx store.Tx, drafts []draft) ([]draft, error) {
	arrivals := make([]store.Arrival, len(drafts))
	for i, d := range drafts {
		arrivals[i] = store.Arrival{Origin: d.origin, AlertID: d.alert.UUID, Received: d.ReceivedAt()}
	}
	isNew, err := tx.Arrive(ctx, arrivals)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(drafts), func(d draft) bool { return !isNew[d.origin] }), nil
}

// join merges the batch's alerts of one key, because a statement may touch an
// incident only once, and returns the entries about incidents that began.
func (in *Ingest) join(ctx context.Context, tx store.Tx, fresh []draft) (map[store.IncidentKey]string, []audit.Entry, error) {
	at := map[store.IncidentKey]int{}
	var joins []store.Join
	var began []audit.What
	for _, d := range fresh {
		i, known := at[d.incident]
		if !known {
			i = len(joins)
			at[d.incident] = i
			began = append(began, d.about())
			joins = append(joins, store.Join{
				IncidentKey: d.incident, ID: d.newIncident, Title: incident.Title(d.alert, d.binding, d.pod), Priority: int(d.alert.Priority),
				FirstAt: d.input.Now, LastAt: d.input.Now, Labels: d.labels(),
			})
		}
		j := &joins[i]
		j.Alerts++
		j.Priority = min(j.Priority, int(d.alert.Priority))
		if t := d.attackAt(); t.After(j.AttackAt) {
			j.AttackAt = t
		}
	}
	joined, err := tx.JoinIncidents(ctx, joins, joins[0].LastAt.Add(-in.Window))
	if err != nil {
		return nil, nil, err
	}
	ids := map[store.IncidentKey]string{}
	var changes []store.IncidentChange
	var entries []audit.Entry
	for n, j := range joins {
		i := joined[j.IncidentKey]
		ids[j.IncidentKey] = i.ID
		c := store.IncidentChange{ID: i.ID, To: string(incident.Open), At: j.LastAt, Actor: audit.System("ingest"), Reason: j.Title}
		switch {
		case i.Reopened:
			c.From, c.Reason = string(incident.Contained), "the attack went on after it was contained"
		case !i.Opened:
			continue
		}
		e := incident.Entry(j.Cluster, c)
		if i.Opened {
			e.What = began[n]
		}
		changes, entries = append(changes, c), append(entries, e)
	}
	return ids, entries, tx.AddIncidentHistory(ctx, changes)
}

// seenOn is which incidents the nodes' alerts joined. What came over the intake is no
// node's: its node is only a claim.
func seenOn(fresh []draft, incidents map[store.IncidentKey]string) []store.SeenOn {
	type part struct {
		node     store.NodeKey
		incident string
	}
	at := map[part]int{}
	var seen []store.SeenOn
	for _, d := range fresh {
		if d.alert.Riposte.Intake != "" {
			continue
		}
		p := part{store.NodeKey{Cluster: d.origin.Cluster, Node: d.origin.Node}, incidents[d.incident]}
		i, known := at[p]
		if !known {
			i = len(seen)
			at[p] = i
			seen = append(seen, store.SeenOn{NodeKey: p.node, IncidentID: p.incident, Priority: int(d.alert.Priority), At: d.input.Now})
		}
		seen[i].Priority = min(seen[i].Priority, int(d.alert.Priority))
	}
	return seen
}

// attackAt is when the alert's cause happened: not later than its receipt, whatever
// the node's clock says.
func (d *draft) attackAt() time.Time {
	at := d.input.Now
	if ns := d.alert.Riposte.KernelTimeNS; ns > 0 && ns < at.UnixNano() {
		at = time.Unix(0, ns)
	}
	return at
}

func (d *draft) row(incidentID string) store.NewAlert {
	a, r := d.alert, d.alert.Riposte
	row := store.NewAlert{
		ID: a.UUID, IncidentID: incidentID, Cluster: r.Cluster, Node: r.Node, Rule: a.Rule, Priority: int(a.Priority), Source: a.Source, Output: a.Output,
		Binding: string(d.binding), Recorded: r.Recorded, KernelNS: r.KernelTimeNS, AlertNS: r.AlertTimeNS, ReceivedNS: d.ReceivedAt().UnixNano(),
		Body: string(d.Data()), Labels: d.labels(),
	}
	if r.Container != nil {
		row.ContainerID = r.Container.ID
	}
	row.Namespace, row.Pod, row.PodUID = d.namedPod()
	return row
}

// namedPod is the alert's pod, as the API server knows it or else as the alert says.
func (a *arrival) namedPod() (namespace, name, uid string) {
	if t, ok := a.boundPod(); ok {
		return t.Namespace, t.Name, t.UID
	}
	if pod := a.alert.Riposte.Pod; pod != nil {
		return pod.Namespace, pod.Name, pod.UID
	}
	return "", "", ""
}

// about is what the record's entries about an alert, and what came of it, are about.
func (a *arrival) about() audit.What {
	what := audit.What{Node: a.origin.Node}
	if namespace, name, uid := a.namedPod(); name != "" || uid != "" {
		what.Kind, what.Namespace, what.Name, what.UID = action.KindPod, namespace, name, uid
	}
	return what
}

// labels are the pod's as the record keeps them: what the API server said of it, or else
// what the alert says.
func (a *arrival) labels() map[string]string {
	switch pod := a.alert.Riposte.Pod; {
	case a.pod != nil:
		return audit.Labels(a.pod.Labels)
	case pod != nil && a.binding != playbook.Forged:
		return audit.Labels(pod.Labels)
	}
	return nil
}

func when(a *arrival, decidedNS int64) audit.When {
	r := a.alert.Riposte
	return audit.When{KernelNS: r.KernelTimeNS, AgentNS: r.AlertTimeNS, ReceivedNS: a.ReceivedAt().UnixNano(), DecidedNS: decidedNS}
}

// sender is who sent the alert, as the record's actor.
func (a *arrival) sender() string {
	if i := a.alert.Riposte.Intake; i != "" {
		return audit.System("intake of " + clipName(i))
	}
	return audit.System("agent on " + clipName(a.origin.Node))
}

// clipName keeps an actor within what the audit record takes.
func clipName(s string) string { return strings.ToValidUTF8(s[:min(len(s), 128)], "") }
