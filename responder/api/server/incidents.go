package server

import (
	"context"
	"time"

	"riposte/agent/alert"
	"riposte/responder/api"
	"riposte/responder/incident"
	"riposte/responder/store"
)

var incidentParameters = paged(
	parameter{name: "state", kind: wordKind, enum: api.IncidentStates},
	parameter{name: "kind", kind: wordKind, enum: []string{incident.KindAlerts, incident.KindGap, incident.KindSilence}},
	parameter{name: "cluster"}, priorityAtMost, labelSelector, sinceParameter,
)

func incidentFilter(c *call) store.IncidentFilter {
	return store.IncidentFilter{State: c.text("state"), Kind: c.text("kind"), Cluster: c.text("cluster"), AtLeast: c.priority(), Selector: c.selector(), Since: c.since()}
}

func (s *Server) showIncidentTimeline(ctx context.Context, c *call) (any, error) {
	row, err := s.Store.Incident(ctx, c.in, c.id())
	if err != nil {
		return nil, err
	}
	line := api.IncidentTimeline{Incident: incidentResource(row), Events: []api.IncidentEvent{}}
	rows, more, err := s.Store.IncidentTimeline(ctx, c.in, row.ID)
	line.More = more
	for _, e := range rows {
		line.Events = append(line.Events, api.IncidentEvent{
			At: at(e.NS), Kind: e.Kind, ID: e.ID, Name: e.Name, State: e.State, Actor: e.Actor, Detail: e.Detail, Count: e.Count,
		})
	}
	return line, err
}

// changeIncident lets a person say what an incident was; the reason is needed,
// for it is what the record keeps.
func (s *Server) changeIncident(to incident.State) handler {
	return func(ctx context.Context, c *call) (any, error) {
		reason, err := needReason(c.body.(*api.Reason).Reason)
		if err != nil {
			return nil, err
		}
		row, err := s.Store.Incident(ctx, c.in, c.id())
		if err != nil {
			return nil, err
		}
		change := incident.Change{ID: row.ID, To: to, At: time.Now(), Actor: c.actor(), Reason: reason}
		if err := s.Store.InTx(ctx, func(tx store.Tx) error { return change.Apply(ctx, tx) }); err != nil {
			return nil, err
		}
		row, err = s.Store.Incident(ctx, c.in, row.ID)
		return incidentResource(row), err
	}
}

func incidentResource(i store.IncidentRow) api.Incident {
	return api.Incident{
		ID: i.ID, Cluster: i.Cluster, Key: i.Key, Kind: i.Kind, State: i.State, Title: i.Title, Priority: alert.Priority(i.Priority).String(),
		Alerts: i.Alerts, Actions: i.Actions, FirstAt: i.FirstAt.UTC(), LastAt: i.LastAt.UTC(), Labels: labels(i.Labels),
	}
}
