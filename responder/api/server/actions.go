package server

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"riposte/responder/action"
	"riposte/responder/api"
	"riposte/responder/execute"
	"riposte/responder/store"
)

func (s *Server) listActions(w http.ResponseWriter, r *http.Request) {
	q := readParameters(r, "state", "type", "playbook", "alert", "container", "since", "limit", "before")
	f := store.ActionFilter{
		State: q.oneOf("state", api.ActionStates), Type: q.text("type"), Playbook: q.text("playbook"), Alert: q.text("alert"),
		Container: q.text("container"), Since: q.since(),
	}
	page := q.paging()
	if q.err != nil {
		s.refuse(w, r, q.err)
		return
	}
	ctx, cancel := queryContext(r)
	defer cancel()
	rows, next, err := s.Store.Actions(ctx, f, page)
	s.answer(w, r, pageOf(rows, next, actionResource), err)
}

func (s *Server) showAction(w http.ResponseWriter, r *http.Request) {
	row, err := s.action(r)
	var images store.ActionImages
	if err == nil {
		ctx, cancel := queryContext(r)
		defer cancel()
		images, err = s.Store.ActionImages(ctx, row.ID)
	}
	a := actionResource(row)
	a.Before, a.After, a.Evidence = maybeJSON(images.Before), maybeJSON(images.After), maybeJSON(images.Evidence)
	s.answer(w, r, a, err)
}

// liftAction has an action's effect lifted; the answer is the action as it was then.
func (s *Server) liftAction(w http.ResponseWriter, r *http.Request) {
	reason, err := readReason(r)
	var row store.ActionRow
	if err == nil {
		row, err = s.action(r)
	}
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	ctx, cancel := queryContext(r)
	defer cancel()
	err = s.Lift(ctx, row.ID, actor(r), reason)
	if errors.Is(err, execute.ErrNotLiftable) {
		err = problemf(http.StatusConflict, "not_liftable", "%v", err)
	}
	if err == nil {
		row, err = s.Store.Action(ctx, row.ID)
	}
	s.answer(w, r, actionResource(row), err)
}

func (s *Server) showTimeline(w http.ResponseWriter, r *http.Request) {
	row, err := s.action(r)
	s.answer(w, r, timelineOf(row), err)
}

func (s *Server) action(r *http.Request) (store.ActionRow, error) {
	if q := readParameters(r); q.err != nil {
		return store.ActionRow{}, q.err
	}
	ctx, cancel := queryContext(r)
	defer cancel()
	return s.Store.Action(ctx, r.PathValue("id"))
}

func actionResource(a store.ActionRow) api.Action {
	return api.Action{
		ID: a.ID, Type: a.Type, State: a.State, Cluster: a.Cluster, Node: a.Node, Target: rawJSON(a.Target),
		TargetName: target(a).String(), Params: rawJSON(a.Params), Playbook: a.Playbook, Revision: a.Revision, Mode: a.Mode,
		Reason: a.Reason, RefusedBy: a.RefusedBy, Note: a.Note, Attempts: int(a.Attempts), AlertID: a.AlertID, Rule: a.Rule, Recorded: a.Recorded,
		PlannedAt: at(a.PlannedNS), ExecutedAt: maybeAt(a.ExecutedNS), VerifiedAt: maybeAt(a.VerifiedNS),
		LiftAt: maybeAt(a.LiftNS), LiftedAt: maybeAt(a.LiftedNS), LiftBy: a.LiftBy, LiftReason: a.LiftReason, LiftNote: a.LiftNote,
	}
}

// maybeJSON leaves out what is not there.
func maybeJSON(text string) json.RawMessage {
	if text == "" {
		return nil
	}
	return rawJSON(text)
}

// target is empty if the column holds no target, which only a hand could have put there.
func target(a store.ActionRow) (t action.Target) {
	_ = json.Unmarshal([]byte(a.Target), &t)
	return t
}

func maybeAt(ns *int64) *time.Time {
	if ns == nil || *ns == 0 {
		return nil
	}
	t := at(*ns)
	return &t
}

// timelineOf lists the stages that have come. An alert of Falco's has no time
// of the system call; its stages are counted from the alert.
func timelineOf(a store.ActionRow) api.Timeline {
	t := target(a)
	container := t.ContainerID
	if container == "" {
		container = a.ContainerID
	}
	line := api.Timeline{
		Action: a.ID, Type: a.Type, State: a.State, Alert: a.AlertID, Rule: a.Rule, TargetName: t.String(), ContainerID: container,
		Recorded: a.Recorded, Stages: []api.Stage{}, Verified: a.VerifiedNS != nil && *a.VerifiedNS != 0,
	}
	stages := []struct {
		name string
		ns   *int64
	}{
		{"syscall", &a.KernelNS},
		{"alert", &a.AlertNS},
		{"received", &a.ReceivedNS},
		{"decided", &a.DecidedNS},
		{"executed", a.ExecutedNS},
		{"verified", a.VerifiedNS},
		{"audited", a.AuditedNS},
	}
	var first int64
	for _, s := range stages {
		if s.ns == nil || *s.ns == 0 {
			continue
		}
		if first == 0 {
			first = *s.ns
		}
		line.Stages = append(line.Stages, api.Stage{Name: s.name, At: at(*s.ns), NS: *s.ns - first})
	}
	return line
}
