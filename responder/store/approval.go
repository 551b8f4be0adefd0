package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Question is what people are asked about one waiting action.
type Question struct {
	ActionID string
	// Rules are the guard's rules that ask, Needed how many different people must agree.
	Rules  []string
	Reason string
	Needed int
}

// Vote is one person's answer.
type Vote struct {
	Actor   string
	Agrees  bool
	Comment string
	At      time.Time
}

// ApprovalRow is a question with its answers.
type ApprovalRow struct {
	Question
	AskedAt time.Time
	// ExpiresNS is the action's end, Unix nanoseconds: until then it can be answered.
	ExpiresNS int64
	Votes     []Vote
}

// Agreed counts those who agree.
func (a ApprovalRow) Agreed() (n int) {
	for _, v := range a.Votes {
		if v.Agrees {
			n++
		}
	}
	return n
}

// Ask stores questions. A question that is asked anew, for other rules, loses its votes.
func (tx Tx) Ask(ctx context.Context, all ...Question) error {
	for _, q := range all {
		if _, err := tx.Exec(ctx, "DELETE FROM approval_votes WHERE action_id = $1::text::uuid", q.ActionID); err != nil {
			return fmt.Errorf("ask for approval: %w", err)
		}
		_, err := tx.Exec(ctx, `INSERT INTO approvals (action_id, rules, reason, needed) VALUES ($1::text::uuid, $2, $3, $4)
			ON CONFLICT (action_id) DO UPDATE SET rules = excluded.rules, reason = excluded.reason, needed = excluded.needed, asked_at = excluded.asked_at`,
			q.ActionID, q.Rules, Text(q.Reason), q.Needed)
		if err != nil {
			return fmt.Errorf("ask for approval: %w", err)
		}
	}
	return nil
}

// Approvals finds the questions about some actions, by the action's id.
func (s *Store) Approvals(ctx context.Context, actionIDs []string) (map[string]ApprovalRow, error) {
	return approvals(ctx, s.pool, actionIDs)
}

func approvals(ctx context.Context, q querier, actionIDs []string) (map[string]ApprovalRow, error) {
	found := map[string]ApprovalRow{}
	rows, err := q.Query(ctx, `SELECT p.action_id::text, p.rules, p.reason, p.needed, p.asked_at, a.expires_ns
		FROM approvals p JOIN actions a ON a.id = p.action_id WHERE p.action_id = ANY($1::text[]::uuid[])`, actionIDs)
	if err != nil {
		return nil, fmt.Errorf("read approvals: %w", err)
	}
	var a ApprovalRow
	_, err = pgx.ForEachRow(rows, []any{&a.ActionID, &a.Rules, &a.Reason, &a.Needed, &a.AskedAt, &a.ExpiresNS}, func() error {
		found[a.ActionID] = a
		a.Rules = nil
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read approvals: %w", err)
	}
	rows, err = q.Query(ctx, `SELECT action_id::text, actor, agrees, comment, at FROM approval_votes WHERE action_id = ANY($1::text[]::uuid[]) ORDER BY at`, actionIDs)
	if err != nil {
		return nil, fmt.Errorf("read votes: %w", err)
	}
	var id string
	var v Vote
	_, err = pgx.ForEachRow(rows, []any{&id, &v.Actor, &v.Agrees, &v.Comment, &v.At}, func() error {
		row := found[id]
		row.Votes = append(row.Votes, v)
		found[id] = row
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read votes: %w", err)
	}
	return found, nil
}

// Waiting is a waiting action that its transaction has locked.
type Waiting struct {
	ApprovalRow
	Effect   []byte
	State    string
	Playbook string
	Revision string
	Type     string
	Object   string
	Cluster  string
	// Namespace is whose readers may see the action.
	Namespace string
	AlertID   string
}

// LockWaiting locks an action that people were asked about, in whatever state it
// is, or returns ErrNotFound.
func (tx Tx) LockWaiting(ctx context.Context, actionID string) (w Waiting, err error) {
	err = tx.QueryRow(ctx, `SELECT a.state, a.playbook, a.revision, a.type, a.object, a.cluster, a.namespace, a.alert_id::text, e.effect::text
		FROM actions a JOIN guard_effects e ON e.action_id = a.id WHERE a.id = $1::text::uuid FOR UPDATE OF a`, actionID).
		Scan(&w.State, &w.Playbook, &w.Revision, &w.Type, &w.Object, &w.Cluster, &w.Namespace, &w.AlertID, &w.Effect)
	if errors.Is(err, pgx.ErrNoRows) {
		return w, ErrNotFound
	}
	if err != nil {
		return w, fmt.Errorf("lock action %s: %w", actionID, err)
	}
	all, err := approvals(ctx, tx, []string{actionID})
	if err != nil {
		return w, err
	}
	asked, ok := all[actionID]
	if !ok {
		return w, ErrNotFound
	}
	w.ApprovalRow = asked
	return w, nil
}

// AddVote stores an answer; false says that this person has answered before.
func (tx Tx) AddVote(ctx context.Context, actionID string, v Vote) (bool, error) {
	tag, err := tx.Exec(ctx, `INSERT INTO approval_votes (action_id, actor, agrees, comment) VALUES ($1::text::uuid, $2, $3, $4) ON CONFLICT DO NOTHING`,
		actionID, Text(v.Actor), v.Agrees, Text(v.Comment))
	if err != nil {
		return false, fmt.Errorf("store a vote: %w", err)
	}
	return tag.RowsAffected() == 1, nil
}

// Settle ends the waiting of an action: planned or rejected. A planned one may
// be executed until expires (Unix nanoseconds); 0 leaves its end as it is.
func (tx Tx) Settle(ctx context.Context, actionID, state, note string, expires int64) error {
	tag, err := tx.Exec(ctx, `UPDATE actions SET state = $2, note = $3, refused_by = '', expires_ns = CASE WHEN $4::bigint = 0 THEN expires_ns ELSE $4 END
		WHERE id = $1::text::uuid AND state = 'waiting'`, actionID, state, Text(note), expires)
	if err != nil {
		return fmt.Errorf("settle action %s: %w", actionID, err)
	}
	if tag.RowsAffected() != 1 {
		return fmt.Errorf("settle action %s: %w", actionID, ErrNotFound)
	}
	return nil
}

// Lapsed is a waiting action whose time was over.
type Lapsed struct{ ID, Cluster, Namespace, Type, Object, AlertID, Playbook string }

// Lapse expires waiting actions whose end is before now, a few hundred at most.
func (tx Tx) Lapse(ctx context.Context, now time.Time) ([]Lapsed, error) {
	return collect[Lapsed](ctx, tx, `UPDATE actions SET state = 'expired', note = 'nobody agreed in time: nothing was done' WHERE id IN
		(SELECT id FROM actions WHERE state = 'waiting' AND expires_ns <= $1 ORDER BY expires_ns LIMIT 200 FOR UPDATE SKIP LOCKED)
		RETURNING id::text, cluster, namespace, type, object, alert_id::text, playbook`, now.UnixNano())
}
