package server

import (
	"context"
	"encoding/hex"

	"riposte/responder/api"
	"riposte/responder/store"
)

var auditParameters = paged(
	parameter{name: "kind", kind: wordKind, enum: auditKinds()}, parameter{name: "actor", says: "Such as user:jane, system:execute or playbook:NAME@REVISION."},
	parameter{name: "action", says: "An action's id or its last twelve digits."}, parameter{name: "alert", says: "An alert's id or its last twelve digits."},
	parameter{name: "incident", says: "An incident's id or its last twelve digits."},
	parameter{name: "type", says: "The action's type, such as kill_container."}, parameter{name: "result", says: "How it went, such as failed or refused."},
	parameter{name: "playbook"}, parameter{name: "revision", says: "The playbook's, or its first twelve digits."},
	parameter{name: "target_kind", says: "Such as pod or node."}, parameter{name: "namespace", says: "The target's."}, parameter{name: "name", says: "The target's."},
	parameter{name: "uid", says: "The target's."}, labelSelector,
	parameter{name: "text", says: "Words of notes and reasons; or, a leading - and quotation marks mean what they mean in a search engine."},
	sinceParameter, untilParameter,
)

func (s *Server) listAudit(ctx context.Context, c *call) (any, error) {
	rows, next, err := s.Store.Audit(ctx, c.in, store.AuditFilter{
		Kind: c.text("kind"), Actor: c.text("actor"), Action: c.text("action"), Alert: c.text("alert"), Incident: c.text("incident"), Type: c.text("type"),
		Result: c.text("result"), Playbook: c.text("playbook"), Revision: c.text("revision"), TargetKind: c.text("target_kind"), Namespace: c.text("namespace"),
		Name: c.text("name"), UID: c.text("uid"), Selector: c.selector(), Text: c.text("text"), Since: c.since(), Until: c.time("until"),
	}, c.paging())
	return pageOf(rows, next, auditResource), err
}

func auditResource(a store.AuditRow) api.AuditEntry {
	e := api.AuditEntry{
		Cluster: a.Cluster, Seq: a.Seq, At: a.At.UTC(), Kind: a.Kind, Actor: a.Actor, Result: a.Result, AlertID: a.AlertID,
		ActionID: a.ActionID, IncidentID: a.IncidentID, Type: a.ActionType, Playbook: a.Playbook, Revision: a.Revision, Rule: a.Rule, Node: a.Node,
		Note: a.Note, Reason: a.Reason, Params: maybeJSON(a.Params), Body: rawJSON(string(a.Body)), Prev: hex.EncodeToString(a.Prev), Hash: hex.EncodeToString(a.Hash),
	}
	if a.TargetKind != "" || a.TargetName != "" || a.TargetUID != "" || a.Labels != "" {
		e.Target = &api.AuditTarget{Kind: a.TargetKind, Namespace: a.TargetNamespace, Name: a.TargetName, UID: a.TargetUID, Labels: labels(a.Labels)}
	}
	return e
}
