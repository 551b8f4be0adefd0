package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"riposte/responder/selector"
)

// AuditFilter chooses entries of the record; zero fields choose all.
type AuditFilter struct {
	Kind  string
	Actor string
	// Action, Alert and Incident are ids or their last groups.
	Action, Alert, Incident string
	// Type is the action's, Result how it went.
	Type, Result string
	// Playbook is its name, Revision a revision or its first twelve digits.
	Playbook, Revision string
	// TargetKind, Namespace, Name and UID are the target's, Selector what its labels were
	// like then.
	TargetKind, Namespace, Name, UID string
	Selector                         selector.Selector
	// Text are words of notes and reasons; "or", a leading - and quotation marks mean
	// what they mean in a search engine.
	Text string
	// Since is the oldest entry, Until the first that is too young.
	Since, Until time.Time
}

// shownRevision is how many digits of a revision people see.
const shownRevision = 12

// ErrRevision says that a revision cannot be looked for.
var ErrRevision = fmt.Errorf("a revision is given by its first %d digits at least", shownRevision)

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
	// IncidentID and what follows, up to Params, are empty where there is none; Note,
	// Reason and Params also once they were erased.
	IncidentID                                         string
	ActionType, Playbook, Revision, Rule, Node         string
	TargetKind, TargetNamespace, TargetName, TargetUID string
	// Labels is a JSON object of texts.
	Labels               string
	Note, Reason, Params string
	Body                 []byte
	Prev                 []byte
	Hash                 []byte
}

const selectAudit = `SELECT cluster, seq, at, kind, actor, result, coalesce(alert_id::text, ''), coalesce(action_id::text, ''),
	coalesce(incident_id::text, ''), coalesce(action_type, ''), coalesce(playbook, ''), coalesce(revision, ''), coalesce(rule, ''), coalesce(node, ''),
	coalesce(target_kind, ''), coalesce(target_namespace, ''), coalesce(target_name, ''), coalesce(target_uid, ''), coalesce(labels::text, ''),
	coalesce(note, ''), coalesce(reason, ''), coalesce(params, ''), body, prev, hash FROM audit`

// forValues has a query planned for its values: which index is best, and whether a
// partial one will do, depends on them.
const forValues = pgx.QueryExecModeDescribeExec

// Audit returns one page of the record within a scope, newest first, and the next
// page's cursor.
func (s *Store) Audit(ctx context.Context, in Scope, f AuditFilter, p Paging) ([]AuditRow, string, error) {
	known, err := s.wholeIDs(ctx, &f)
	if err != nil || !known {
		return nil, "", err
	}
	var rows []AuditRow
	for _, f := range recentFirst(f, p) {
		sql, args, err := auditQuery(in, f, p)
		if err != nil {
			return nil, "", err
		}
		rows, err = collect[AuditRow](ctx, s.pool, sql, append([]any{forValues}, args...)...)
		if err != nil {
			return nil, "", err
		}
		if len(rows) > p.limit() {
			break
		}
	}
	rows, next := cut(rows, p.limit(), auditCursor)
	return rows, next, nil
}

// recent is how much of the record is looked at first for what very many entries may
// have.
const recent = 45 * 24 * time.Hour

// recentFirst asks for labels of the last weeks before it asks for all: the index does
// not have them in the order of time, so all entries with a label would have to be sorted
// for one page. If the weeks fill the page, it is the right one.
func recentFirst(f AuditFilter, p Paging) []AuditFilter {
	if len(f.Selector) == 0 || !f.Since.IsZero() {
		return []AuditFilter{f}
	}
	end := time.Now()
	if !f.Until.IsZero() && f.Until.Before(end) {
		end = f.Until
	}
	if at, err := auditCursorTime(p.Before); err == nil && at.Before(end) {
		end = at
	}
	near := f
	near.Since = end.Add(-recent)
	return []AuditFilter{near, f}
}

