package execute

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"riposte/responder/audit"
	"riposte/responder/store"
)

// held is an effect that this executor, and no other, may lift or renew until the lease ends.
type held struct {
	claim
	// due: it is to be lifted; otherwise its lease is to be renewed.
	due    bool
	liftAt time.Time
	// by and reason are a person's; empty if the effect's time is over.
	by, reason string
}

const claimLiftSQL = `WITH old AS (
		SELECT id, alert_id, decision_id FROM actions
		WHERE id = $1 AND lifted_ns IS NULL AND lift_ns IS NOT NULL AND least(lift_ns, renew_ns) <= $3
			AND (lift_until IS NULL OR lift_until < clock_timestamp() OR lift_holder = $2)
		FOR UPDATE
	)
	UPDATE actions a SET lift_attempts = a.lift_attempts + 1, lift_holder = $2, lift_until = clock_timestamp() + make_interval(secs => $4::float8)
	FROM old LEFT JOIN alerts l ON l.id = old.alert_id LEFT JOIN decisions d ON d.id = old.decision_id
	WHERE a.id = old.id
	RETURNING a.id::text, a.type, a.target, a.params, a.reason, a.alert_id::text, a.lift_attempts, a.expires_ns, a.playbook, a.revision,
		coalesce(l.incident_id::text, ''), coalesce(l.rule, ''), coalesce(l.kernel_ns, 0), coalesce(l.alert_ns, 0), coalesce(l.received_ns, 0), coalesce(d.decided_ns, 0), coalesce(a.executed_ns, 0), coalesce(a.verified_ns, 0),
		a.lift_until, a.cluster, a.node, a.before_image, a.lift_ns, a.lift_by, a.lift_reason`

// claimLift returns nil if there is nothing to do now or somebody else does it.
func (e *Executor) claimLift(ctx context.Context, id string) (*held, error) {
	var h held
	var target, params []byte
	var expires, liftNS int64
	var cluster, node, before string
	now := time.Now()
	err := e.o.Pool.QueryRow(ctx, claimLiftSQL, id, e.o.Instance, now.UnixNano(), (e.o.ExecuteTimeout+2*recordTimeout).Seconds()).Scan(
		&h.ID, &h.Type, &target, &params, &h.Reason, &h.AlertID, &h.Attempt, &expires, &h.playbook, &h.revision,
		&h.incidentID, &h.rule, &h.when.KernelNS, &h.when.AgentNS, &h.when.ReceivedNS, &h.when.DecidedNS, &h.when.ExecutedNS, &h.when.VerifiedNS,
		&h.lease, &cluster, &node, &before, &liftNS, &h.by, &h.reason)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("claim the lifting of action %s: %w", id, err)
	}
	h.readTarget(target, cluster, node)
	h.Params, h.Expires = params, time.Unix(0, expires)
	if before != "" {
		h.Before = []byte(before)
	}
	h.liftAt = time.Unix(0, liftNS)
	h.due = !h.liftAt.After(now)
	return &h, nil
}

// lifted is the result of a lifting that came to its end.
const lifted = "lifted"

// liftLease is what a write of a lifting demands: that the lease is still the one it got.
const liftLease = ` WHERE id = $1 AND lift_until = $2 AND lift_holder = $3`

// endLift records that an effect is lifted, or that nobody tries any more: a person may
// ask again then.
func (e *Executor) endLift(ctx context.Context, h *held, end ending) error {
	end.note = sentence(end.note)
	var at *int64
	if end.state == lifted {
		if end.executed.IsZero() {
			end.executed = time.Now()
		}
		at = nsOrNull(end.executed)
	}
	err := e.inTx(ctx, func(ctx context.Context, tx store.Tx) error {
		// Whoever asked meanwhile has what he wants.
		err := tx.QueryRow(ctx, `UPDATE actions SET lifted_ns = $4, lift_note = $5, lift_ns = CASE WHEN $4::bigint IS NOT NULL THEN lift_ns END,
			renew_ns = NULL, lift_holder = '', lift_until = NULL`+liftLease+` RETURNING lift_by, lift_reason`,
			h.ID, h.lease, e.o.Instance, at, end.note).Scan(&h.by, &h.reason)
		if errors.Is(err, pgx.ErrNoRows) {
			return errLost
		}
		if err != nil {
			return err
		}
		entry := h.entry(audit.ActionLifted, end.state, end.note)
		entry.Actor, entry.Why.Reason = audit.System("execute"), "its time was over"
		if h.by != "" {
			entry.Actor = h.by
		}
		if h.reason != "" {
			entry.Why.Reason = h.reason
		}
		return audit.Append(ctx, tx, entry)
	})
	if err != nil {
		return e.lost(&h.claim, fmt.Errorf("record the lifting of action %s: %w", h.ID, err))
	}
	e.m.lifted(h.Type, end.state)
	e.o.Observer.Lifted(Lifting{ActionID: h.ID, AlertID: h.AlertID, Type: h.Type, Result: end.state, Due: h.liftAt, At: time.Now()})
	e.o.Log.Info("effect lifted", "action", h.ID, "type", h.Type, "target", h.Target.String(), "result", end.state, "attempt", h.Attempt, "note", end.note)
	return nil
}

// laterLift gives a claim back; the rescue loop takes it up after delay, or at the next
// renewal, which makes the count of attempts begin anew.
func (e *Executor) laterLift(ctx context.Context, h *held, note string, delay time.Duration, renew time.Time) error {
	return e.passOn(ctx, h, `UPDATE actions SET lift_note = $4, lift_holder = '', lift_until = clock_timestamp() + make_interval(secs => $5::float8),
		renew_ns = coalesce($6, renew_ns), lift_attempts = CASE WHEN $6::bigint IS NULL THEN lift_attempts ELSE 0 END`,
		sentence(note), delay.Seconds(), nsOrNull(renew))
}

// endLease has an effect lifted at once whose lease cannot be renewed.
func (e *Executor) endLease(ctx context.Context, h *held, why string) error {
	return e.passOn(ctx, h, `UPDATE actions SET lift_reason = CASE WHEN lift_by = '' THEN $4 ELSE lift_reason END, lift_holder = '',
		lift_until = NULL, renew_ns = NULL, lift_ns = $5, lift_attempts = 0`, sentence("its lease could not be renewed: "+why), time.Now().UnixNano())
}

func (e *Executor) passOn(ctx context.Context, h *held, update string, args ...any) error {
	err := e.inTx(ctx, func(ctx context.Context, tx store.Tx) error {
		tag, err := tx.Exec(ctx, update+liftLease, append([]any{h.ID, h.lease, e.o.Instance}, args...)...)
		if err == nil && tag.RowsAffected() == 0 {
			return errLost
		}
		return err
	})
	if err != nil {
		return e.lost(&h.claim, fmt.Errorf("give back the lifting of action %s: %w", h.ID, err))
	}
	return nil
}
