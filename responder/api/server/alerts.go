package server

import (
	"net/http"
	"time"

	"riposte/agent/alert"
	"riposte/responder/api"
	"riposte/responder/store"
)

func (s *Server) listAlerts(w http.ResponseWriter, r *http.Request) {
	q := readParameters(r, "rule", "priority", "node", "namespace", "container", "since", "limit", "before")
	f := store.AlertFilter{
		Rule: q.text("rule"), AtLeast: q.priority("priority"), Node: q.text("node"), Namespace: q.text("namespace"),
		Container: q.text("container"), Since: q.since(),
	}
	page := q.paging()
	if q.err != nil {
		s.refuse(w, r, q.err)
		return
	}
	ctx, cancel := queryContext(r)
	defer cancel()
	rows, next, err := s.Store.Alerts(ctx, f, page)
	s.answer(w, r, pageOf(rows, next, alertResource), err)
}

func (s *Server) showAlert(w http.ResponseWriter, r *http.Request) {
	if q := readParameters(r); q.err != nil {
		s.refuse(w, r, q.err)
		return
	}
	ctx, cancel := queryContext(r)
	defer cancel()
	row, err := s.Store.Alert(ctx, r.PathValue("id"))
	s.answer(w, r, alertResource(row), err)
}

func alertResource(a store.AlertRow) api.Alert {
	happened := a.KernelNS
	if happened == 0 {
		happened = a.AlertNS
	}
	return api.Alert{
		ID: a.ID, Time: at(happened), ReceivedAt: at(a.ReceivedNS), Cluster: a.Cluster, Node: a.Node, Rule: a.Rule,
		Priority: alert.Priority(a.Priority).String(), Source: a.Source, Output: a.Output, ContainerID: a.ContainerID,
		Namespace: a.Namespace, Pod: a.Pod, PodUID: a.PodUID, Binding: a.Binding, Recorded: a.Recorded,
		IncidentID: a.IncidentID, Count: a.Count, LastAt: at(a.LastNS), Body: rawJSON(a.Body),
	}
}

// at turns stored nanoseconds into a time.
func at(ns int64) time.Time { return time.Unix(0, ns).UTC() }

func pageOf[Row, Resource any](rows []Row, next string, resource func(Row) Resource) api.Page[Resource] {
	p := api.Page[Resource]{Items: make([]Resource, len(rows)), Next: next} // never null in JSON
	for i, row := range rows {
		p.Items[i] = resource(row)
	}
	return p
}
