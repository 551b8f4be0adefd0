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
type surroundings struct {
	open map[store.IncidentKey]store.OpenIncident
	// history is by object, of is by incident.
	history, of map[string][]store.Past
	nodes       map[store.NodeKey][]store.NodeIncident
}

// survey reads what the playbooks may know beside the alerts, with a fixed number
// of statements for the whole batch.
func (in *Ingest) survey(ctx context.Context, drafts []draft, now time.Time) (s surroundings, err error) {
	var keys []store.IncidentKey
	var nodes []store.NodeKey
	var objects, ids []string
	for _, d := range drafts {
		keys = append(keys, d.incident)
		nodes = append(nodes, store.NodeKey{Cluster: d.origin.Cluster, Node: d.origin.Node})
		objects = append(objects, d.objects()...)
	}
	if s.open, err = in.Store.OpenIncidents(ctx, keys, now.Add(-in.Window)); err != nil {
		return s, err
	}
	for _, i := range s.open {
		ids = append(ids, i.ID)
	}
	if s.of, err = in.Store.IncidentActions(ctx, ids, historyLength); err != nil {
		return s, err
	}
	if s.nodes, err = in.Store.NodeIncidents(ctx, nodes, now.Add(-neighbourTime)); err != nil || len(objects) == 0 {
		return s, err
	}
	s.history, err = in.Store.History(ctx, objects, historyLength)
	return s, err
}

// join is the incident that the alert would join. The batch's next alert of this key
// comes after this one.
func (s surroundings) join(d *draft, now time.Time) *playbook.Incident {
	i, there := s.open[d.incident]
	if !there {
		i = store.OpenIncident{ID: newID(), Priority: int(d.alert.Priority), FirstAt: now}
	}
	i.Alerts++
	i.Priority = min(i.Priority, int(d.alert.Priority))
	s.open[d.incident] = i
	return &playbook.Incident{
		ID: i.ID, Alerts: i.Alerts, Priority: alert.Priority(i.Priority).String(), FirstAt: i.FirstAt.UTC(), History: past(s.of, []string{i.ID}),
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
	for _, i := range s.nodes[node] {
		if i.ID == own {
			mine.Priority = min(mine.Priority, i.Priority)
		} else if len(all) < maxNeighbours {
			all = append(all, playbook.Neighbour{Incident: i.ID, About: i.Key, Priority: alert.Priority(i.Priority).String(), LastAt: i.LastAt.UTC()})
		}
	}
	rest := slices.DeleteFunc(s.nodes[node], func(i store.NodeIncident) bool { return i.ID == own })
	s.nodes[node] = append([]store.NodeIncident{mine}, rest...)
	return all
}

// draft starts what will be written about each alert.
func (in *Ingest) draft(ctx context.Context, fresh []*arrival) ([]draft, error) {
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	now := in.Now().UTC()
	drafts := make([]draft, len(fresh))
	for i, a := range fresh {
		drafts[i] = draft{arrival: a, incident: store.IncidentKey{Cluster: a.origin.Cluster, Key: incident.Key(a.alert, a.binding, a.pod)}}
	}
	s, err := in.survey(ctx, drafts, now)
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
			Incident: joined, History: past(s.history, d.objects()), Now: now,
		}
		d.input.Neighbours = s.neighbours(d, joined.ID)
		if d.binding == playbook.Bound {
			d.input.Pod = d.pod
		}
	}
	in.locateAll(ctx, drafts)
	return drafts, nil
}
