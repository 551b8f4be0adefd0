package store

import (
	"context"
	"strconv"
	"time"
)

// AuditFilter chooses entries of the record; zero fields choose all.
type AuditFilter struct {
	Kind  string
	Actor string
	// Action and Alert are ids or their last groups.
	Action string
	Alert  string
	// Since is the oldest entry.
	Since time.Time
}

// AuditRow is one entry of a cluster's chain.
type AuditRow struct {
	Cluster  string
	Seq      int64
	At       time.Time
	Kind     string
	Actor    string
	Result   string
	AlertID  string
	ActionID string
	// IncidentID is empty where there is none; Note, Reason and Params too, and once they were erased.
	IncidentID           string
	Note, Reason, Params string
	Body                 []byte
	Prev                 []byte
	Hash                 []byte
}

const selectAudit = `SELECT cluster, seq, at, kind, actor, result, coalesce(alert_id::text, ''), coalesce(action_id::text, ''),
	coalesce(incident_id::text, ''), coalesce(note, ''), coalesce(reason, ''), coalesce(params, ''), body, prev, hash FROM audit`

// Audit returns one page of the record within a scope, newest first, and the next
// page's cursor.
func (s *Store) Audit(ctx context.Context, in Scope, f AuditFilter, p Paging) ([]AuditRow, string, error) {
	var w where
	w.scope(in, in.audit)
	w.text("kind", f.Kind)
	w.text("actor", f.Actor)
	if err := w.id("action_id", f.Action); err != nil {
		return nil, "", err
	}
	if err := w.id("alert_id", f.Alert); err != nil {
		return nil, "", err
	}
	if !f.Since.IsZero() {
		w.add("at >= ?", f.Since)
	}
	if p.Before != "" {
		if err := w.beforeAudit(p.Before); err != nil {
			return nil, "", err
		}
	}
	limit := p.limit()
	w.args = append(w.args, limit+1)
	rows, err := collect[AuditRow](ctx, s.pool, selectAudit+w.String()+" ORDER BY at DESC, cluster DESC, seq DESC LIMIT $"+strconv.Itoa(len(w.args)), w.args...)
	if err != nil {
		return nil, "", err
	}
	rows, next := cut(rows, limit, auditCursor)
	return rows, next, nil
}

func auditCursor(a AuditRow) string {
	return cursorOf(strconv.FormatInt(a.At.UnixMicro(), 10), strconv.FormatInt(a.Seq, 10), a.Cluster)
}

func (w *where) beforeAudit(cursor string) error {
	p, err := parseCursor(cursor, 3)
	if err != nil {
		return err
	}
	micro, err := strconv.ParseInt(p[0], 10, 64)
	if err != nil {
		return ErrCursor
	}
	seq, err := strconv.ParseInt(p[1], 10, 64)
	if err != nil {
		return ErrCursor
	}
	w.add("(at, cluster, seq) < (?, ?, ?)", time.UnixMicro(micro), p[2], seq)
	return nil
}
