package store

import (
	"context"
	"strconv"
	"time"

	"riposte/responder/selector"
)

// ActionFilter chooses actions; zero fields choose all.
type ActionFilter struct {
	State    string
	Type     string
	Playbook string
	// Alert is an alert's id or its last group.
	Alert string
	// Container is the beginning of the target's or the alert's container id.
	Container string
	// Namespace is the alert's or the target's.
	Namespace string
	// Selector is what the labels of the alert's pod were like then.
	Selector selector.Selector
	// Since is the oldest plan.
	Since time.Time
}

// ActionRow is a decided action with what its alert says of it.
type ActionRow struct {
	ID         string
	Type       string
	State      string
	Cluster    string
	Node       string
	Target     string
	Params     string
	Playbook   string
	Revision   string
	Mode       string
	Reason     string
	RefusedBy  string
	Note       string
	Attempts   int32
	AlertID    string
	PlannedNS  int64
	ExecutedNS *int64
	VerifiedNS *int64
	AuditedNS  *int64
	// The alert's part, zero values once its month was retired.
	Rule        string
	ContainerID string
	Recorded    bool
	KernelNS    int64
	AlertNS     int64
	ReceivedNS  int64
	// DecidedNS is when the playbook had answered.
	DecidedNS int64
	// When the effect is to be lifted and was, who asked for it and why, and how it went.
	LiftNS     *int64
	LiftedNS   *int64
	LiftBy     string
	LiftReason string
	LiftNote   string
	// Labels is a JSON object of texts, or empty.
	Labels string
}

// ActionImages are what an action found, left and gathered: JSON or empty.
type ActionImages struct{ Before, After, Evidence string }

const selectActions = `SELECT c.id::text, c.type, c.state, c.cluster, c.node, c.target::text, c.params::text, c.playbook, c.revision, c.mode,
	c.reason, c.refused_by, c.note, c.attempts, c.alert_id::text, c.planned_ns, c.executed_ns, c.verified_ns, c.audited_ns,
	coalesce(a.rule, ''), coalesce(a.container_id, ''), coalesce(a.recorded, false), coalesce(a.kernel_ns, 0), coalesce(a.alert_ns, 0),
	coalesce(a.received_ns, 0), coalesce(d.decided_ns, 0),
	c.lift_ns, c.lifted_ns, c.lift_by, c.lift_reason, c.lift_note, coalesce(c.labels::text, '')
	FROM actions c LEFT JOIN alerts a ON a.id = c.alert_id LEFT JOIN decisions d ON d.id = c.decision_id`

// Actions returns one page of the actions within a scope, newest plan first, and the
// next page's cursor.
func (s *Store) Actions(ctx context.Context, in Scope, f ActionFilter, p Paging) ([]ActionRow, string, error) {
	sql, args, err := actionsQuery(in, f, p)
	if err != nil {
		return nil, "", err
	}
	rows, err := collect[ActionRow](ctx, s.pool, sql, append([]any{forValues}, args...)...)
	if err != nil {
		return nil, "", err
	}
	rows, next := cut(rows, p.limit(), func(a ActionRow) string { return nsCursor(a.PlannedNS, a.ID) })
	return rows, next, nil
}

// actionsQuery is the query for one page and a row more.
func actionsQuery(in Scope, f ActionFilter, p Paging) (sql string, args []any, err error) {
	var w where
	w.scope(in, in.actions)
	w.text("c.state", f.State)
	w.text("c.type", f.Type)
	w.text("c.playbook", f.Playbook)
	if err := w.id("c.alert_id", f.Alert); err != nil {
		return "", nil, err
	}
	if f.Container != "" {
		w.add("(starts_with(c.target->>'container_id', ?) OR starts_with(a.container_id, ?))", f.Container, f.Container)
	}
	if f.Namespace != "" {
		w.add("(a.namespace = ? OR c.target->>'namespace' = ?)", f.Namespace, f.Namespace)
	}
	if !f.Since.IsZero() {
		w.add("c.planned_ns >= ?", unixNS(f.Since))
	}
	w.selector("c.labels", f.Selector)
	if p.Before != "" {
		ns, id, err := parseNSCursor(p.Before)
		if err != nil {
			return "", nil, err
		}
		w.add("(c.planned_ns, c.id) < (?, ?::text::uuid)", ns, id)
	}
	w.args = append(w.args, p.limit()+1)
	return selectActions + w.String() + " ORDER BY c.planned_ns DESC, c.id DESC LIMIT $" + strconv.Itoa(len(w.args)), w.args, nil
}

// Action returns one action by its id or its id's last group, or ErrNotFound.
func (s *Store) Action(ctx context.Context, in Scope, id string) (ActionRow, error) {
	var w where
	w.scope(in, in.actions)
	return byID[ActionRow](ctx, s.pool, selectActions, "c.id", id, w)
}

// ActionImages returns an action's images by its whole id, or ErrNotFound.
func (s *Store) ActionImages(ctx context.Context, id string) (ActionImages, error) {
	return byID[ActionImages](ctx, s.pool, `SELECT before_image, after_image, evidence FROM actions`, "id", id, where{})
}
