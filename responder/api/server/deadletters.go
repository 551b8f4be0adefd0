package server

import (
	"errors"
	"net/http"

	"riposte/responder/api"
	"riposte/responder/ingest"
	"riposte/responder/store"
)

func (s *Server) listDeadLetters(w http.ResponseWriter, r *http.Request) {
	q := readParameters(r, "state", "reason", "node", "since", "limit", "before")
	f := store.DeadLetterFilter{State: q.oneOf("state", []string{"dead", "redriven"}), Reason: q.text("reason"), Node: q.text("node"), Since: q.since()}
	page := q.paging()
	if q.err != nil {
		s.refuse(w, r, q.err)
		return
	}
	ctx, cancel := queryContext(r)
	defer cancel()
	rows, next, err := s.Store.DeadLetters(ctx, f, page)
	s.answer(w, r, pageOf(rows, next, deadLetterResource), err)
}

func (s *Server) showDeadLetter(w http.ResponseWriter, r *http.Request) {
	if q := readParameters(r); q.err != nil {
		s.refuse(w, r, q.err)
		return
	}
	ctx, cancel := queryContext(r)
	defer cancel()
	row, err := s.Store.DeadLetter(ctx, r.PathValue("id"))
	letter := deadLetterResource(row)
	letter.Body = rawJSON(string(row.Body))
	s.answer(w, r, letter, err)
}

// redriveDeadLetter has a message processed as if it had just come.
func (s *Server) redriveDeadLetter(w http.ResponseWriter, r *http.Request) {
	reason, err := readReason(r)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	ctx, cancel := queryContext(r)
	defer cancel()
	err = s.Redrive(ctx, r.PathValue("id"), actor(r), reason)
	if errors.Is(err, ingest.ErrStillDead) {
		err = problemf(http.StatusUnprocessableEntity, "still_dead", "%v", err)
	}
	var row store.DeadLetter
	if err == nil {
		row, err = s.Store.DeadLetter(ctx, r.PathValue("id"))
	}
	s.answer(w, r, deadLetterResource(row), err)
}

func deadLetterResource(d store.DeadLetter) api.DeadLetter {
	return api.DeadLetter{
		ID: d.ID, State: d.State, Subject: d.Subject, MessageID: d.MessageID, Cluster: d.Cluster, Node: d.Node, Reason: d.Reason, Error: d.Error,
		Deaths: d.Deaths, Bytes: len(d.Body), ReceivedAt: d.ReceivedAt.UTC(), DiedAt: d.DiedAt.UTC(),
	}
}