// wholeIDs finds the ids of which the last groups are given: for them the record has
// no index, but what it is about has. It says false if there is none; what retention
// took is found by its whole id.
func (s *Store) wholeIDs(ctx context.Context, f *AuditFilter) (known bool, err error) {
	for _, of := range []struct {
		table string
		id    *string
	}{{"actions", &f.Action}, {"alerts", &f.Alert}, {"incidents", &f.Incident}} {
		if !shortID.MatchString(strings.ToLower(*of.id)) {
			continue
		}
		row, err := byID[struct{ ID string }](ctx, s.pool, "SELECT id::text FROM "+of.table, "id", *of.id, where{})
		switch {
		case err == nil:
			*of.id = row.ID
		case errors.Is(err, ErrNotFound):
			return false, nil
		default:
			return false, err
		}
	}
	return true, nil
}

// auditQuery is the query for one page and a row more.
func auditQuery(in Scope, f AuditFilter, p Paging) (sql string, args []any, err error) {
	var w where
	w.scope(in, in.audit)
	for _, of := range [][2]string{{"action_id", f.Action}, {"alert_id", f.Alert}, {"incident_id", f.Incident}} {
		if err := w.id("audit."+of[0], of[1]); err != nil {
			return "", nil, err
		}
	}
	w.text("audit.kind", f.Kind)
	w.text("audit.actor", f.Actor)
	w.text("audit.result", f.Result)
	w.text("audit.action_type", f.Type)
	if f.Revision == "" {
		w.text("audit.playbook", f.Playbook)
	} else { // which is one playbook's: the empty text keeps the wider index from being used
		w.text("audit.playbook || ''", f.Playbook)
	}
	w.text("audit.target_kind", f.TargetKind)
	w.text("audit.target_namespace", f.Namespace)
	w.text("audit.target_name", f.Name)
	w.text("audit.target_uid", f.UID)
	if err := w.revision(f.Revision); err != nil {
		return "", nil, err
	}
	w.selector("audit.labels", f.Selector)
	if f.Text != "" {
		w.add("audit.words @@ websearch_to_tsquery('simple', ?)", f.Text)
	}
	w.between(f.Since, f.Until)
	if p.Before != "" {
		if err := w.beforeAudit(p.Before); err != nil {
			return "", nil, err
		}
	}
	w.args = append(w.args, p.limit()+1)
	return selectAudit + w.String() + " ORDER BY at DESC, cluster DESC, seq DESC LIMIT $" + strconv.Itoa(len(w.args)), w.args, nil
}

func (w *where) revision(revision string) error {
	if revision == "" {
		return nil
	}
	if utf8.RuneCountInString(revision) < shownRevision {
		return ErrRevision
	}
	w.add("left(audit.revision, "+strconv.Itoa(shownRevision)+") = ?", string([]rune(revision)[:shownRevision]))
	w.add("starts_with(audit.revision, ?)", revision)
	return nil
}

// late is how much earlier than what it tells an entry may be written: clocks differ.
const late = 24 * time.Hour

// between chooses a time, and the months that can have entries of it: an entry is
// written when what it tells has happened.
func (w *where) between(since, until time.Time) {
	if !since.IsZero() {
		w.add("audit.at >= ?", since)
		w.add("audit.month >= ?::date", Month(since.Add(-late)))
	}
	if !until.IsZero() {
		w.add("audit.at < ?", until)
	}
}

func auditCursor(a AuditRow) string {
	return cursorOf(strconv.FormatInt(a.At.UnixMicro(), 10), strconv.FormatInt(a.Seq, 10), a.Cluster)
}

func (w *where) beforeAudit(cursor string) error {
	at, err := auditCursorTime(cursor)
	if err != nil {
		return err
	}
	p, _ := parseCursor(cursor, 3) // as it was just read
	seq, err := strconv.ParseInt(p[1], 10, 64)
	if err != nil {
		return ErrCursor
	}
	// The first is what an index by time can begin with.
	w.add("audit.at <= ?", at)
	w.add("(audit.at, audit.cluster, audit.seq) < (?, ?, ?)", at, p[2], seq)
	return nil
}

// auditCursorTime is when the last entry of the page before happened.
func auditCursorTime(cursor string) (time.Time, error) {
	p, err := parseCursor(cursor, 3)
	if err != nil {
		return time.Time{}, err
	}
	micro, err := strconv.ParseInt(p[0], 10, 64)
	if err != nil {
		return time.Time{}, ErrCursor
	}
	return time.UnixMicro(micro), nil
}
