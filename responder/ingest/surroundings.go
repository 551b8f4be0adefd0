package ingest

import (
	"context"
	"slices"
	"time"

	"riposte/agent/alert"
	"riposte/responder/incident"
	"riposte/responder/playbook"
	"riposte/responder/store"
)

const (
	// neighbourTime is how far back other incidents of a node are neighbours.
	neighbourTime = 10 * time.Minute
	// maxNeighbours is how many of them a playbook sees.
	maxNeighbours = 20
)

// surroundings is what was read for a batch, and what the batch itself adds to it.
type surroundings struct{ store.Surroundings }

// survey reads what the playbooks may know beside the alerts, and leaves out the
// drafts of what is stored already or twice in the batch.
func (in *Ingest) survey(ctx context.Context, drafts []draft, now time.Time) (surroundings, []draft, error) {
	q := store.Around{Idle: now.Add(-in.Window), NodesSince: now.Add(-neighbourTime), Actions: historyLength}
	for _, d := range drafts {
		q.Origins = append(q.Origins, d.origin)
		q.Keys = append(q.Keys, d.incident)
		q.Nodes = append(q.Nodes, store.NodeKey{Cluster: d.origin.Cluster, Node: d.origin.Node})
		q.Objects = append(q.Objects, d.objects()...)
	}
	found, err := in.Store.Surroundings(ctx, q)
	if err != nil {
		return surroundings{}, nil, err
	}
	fresh := slices.DeleteFunc(drafts, func(d draft) bool {
		seen := found.Seen[d.origin]
		found.Seen[d.origin] = true
		if seen {
			in.counts.duplicates.Add(1)
			in.Observer.Left(Duplicate, d.alert.Priority.Token())
		}
		return seen
	})
	return surroundings{found}, fresh, nil
}

// join is the incident that the alert would join. The batch's next alert of this key
// comes after this one.
func (s surroundings) join(d *draft, now time.Time) *playbook.Incident {
	i, there := s.Open[d.incident]
	if !there {
		i = store.OpenIncident{ID: newID(), Priority: int(d.alert.Priority), FirstAt: now}
	}
	i.Alerts++
	i.Priority = min(i.Priority, int(d.alert.Priority))
	s.Open[d.incident] = i
	return &playbook.Incident{
		ID: i.ID, Alerts: i.Alerts, Priority: alert.Priority(i.Priority).String(), FirstAt: i.FirstAt.UTC(), History: past(s.OfIncident, []string{i.ID}),
	}
}

// neighbours are the node's other incidents; the alert's own is one for the batch's
// next alerts. What came over the intake is no node's: its node is only a claim.
func (s surroundings) neighbours(d *draft, own string) []playbook.Neighbour {
	if d.alert.Riposte.Intake != "" {
		return nil
	}
	var all []playbook.Neighbour
	node := store.NodeKey{Cluster: d.origin.Cluster, Node: d.origin.Node}
	mine := store.NodeIncident{ID: own, Key: d.incident.Key, Priority: int(d.alert.Priority), LastAt: d.input.Now}
	for _, i := range s.OnNode[node] {
		if i.ID == own {
			mine.Priority = min(mine.Priority, i.Priority)
		} else if len(all) < maxNeighbours {
			all = append(all, playbook.Neighbour{Incident: i.ID, About: i.Key, Priority: alert.Priority(i.Priority).String(), LastAt: i.LastAt.UTC()})
		}
	}
	rest := slices.DeleteFunc(s.OnNode[node], func(i store.NodeIncident) bool { return i.ID == own })
	s.OnNode[node] = append([]store.NodeIncident{mine}, rest...)
	return all
}

// draft starts what will be written about each alert that is new.
func (in *Ingest) draft(ctx context.Context, work []*arrival) ([]draft, error) {
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	now := in.Now().UTC()
	drafts := make([]draft, len(work))
	for i, a := range work {
		drafts[i] = draft{arrival: a, incident: store.IncidentKey{Cluster: a.origin.Cluster, Key: incident.Key(a.alert, a.binding, a.pod)}}
	}
	s, drafts, err := in.survey(ctx, drafts, now)
	if err != nil {
		return nil, err
	}
	for i := range drafts {
		d := &drafts[i]
		joined := s.join(d, now)
		d.newIncident = joined.ID
		d.input = playbook.Input{
			Schema: playbook.InputSchema, Alert: d.alert, Binding: d.binding,
			Node: playbook.Identified{Name: d.origin.Node}, Cluster: playbook.Named{Name: d.origin.Cluster},
			Incident: joined, History: past(s.OfObject, d.objects()), Now: now,
		}
		d.input.Neighbours = s.neighbours(d, joined.ID)
		if d.binding == playbook.Bound {
			d.input.Pod = d.pod
		}
	}
	in.locateAll(ctx, drafts)
	return drafts, nil
}
