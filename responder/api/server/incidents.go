package server

import (
	"errors"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"riposte/agent/alert"
	"riposte/responder/api"
	"riposte/responder/incident"
	"riposte/responder/store"
)

func (s *Server) listIncidents(w http.ResponseWriter, r *http.Request) {
	q := readParameters(r, "state", "kind", "cluster", "priority", "since", "limit", "before")
	f := store.IncidentFilter{
		State: q.oneOf("state", api.IncidentStates), Kind: q.oneOf("kind", []string{incident.KindAlerts, incident.KindGap, incident.KindSilence}),
		Cluster: q.text("cluster"), AtLeast: q.priority("priority"), Since: q.since(),
	}
	page := q.paging()
	if q.err != nil {
		s.refuse(w, r, q.err)
		return
	}
	ctx, cancel := queryContext(r)
	defer cancel()
	rows, next, err := s.Store.Incidents(ctx, f, page)
	s.answer(w, r, pageOf(rows, next, incidentResource), err)
}

func (s *Server) showIncident(w http.ResponseWriter, r *http.Request) {
	if q := readParameters(r); q.err != nil {
		s.refuse(w, r, q.err)
		return
	}
	ctx, cancel := queryContext(r)
	defer cancel()
	row, err := s.Store.Incident(ctx, r.PathValue("id"))
	s.answer(w, r, incidentResource(row), err)
}

func (s *Server) showIncidentTimeline(w http.ResponseWriter, r *http.Request) {
	if q := readParameters(r); q.err != nil {
		s.refuse(w, r, q.err)
		return
	}
	ctx, cancel := queryContext(r)
	defer cancel()
	row, err := s.Store.Incident(ctx, r.PathValue("id"))
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	line := api.IncidentTimeline{Incident: incidentResource(row), Events: []api.IncidentEvent{}}
	rows, more, err := s.Store.IncidentTimeline(ctx, row.ID)
	line.More = more
	for _, e := range rows {
		line.Events = append(line.Events, api.IncidentEvent{
			At: at(e.NS), Kind: e.Kind, ID: e.ID, Name: e.Name, State: e.State, Actor: e.Actor, Detail: e.Detail, Count: e.Count,
		})
	}
	s.answer(w, r, line, err)
}

// changeIncident lets a person say what an incident was; the reason is needed,
// for it is what the record keeps.
func (s *Server) changeIncident(to incident.State) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		reason, err := readReason(r)
		if err != nil {
			s.refuse(w, r, err)
			return
		}
		ctx, cancel := queryContext(r)
		defer cancel()
		change := incident.Change{ID: r.PathValue("id"), To: to, At: time.Now(), Actor: actor(r), Reason: reason}
		err = s.Store.InTx(ctx, func(tx store.Tx) error { return change.Apply(ctx, tx) })
		if errors.Is(err, incident.ErrState) {
			err = problemf(http.StatusConflict, "incident_state", "%v", err)
		}
		var row store.IncidentRow
		if err == nil {
			row, err = s.Store.Incident(ctx, r.PathValue("id"))
		}
		s.answer(w, r, incidentResource(row), err)
	}
}

// readReason reads the body of a change, which must say why.
func readReason(r *http.Request) (string, error) {
	var body api.Reason
	if err := readBody(r, &body); err != nil {
		return "", err
	}
	switch reason := strings.TrimSpace(body.Reason); {
	case reason == "":
		return "", problemf(http.StatusBadRequest, "bad_body", "reason: say why")
	case len(reason) > maxReason || !utf8.ValidString(reason):
		return "", problemf(http.StatusBadRequest, "bad_body", "reason: at most %d bytes of text", maxReason)
	default:
		return reason, nil
	}
}

func incidentResource(i store.IncidentRow) api.Incident {
	return api.Incident{
		ID: i.ID, Cluster: i.Cluster, Key: i.Key, Kind: i.Kind, State: i.State, Title: i.Title, Priority: alert.Priority(i.Priority).String(),
		Alerts: i.Alerts, Actions: i.Actions, FirstAt: i.FirstAt.UTC(), LastAt: i.LastAt.UTC(),
	}
}
