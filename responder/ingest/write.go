package ingest

import (
	"context"
	"slices"
	"strings"

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
	err := in.Store.InTx(ctx, func(tx store.Tx) error {
		var err error
		if fresh, err = in.arrive(ctx, tx, drafts); err != nil || len(fresh) == 0 {
			return err
		}
		incidents, err := in.join(ctx, tx, fresh)
		if err != nil {
			return err
		}
		var alerts []store.NewAlert
		var decisions []store.NewDecision
		var actions []store.NewAction
		for _, d := range fresh {
			alerts = append(alerts, d.row(incidents[d.incident]))
			decisions = append(decisions, d.decisions...)
			for _, a := range d.actions {
				actions = append(actions, a.NewAction)
			}
		}
		if err := tx.AddAlerts(ctx, alerts); err != nil {
			return err
		}
		if err := tx.AddDecisions(ctx, decisions); err != nil {
			return err
		}
		fates, err := tx.Plan(ctx, actions)
		if err != nil {
			return err
		}
		final, entries, err := in.reserve(ctx, tx, fresh, fates)
		if err != nil {
			return err
		}
		ids := planned(final, fates)
		enqueued = len(ids)
		if enqueued > 0 {
			if err := in.Enqueue(ctx, tx, ids...); err != nil {
				return err
			}
		}
		return audit.Append(ctx, tx, append(record(final, incidents, fates), entries...)...)
	})
	if err != nil {
		return err
	}
	in.count(drafts, fresh, enqueued)
	return nil
}

// planned are the actions to execute.
func planned(final []draft, fates []store.Planned) (ids []string) {
	for _, d := range final {
		for _, a := range d.actions {
			if fates[0].Joined == "" && a.State == "planned" {
				ids = append(ids, a.ID)
			}
			fates = fates[1:]
		}
	}
	return ids
}

func (in *Ingest) count(drafts, fresh []draft, planned int) {
	in.counts.stored.Add(uint64(len(fresh)))
	in.counts.duplicates.Add(uint64(len(drafts) - len(fresh)))
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
// incident only once.
func (in *Ingest) join(ctx context.Context, tx store.Tx, fresh []draft) (map[store.IncidentKey]string, error) {
	at := map[store.IncidentKey]int{}
	var joins []store.Join
	for _, d := range fresh {
		i, known := at[d.incident]
		if !known {
			i = len(joins)
			at[d.incident] = i
			joins = append(joins, store.Join{
				IncidentKey: d.incident, ID: d.newIncident, Title: incident.Title(d.alert, d.binding, d.pod), Priority: int(d.alert.Priority),
				FirstAt: d.input.Now, LastAt: d.input.Now,
			})
		}
		j := &joins[i]
		j.Alerts++
		j.Priority = min(j.Priority, int(d.alert.Priority))
	}
	return tx.JoinIncidents(ctx, joins, joins[0].LastAt.Add(-incident.Window))
}

func (d *draft) row(incidentID string) store.NewAlert {
	a, r := d.alert, d.alert.Riposte
	row := store.NewAlert{
		ID: a.UUID, IncidentID: incidentID, Cluster: r.Cluster, Node: r.Node, Rule: a.Rule, Priority: int(a.Priority), Source: a.Source, Output: a.Output,
		Binding: string(d.binding), Recorded: r.Recorded, KernelNS: r.KernelTimeNS, AlertNS: r.AlertTimeNS, ReceivedNS: d.ReceivedAt().UnixNano(),
		Body: string(d.Data()),
	}
	if r.Container != nil {
		row.ContainerID = r.Container.ID
	}
	if r.Pod != nil {
		row.Namespace, row.Pod, row.PodUID = r.Pod.Namespace, r.Pod.Name, r.Pod.UID
	}
	if t, ok := d.boundPod(); ok {
		row.Namespace, row.Pod, row.PodUID = t.Namespace, t.Name, t.UID
	}
	return row
}

// record says in the audit record what the batch decided, in the order in which
// it happened.
func record(fresh []draft, incidents map[store.IncidentKey]string, fates []store.Planned) []audit.Entry {
	var all []audit.Entry
	for _, d := range fresh {
		why := audit.Why{AlertID: d.alert.UUID, IncidentID: incidents[d.incident], Rule: d.alert.Rule}
		came := audit.Entry{Cluster: d.origin.Cluster, Kind: audit.Alert, Actor: audit.System("agent on " + clipName(d.origin.Node)), Result: "stored", Why: why, When: when(d.arrival, 0)}
		if d.binding == playbook.Forged {
			came.Kind, came.Note = audit.AlertForged, "the alert names a pod that is on another node"
		}
		all = append(all, came)
		decided := when(d.arrival, d.decidedNS)
		for _, x := range d.decisions {
			e := audit.Entry{Cluster: d.origin.Cluster, Kind: audit.Decision, Actor: audit.Playbook(clipName(x.Playbook), x.Revision), Result: x.State, Note: x.Reason, Why: why, When: decided}
			if x.State == "refused" {
				e.Kind = audit.DecisionRefused
			}
			all = append(all, e)
		}
		for _, x := range d.actions {
			all = append(all, recordAction(d, x, fates[0], why, decided)...)
			fates = fates[1:]
		}
	}
	return all
}

func recordAction(d draft, x proposed, fate store.Planned, why audit.Why, decided audit.When) []audit.Entry {
	why.Reason = x.Reason
	e := audit.Entry{
		Cluster: d.origin.Cluster, Actor: audit.Playbook(clipName(x.Playbook), x.Revision), Result: x.State, Note: x.Note, Why: why, When: decided,
		What: audit.What{ActionID: x.ID, Type: x.Type, Object: x.target.Identity(), UID: x.target.UID, Params: x.Params},
	}
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

func when(a *arrival, decidedNS int64) audit.When {
	r := a.alert.Riposte
	return audit.When{KernelNS: r.KernelTimeNS, AgentNS: r.AlertTimeNS, ReceivedNS: a.ReceivedAt().UnixNano(), DecidedNS: decidedNS}
}

// clipName keeps an actor within what the audit record takes.
func clipName(s string) string { return strings.ToValidUTF8(s[:min(len(s), 128)], "") }
