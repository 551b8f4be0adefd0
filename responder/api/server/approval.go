package server

import (
	"errors"
	"net/http"

	"riposte/responder/api"
	"riposte/responder/guard"
	"riposte/responder/store"
)

func (s *Server) listApprovals(w http.ResponseWriter, r *http.Request) {
	q := readParameters(r, "limit", "before")
	page := q.paging()
	if q.err != nil {
		s.refuse(w, r, q.err)
		return
	}
	ctx, cancel := queryContext(r)
	defer cancel()
	rows, next, err := s.Store.Actions(ctx, store.ActionFilter{State: "waiting"}, page)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	ids := make([]string, len(rows))
	for i, a := range rows {
		ids[i] = a.ID
	}
	asked, err := s.Store.Approvals(ctx, ids)
	p := api.Page[api.Approval]{Items: []api.Approval{}, Next: next}
	for _, a := range rows {
		if question, ok := asked[a.ID]; ok {
			p.Items = append(p.Items, approvalResource(a, question))
		}
	}
	s.answer(w, r, p, err)
}

func (s *Server) showApproval(w http.ResponseWriter, r *http.Request) {
	a, err := s.action(r)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	s.answerApproval(w, r, a.ID)
}

func (s *Server) approve(w http.ResponseWriter, r *http.Request) { s.vote(w, r, true) }

func (s *Server) reject(w http.ResponseWriter, r *http.Request) { s.vote(w, r, false) }

func (s *Server) vote(w http.ResponseWriter, r *http.Request, agrees bool) {
	var body struct {
		Comment string `json:"comment"`
	}
	err := readBody(r, &body)
	if err == nil {
		err = checkText("comment", body.Comment)
	}
	var a store.ActionRow
	if err == nil {
		a, err = s.action(r)
	}
	if err == nil {
		ctx, cancel := queryContext(r)
		defer cancel()
		err = s.Guard.Answer(ctx, a.ID, guard.Answer{Actor: actor(r), Agrees: agrees, Comment: body.Comment})
	}
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	s.answerApproval(w, r, a.ID)
}

func (s *Server) answerApproval(w http.ResponseWriter, r *http.Request, id string) {
	ctx, cancel := queryContext(r)
	defer cancel()
	a, err := s.Store.Action(ctx, id)
	var asked map[string]store.ApprovalRow
	if err == nil {
		asked, err = s.Store.Approvals(ctx, []string{id})
	}
	question, ok := asked[id]
	if err == nil && !ok {
		err = problemf(http.StatusNotFound, "not_asked", "nobody was asked about this action")
	}
	s.answer(w, r, approvalResource(a, question), err)
}

func approvalResource(a store.ActionRow, q store.ApprovalRow) api.Approval {
	p := api.Approval{
		Action: actionResource(a), Rules: q.Rules, Reason: q.Reason, Needed: q.Needed, Agreed: q.Agreed(), AskedAt: q.AskedAt.UTC(),
		ExpiresAt: at(q.ExpiresNS), Votes: []api.Vote{},
	}
	for _, v := range q.Votes {
		p.Votes = append(p.Votes, api.Vote{Actor: v.Actor, Agrees: v.Agrees, Comment: v.Comment, At: v.At.UTC()})
	}
	return p
}

func (s *Server) listBudgets(w http.ResponseWriter, r *http.Request) {
	if q := readParameters(r); q.err != nil {
		s.refuse(w, r, q.err)
		return
	}
	ctx, cancel := queryContext(r)
	defer cancel()
	used, err := s.Guard.Usage(ctx)
	p := api.Page[api.Budget]{Items: []api.Budget{}}
	for _, u := range used {
		p.Items = append(p.Items, api.Budget{
			Scope: u.Scope, Cluster: u.Cluster, Name: u.Name, Used: u.Used, Limit: u.Budget.Count, WindowSeconds: u.Budget.Window.Seconds(),
		})
	}
	s.answer(w, r, p, err)
}

// guardProblem is what the guard's errors are to a client, nil for others.
func guardProblem(err error) *refusal {
	for cause, code := range map[error]string{
		guard.ErrNotWaiting: "not_waiting", guard.ErrVoted: "already_answered", guard.ErrStopped: "guard_refuses", guard.ErrChanged: "question_changed",
		guard.ErrNoKillSwitch: "no_kill_switch",
	} {
		if errors.Is(err, cause) {
			return problemf(http.StatusConflict, code, "%v", err)
		}
	}
	switch {
	case errors.Is(err, guard.ErrMode):
		return problemf(http.StatusBadRequest, "bad_mode", "%v", err)
	case errors.Is(err, guard.ErrSwitchName):
		return problemf(http.StatusBadRequest, "bad_body", "%v", err)
	case errors.Is(err, guard.ErrNotRecorded):
		return problemf(http.StatusInternalServerError, "not_recorded", "%v; the log says why", guard.ErrNotRecorded)
	}
	return nil
}
