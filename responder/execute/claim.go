package execute

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"riposte/responder/action"
	"riposte/responder/audit"
)

// claim is an action that this executor, and no other, may work on until the
// lease ends.
type claim struct {
	action.Request
	playbook, revision string
	note               string
	incidentID, rule   string
	labels             map[string]string
	// namespace is whose readers may see the action.
	namespace string
	when      audit.When
	// planned and executing are when it was planned and last taken up, Unix nanoseconds.
	planned, executing int64
	// ttl is how long the effect is to hold, 0 until somebody lifts it.
	ttl        time.Duration
	decisionID string
	// gathering says that evidence of the same decision is still gathered, staged since
	// when this action waits for it, zero if it does not; remark is added to the note of
	// its end.
	gathering bool
	staged    time.Time
	remark    string
	// lease tells this claim from every other one of the same action.
	lease time.Time
	// was is the state before: planned, executing (an attempt's outcome is unknown)
	// or succeeded (only the verification is missing).
	was string
}

// claimSQL takes those of some actions that nobody else holds. The holder's own name counts
// as nobody: Executor.enter keeps two claims of one process apart, so a lease of
// that name is a dead process's.
const claimSQL = `WITH old AS (
		SELECT id, state, alert_id, decision_id FROM actions
		WHERE id = ANY($1::text[]::uuid[]) AND (state = 'planned' OR (state = 'executing' OR state = 'succeeded' AND verified_ns IS NULL AND lease_until IS NOT NULL)
			AND (lease_holder IN ('', $2) OR lease_until IS NULL OR lease_until < clock_timestamp()))
		ORDER BY id FOR UPDATE
	)
	UPDATE actions a SET
		state        = CASE old.state WHEN 'succeeded' THEN 'succeeded' ELSE 'executing' END,
		attempts     = a.attempts + CASE old.state WHEN 'succeeded' THEN 0 ELSE 1 END,
		executing_ns = CASE old.state WHEN 'succeeded' THEN a.executing_ns ELSE $3::bigint END,
		lease_holder = $2,
		lease_until  = clock_timestamp() + make_interval(secs => CASE
			WHEN old.state = 'succeeded' THEN $4::float8 WHEN a.type = ANY($6::text[]) THEN $7::float8 ELSE $5::float8 END)
	FROM old LEFT JOIN alerts l ON l.id = old.alert_id LEFT JOIN decisions d ON d.id = old.decision_id
	WHERE a.id = old.id
	RETURNING a.id::text, a.type, a.target, a.params, a.reason, a.alert_id::text, a.attempts, a.expires_ns, a.playbook, a.revision,
		a.note, coalesce(a.incident_id::text, ''), coalesce(l.rule, ''), coalesce(l.kernel_ns, 0), coalesce(l.alert_ns, 0), coalesce(l.received_ns, 0), coalesce(d.decided_ns, 0), coalesce(a.executed_ns, 0),
		a.planned_ns, a.lease_until, old.state, a.cluster, a.node, a.ttl_ns, a.decision_id::text, coalesce(a.staged_ns, 0),
		coalesce(a.executing_ns, 0), a.labels, a.namespace, EXISTS (SELECT FROM actions g WHERE g.decision_id = a.decision_id AND g.id <> a.id AND g.type = ANY($8::text[]) AND g.state IN ('planned', 'executing'))`

// claiming is an action to be claimed, and its claim.
type claiming struct {
	id    string
	claim *claim
}

// claim returns nil if the action has ended or somebody else holds it.
func (e *Executor) claim(ctx context.Context, id string) (*claim, error) {
	c := &claiming{id: id}
	if err := e.claims.do(ctx, c); err != nil {
		return nil, fmt.Errorf("claim action %s: %w", id, err)
	}
	return c.claim, nil
}

// claimAll claims actions that were asked for at the same time. A claim that its caller
// does not hear of any more is found by the rescue.
func (e *Executor) claimAll(ctx context.Context, batch []*claiming) []error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	ids := make([]string, len(batch))
	for i, c := range batch {
		ids[i] = c.id
	}
	claims, err := e.claimRows(ctx, ids)
	errs := make([]error, len(batch))
	for i, c := range batch {
		c.claim, errs[i] = claims[c.id], err
	}
	return errs
}

func (e *Executor) claimRows(ctx context.Context, ids []string) (map[string]*claim, error) {
	lease := func(d time.Duration) float64 { return (d + 2*recordTimeout).Seconds() }
	rows, err := e.o.Pool.Query(ctx, claimSQL, ids, e.o.Instance, time.Now().UnixNano(),
		lease(e.o.VerifyTimeout), lease(e.o.ExecuteTimeout), e.slow, lease(e.o.SlowTimeout), e.gather)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := map[string]*claim{}
	for rows.Next() {
		var c claim
		var target, params []byte
		var expires, staged int64
		var cluster, node string
		err := rows.Scan(&c.ID, &c.Type, &target, &params, &c.Reason, &c.AlertID, &c.Attempt, &expires, &c.playbook, &c.revision,
			&c.note, &c.incidentID, &c.rule, &c.when.KernelNS, &c.when.AgentNS, &c.when.ReceivedNS, &c.when.DecidedNS, &c.when.ExecutedNS,
			&c.planned, &c.lease, &c.was, &cluster, &node, &c.ttl, &c.decisionID, &staged, &c.executing, &c.labels, &c.namespace, &c.gathering)
		if err != nil {
			return nil, err
		}
		c.Params, c.Expires = params, time.Unix(0, expires)
		if staged != 0 {
			c.staged = time.Unix(0, staged)
		}
		c.readTarget(target, cluster, node)
		all[c.ID] = &c
	}
	return all, rows.Err()
}

func (c *claim) readTarget(raw []byte, cluster, node string) {
	if err := json.Unmarshal(raw, &c.Target); err != nil {
		// A row that we cannot read must end, not come again forever.
		c.Target = action.Target{}
		c.was = unreadable
	}
	// The columns are the checked ones: they come from the alert's own origin.
	c.Target.Cluster, c.Target.Node = cluster, node
}

// unreadable is claim.was for a target that is no action.Target.
const unreadable = "unreadable"

// unsure says that an earlier attempt may have had its effect.
func (c *claim) unsure() bool { return c.was == "executing" }

// entry begins an entry of the record about this action.
func (c *claim) entry(kind audit.Kind, result, note string) audit.Entry {
	uid := c.Target.UID
	if uid == "" {
		uid = c.Target.ContainerID
	}
	return audit.Entry{
		Cluster: c.Target.Cluster, Namespace: c.namespace, Kind: kind, Actor: audit.Playbook(c.playbook, c.revision), Result: result, Note: note,
		Why: audit.Why{AlertID: c.AlertID, IncidentID: c.incidentID, Rule: c.rule, Reason: c.Reason},
		What: audit.What{
			ActionID: c.ID, Type: c.Type, Object: c.Target.Identity(), UID: uid, Params: c.Params, Attempt: c.Attempt,
			Labels: c.labels, Kind: c.Target.Kind, Namespace: c.Target.Namespace, Name: c.Target.Name, Node: c.Target.Node,
		},
		When: c.when,
	}
}

// sentence makes a text from elsewhere fit for a column: errors and notes may
// carry what an agent or a process said.
func sentence(s string) string {
	const limit = 1000
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "") + " [cut]"
	}
	return s
}
