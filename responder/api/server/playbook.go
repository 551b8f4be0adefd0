package server

import (
	"net/http"
	"time"

	"riposte/responder/api"
	"riposte/responder/guard"
	"riposte/responder/playbook"
)

// playbookStatuses are the loaded playbooks with their modes.
func (s *Server) playbookStatuses() []api.PlaybookStatus {
	all := []api.PlaybookStatus{}
	for _, p := range s.Playbooks() {
		mode, row := s.Guard.ModeOf(p.Name, p.Mode)
		one := api.PlaybookStatus{
			Name: p.Name, Title: p.Title, Description: p.Description, Mode: string(mode), Declared: string(p.Mode), Revision: p.Revision, Source: p.Source,
			SteppedBack: row.SteppedBack, Namespaces: row.Namespaces, Labels: row.LabelMap(), ModeReason: row.Reason, ModeActor: row.Actor,
		}
		if row.Playbook != "" {
			at := row.At.UTC().Truncate(time.Microsecond)
			one.ModeAt = &at
		}
		all = append(all, one)
	}
	return all
}

func (s *Server) listPlaybooks(w http.ResponseWriter, r *http.Request) {
	if q := readParameters(r); q.err != nil {
		s.refuse(w, r, q.err)
		return
	}
	s.answer(w, r, api.Page[api.PlaybookStatus]{Items: s.playbookStatuses()}, nil)
}

func (s *Server) setMode(w http.ResponseWriter, r *http.Request) {
	var m api.Mode
	err := readBody(r, &m)
	if err == nil {
		err = checkText("reason", m.Reason)
	}
	if err == nil && m.Mode == "" {
		err = problemf(http.StatusBadRequest, "bad_body", "mode: say observe, approve, enforce or default")
	}
	name := r.PathValue("name")
	var status *api.PlaybookStatus
	if err == nil {
		if status = s.playbookStatus(name); status == nil {
			err = problemf(http.StatusNotFound, "not_found", "no playbook is called %.63q", name)
		}
	}
	if err == nil {
		mode := playbook.Mode(m.Mode)
		if m.Mode == "default" {
			mode = ""
		}
		ctx, cancel := queryContext(r)
		defer cancel()
		err = s.Guard.SetMode(ctx, guard.Mode{Playbook: name, Mode: mode, Namespaces: m.Namespaces, Labels: m.Labels, Reason: m.Reason, Actor: actor(r)})
	}
	if err == nil {
		status = s.playbookStatus(name)
	}
	s.answer(w, r, status, err)
}

func (s *Server) playbookStatus(name string) *api.PlaybookStatus {
	for _, p := range s.playbookStatuses() {
		if p.Name == name {
			return &p
		}
	}
	return nil
}
