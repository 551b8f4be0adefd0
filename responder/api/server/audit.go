package server

import (
	"context"
	"encoding/hex"
	"net/http"
	"time"

	"riposte/responder/api"
	"riposte/responder/audit"
	"riposte/responder/store"
)

func (s *Server) listAudit(w http.ResponseWriter, r *http.Request) {
	q := readParameters(r, "kind", "actor", "action", "alert", "since", "limit", "before")
	f := store.AuditFilter{
		Kind: q.oneOf("kind", auditKinds()), Actor: q.text("actor"), Action: q.text("action"), Alert: q.text("alert"), Since: q.since(),
	}
	page := q.paging()
	if q.err != nil {
		s.refuse(w, r, q.err)
		return
	}
	ctx, cancel := queryContext(r)
	defer cancel()
	rows, next, err := s.Store.Audit(ctx, f, page)
	s.answer(w, r, pageOf(rows, next, auditResource), err)
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
func (s *Server) verifyAudit(w http.ResponseWriter, r *http.Request) {
	if q := readParameters(r); q.err != nil {
		s.refuse(w, r, q.err)
		return
	}
	if !s.verifying.TryLock() {
		s.refuse(w, r, problemf(http.StatusTooManyRequests, "verification_running", "a verification is running; try again when it is done"))
		return
	}
	defer s.verifying.Unlock()
	// The server's own read deadline would cancel the request while it is answered.
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Time{})
	_ = control.SetWriteDeadline(time.Now().Add(verifyTimeout + writeTimeout))
	ctx, cancel := context.WithTimeout(r.Context(), verifyTimeout)
	defer cancel()
	report, err := s.verify(ctx)
	v := api.Verification{OK: report.OK, Entries: report.Entries, Chains: []api.ChainVerification{}}
	for _, c := range report.Chains {
		v.Chains = append(v.Chains, api.ChainVerification{Cluster: c.Cluster, OK: c.OK, Entries: c.Entries, Head: c.Head, BadSeq: c.BadSeq, Reason: c.Reason})
	}
	s.answer(w, r, v, err)
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
		ActionID: a.ActionID, Body: rawJSON(string(a.Body)), Prev: hex.EncodeToString(a.Prev), Hash: hex.EncodeToString(a.Hash),
	}
}
