package server

import (
	"context"
	"encoding/json"
	"time"

	"riposte/responder/action"
	"riposte/responder/api"
	"riposte/responder/execute"
	"riposte/responder/store"
)

var actionParameters = paged(
	parameter{name: "state", kind: wordKind, enum: api.ActionStates}, parameter{name: "type"}, parameter{name: "playbook"},
	parameter{name: "alert", says: "An alert's id or its last twelve digits."},
	parameter{name: "container", says: "The beginning of the target's or the alert's container id."},
	parameter{name: "namespace", says: "The alert's or the target's namespace."}, labelSelector, sinceParameter,
)

func actionFilter(c *call) store.ActionFilter {
	return store.ActionFilter{
		State: c.text("state"), Type: c.text("type"), Playbook: c.text("playbook"), Alert: c.text("alert"), Container: c.text("container"),
		Namespace: c.text("namespace"), Selector: c.selector(), Since: c.since(),
	}
}

func (s *Server) showAction(ctx context.Context, c *call) (any, error) {
	row, err := s.Store.Action(ctx, c.in, c.id())
	if err != nil {
		return nil, err
	}
	images, err := s.Store.ActionImages(ctx, row.ID)
	a := actionResource(row)
	a.Before, a.After, a.Evidence = maybeJSON(images.Before), maybeJSON(images.After), maybeJSON(images.Evidence)
	return a, err
}

// changeAction lets a person change what becomes of an action, for a reason.
func (s *Server) changeAction(change func(ctx context.Context, id, actor, reason string) error) handler {
	return func(ctx context.Context, c *call) (any, error) {
		reason, err := needReason(c.body.(*api.Reason).Reason)
		if err != nil {
			return nil, err
		}
		row, err := s.Store.Action(ctx, c.in, c.id())
		if err != nil {
			return nil, err
		}
		if err := change(ctx, row.ID, c.actor(), reason); err != nil {
			return nil, err
		}
		row, err = s.Store.Action(ctx, c.in, row.ID)
		return actionResource(row), err
	}
}

// cancelAction ends a planned action before it is begun.
func (s *Server) cancelAction(ctx context.Context, id, actor, reason string) error {
	return execute.Cancel(ctx, s.Store, id, actor, reason)
}

func actionResource(a store.ActionRow) api.Action {
	return api.Action{
		ID: a.ID, Type: a.Type, State: a.State, Cluster: a.Cluster, Node: a.Node, Target: rawJSON(a.Target),
		TargetName: target(a).String(), Params: rawJSON(a.Params), Playbook: a.Playbook, Revision: a.Revision, Mode: a.Mode,
		Reason: a.Reason, RefusedBy: a.RefusedBy, Note: a.Note, Attempts: int(a.Attempts), AlertID: a.AlertID, Rule: a.Rule, Recorded: a.Recorded,
		PlannedAt: at(a.PlannedNS), ExecutedAt: maybeAt(a.ExecutedNS), VerifiedAt: maybeAt(a.VerifiedNS),
		LiftAt: maybeAt(a.LiftNS), LiftedAt: maybeAt(a.LiftedNS), LiftBy: a.LiftBy, LiftReason: a.LiftReason, LiftNote: a.LiftNote, Labels: labels(a.Labels),
	}
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
