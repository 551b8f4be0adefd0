package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"riposte/responder/api"
	"riposte/responder/audit"
	"riposte/responder/store"
)

// auditKinds are the kinds of the record's entries.
func auditKinds() []string {
	var names []string
	for _, k := range audit.Kinds() {
		names = append(names, string(k))
	}
	return names
}

// verifyAudit reads the whole record, so one at a time is enough. Whoever accepts
// lines of JSON is told how far it is, and gets the result as the last one.
func (s *Server) verifyAudit(w http.ResponseWriter, c *call) {
	if !s.verifying.TryLock() {
		s.refuse(w, c.Request, problemf("verification_running", "a verification is running; try again when it is done"))
		return
	}
	defer s.verifying.Unlock()
	ctx, cancel := long(w, c.Request)
	defer cancel()
	if c.Header.Get("Accept") != ndjson {
		report, err := s.verify(ctx, nil)
		if err != nil {
			s.refuse(w, c.Request, err)
			return
		}
		a, err := responseOf(report.Resource(), nil)
		if err != nil {
			s.refuse(w, c.Request, err)
			return
		}
		a.write(w)
		return
	}
	w.Header().Set("Content-Type", ndjson)
	lines, flush := json.NewEncoder(w), http.NewResponseController(w).Flush
	told := time.Now()
	report, err := s.verify(ctx, func(read int64) {
		if now := time.Now(); now.Sub(told) > progressEvery {
			told = now
			_ = lines.Encode(api.VerificationProgress{Read: read}) // whoever is gone cancels the context
			_ = flush()
		}
	})
	if err != nil {
		s.Log.Error("verify the record", "error", err)
		_ = lines.Encode(api.Problem{Status: http.StatusInternalServerError, Code: "internal", Title: "the record could not be read; the log says why"})
		return
	}
	_ = lines.Encode(report.Resource())
}

// ndjson is one JSON value a line.
const ndjson = "application/x-ndjson"

// progressEvery is how often somebody who waits is told how far it is.
const progressEvery = time.Second

// long gives a request that reads the whole record the time for it: the server's own
// deadlines are for short answers.
func long(w http.ResponseWriter, r *http.Request) (context.Context, context.CancelFunc) {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Time{})
	_ = control.SetWriteDeadline(time.Now().Add(verifyTimeout + writeTimeout))
	return context.WithTimeout(r.Context(), verifyTimeout)
}

var exportParameters = []parameter{
	{name: "cluster", says: "Only this cluster's chain."},
	{name: "after", kind: countKind, says: "With a cluster, only the entries after this number, without heads and checkpoints."},
	{name: "to", kind: countKind, says: "With after, none after this number."},
}

// exportAudit streams the record, see audit.Export. An error in the middle cuts
// the answer off, so that nobody takes it for the whole.
func (s *Server) exportAudit(w http.ResponseWriter, c *call) {
	p := audit.Part{Cluster: c.text("cluster"), After: c.count("after"), To: c.count("to")}
	if p.After > 0 && p.Cluster == "" || p.To > 0 && p.After == 0 {
		s.refuse(w, c.Request, problemf("bad_parameter", "after needs a cluster, whose numbers they are, and to needs after"))
		return
	}
	ctx, cancel := long(w, c.Request)
	defer cancel()
	w.Header().Set("Content-Type", ndjson)
	if err := audit.Export(ctx, s.Store.Pool(), w, p); err != nil {
		s.Log.Error("export the record", "error", err)
		panic(http.ErrAbortHandler)
	}
}

// redactAudit erases a value of an entry.
func (s *Server) redactAudit(ctx context.Context, c *call) (any, error) {
	d := c.body.(*api.Redaction)
	reason, err := needReason(d.Reason)
	if err != nil {
		return nil, err
	}
	err = s.Store.InTx(ctx, func(tx store.Tx) error { return audit.Redact(ctx, tx, d.Cluster, d.Seq, d.Field, c.actor(), reason) })
	switch {
	case errors.Is(err, audit.ErrNoField):
		err = problemf("bad_body", "field: %v", err)
	case errors.Is(err, store.ErrNotFound):
		err = problemf("not_found", "entry %d of cluster %.100q has no %s, or no more", d.Seq, d.Cluster, d.Field)
	}
	return d, err
}

func (s *Server) verify(ctx context.Context, progress func(int64)) (audit.Report, error) {
	var e audit.Evidence
	if s.Evidence != nil {
		var err error
		if e, err = s.Evidence(ctx); err != nil {
			return audit.Report{}, err
		}
	}
	e.Progress = progress
	report, err := audit.Verify(ctx, s.Store.Pool(), e)
	s.verified.count(report.OK, report.Resource().Entries, err)
	return report, err
}

// record appends one entry to this cluster's chain.
func (s *Server) record(ctx context.Context, e audit.Entry) error {
	e.Cluster = s.Cluster
	return s.Store.InTx(ctx, func(tx store.Tx) error { return audit.Append(ctx, tx, e) })
}
