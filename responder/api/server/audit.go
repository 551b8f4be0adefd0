package server

import (
	"context"
	"encoding/hex"

	"riposte/responder/api"
	"riposte/responder/audit"
	"riposte/responder/store"
)

var auditParameters = paged(
	parameter{name: "kind", kind: wordKind, enum: auditKinds()}, parameter{name: "actor", says: "Such as user:jane, system:execute or playbook:NAME@REVISION."},
	parameter{name: "action", says: "An action's id or its last twelve digits."}, parameter{name: "alert", says: "An alert's id or its last twelve digits."}, sinceParameter,
)

func auditFilter(c *call) store.AuditFilter {
	return store.AuditFilter{Kind: c.text("kind"), Actor: c.text("actor"), Action: c.text("action"), Alert: c.text("alert"), Since: c.since()}
}

// auditKinds are the kinds of the record's entries.
func auditKinds() []string {
	var names []string
	for _, k := range audit.Kinds() {
		names = append(names, string(k))
	}
	return names
}

// verifyAudit reads the whole record, so one at a time is enough.
func (s *Server) verifyAudit(ctx context.Context, _ *call) (any, error) {
	if !s.verifying.TryLock() {
		return nil, problemf("verification_running", "a verification is running; try again when it is done")
	}
	defer s.verifying.Unlock()
	report, err := s.verify(ctx)
	v := api.Verification{OK: report.OK, Entries: report.Entries, Chains: []api.ChainVerification{}}
	for _, c := range report.Chains {
		v.Chains = append(v.Chains, api.ChainVerification{Cluster: c.Cluster, OK: c.OK, Entries: c.Entries, Head: c.Head, BadSeq: c.BadSeq, Reason: c.Reason})
	}
	return v, err
}

func (s *Server) verify(ctx context.Context) (audit.Report, error) {
	var e audit.Evidence
	if s.Evidence != nil {
		var err error
		if e, err = s.Evidence(ctx); err != nil {
			return audit.Report{}, err
		}
	}
	return audit.Verify(ctx, s.Store.Pool(), e)
}

// record appends one entry to this cluster's chain.
func (s *Server) record(ctx context.Context, e audit.Entry) error {
	e.Cluster = s.Cluster
	return s.Store.InTx(ctx, func(tx store.Tx) error { return audit.Append(ctx, tx, e) })
}

func auditResource(a store.AuditRow) api.AuditEntry {
	return api.AuditEntry{
		Cluster: a.Cluster, Seq: a.Seq, At: a.At.UTC(), Kind: a.Kind, Actor: a.Actor, Result: a.Result, AlertID: a.AlertID,
		ActionID: a.ActionID, Note: a.Note, Reason: a.Reason, Params: maybeJSON(a.Params), Body: rawJSON(string(a.Body)), Prev: hex.EncodeToString(a.Prev), Hash: hex.EncodeToString(a.Hash),
	}
}
