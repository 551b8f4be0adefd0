package guard_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"riposte/agent/alert"
	"riposte/responder/action"
	"riposte/responder/audit"
	"riposte/responder/execute"
	"riposte/responder/guard"
	"riposte/responder/store"
	"riposte/responder/store/storetest"
)

// spec is an action of which only what it is matters here.
type spec struct {
	action.Action
	is action.Spec
}

func (s spec) Spec() action.Spec { return s.is }

var registry = action.NewRegistry(
	spec{is: action.Spec{Type: "delete_pod", Kind: action.KindPod, Stage: action.Destroy}},
	spec{is: action.Spec{Type: "kill_container", Kind: action.KindContainer, Stage: action.Destroy}},
	spec{is: action.Spec{Type: "freeze_container", Kind: action.KindContainer}},
	spec{is: action.Spec{Type: "cordon_node", Kind: action.KindNode, NodeWide: true}},
	spec{is: action.Spec{Type: "collect_logs", Kind: action.KindPod, Stage: action.Gather}},
	spec{is: action.Spec{Type: "notify", Kind: action.KindPod}},
)

// cluster is one whose state the test sets.
type cluster struct {
	mu       sync.Mutex
	ready    int
	cordoned []string
	err      error
}

func (c *cluster) Ready(context.Context, string, string) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ready, c.err
}

func (c *cluster) Cordoned(context.Context) ([]string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cordoned, c.err
}

func (c *cluster) set(ready int, err error, cordoned ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ready, c.cordoned, c.err = ready, cordoned, err
}

// desk is a guard on a real database, and the way of an action through it.
type desk struct {
	*guard.Guard
	t       testing.TB
	store   *store.Store
	cluster *cluster
	file    string
}

// generous has budgets that no test uses up by chance.
func generous() guard.Limits {
	l := guard.DefaultLimits()
	much := guard.Budget{Count: 1000, Window: time.Hour}
	l.Playbook, l.Workload, l.Namespace, l.Node, l.Cluster = much, much, much, much, much
	l.ReadyShare, l.CordonedNodes, l.LoopWindow, l.ErrorActions = 100, 1000, 0, 1000
	return l
}

func newDesk(t testing.TB, edit ...func(*guard.Options)) *desk {
	t.Helper()
	return deskOn(t, storetest.New(t), edit...)
}

// deskOn is another responder's guard on the same database.
func deskOn(t testing.TB, s *store.Store, edit ...func(*guard.Options)) *desk {
	t.Helper()
	d := &desk{t: t, store: s, cluster: &cluster{ready: 100}, file: filepath.Join(t.TempDir(), "kill-switch")}
	o := guard.Options{KillSwitchFile: d.file, Limits: generous()}
	for _, e := range edit {
		e(&o)
	}
	d.Guard = newGuard(t, o)
	require.NoError(t, d.Open(t.Context(), guard.Parts{Store: s, Home: "c", Actions: registry, Cluster: d.cluster, Enqueue: execute.Enqueue}))
	return d
}

// about is a question about pod number i of Deployment "web".
func about(i int, edit ...func(*guard.Question)) guard.Question {
	q := pod()
	q.Pod.Name, q.Pod.UID, q.Pod.Owner = fmt.Sprint("web-", i), fmt.Sprint("uid-", i), "ReplicaSet/web"
	q.Target.Name, q.Target.UID = q.Pod.Name, q.Pod.UID
	q.Alert.Riposte.Pod = &alert.Pod{Namespace: q.Pod.Namespace, Name: q.Pod.Name, UID: q.Pod.UID}
	for _, e := range edit {
		e(&q)
	}
	return q
}

func cordon(node string) guard.Question {
	q := pod()
	q.Type, q.Target = "cordon_node", action.Target{Kind: action.KindNode, Cluster: "c", Name: node, UID: "uid-" + node}
	q.Alert.Riposte.Node = node
	return q
}

// outcome is what became of one question.
type outcome struct {
	guard.Verdict
	ID string
}

func (o outcome) String() string {
	if o.Rule == "" {
		return string(o.Outcome)
	}
	return string(o.Outcome) + " " + o.Rule
}

// ask has questions judged, stored and counted in one transaction, as the intake does.
func (d *desk) ask(questions ...guard.Question) []outcome {
	d.t.Helper()
	all, err := d.try(questions...)
	require.NoError(d.t, err)
	return all
}

func (d *desk) one(q guard.Question) outcome {
	d.t.Helper()
	return d.ask(q)[0]
}

var errAbandoned = errors.New("the test rolls back")

func (d *desk) try(questions ...guard.Question) ([]outcome, error) {
	all, _, err := d.in(questions, nil)
	return all, err
}

func (d *desk) in(questions []guard.Question, end func() error) (all []outcome, r guard.Reserved, err error) {
	ctx := d.t.Context()
	err = d.store.InTx(ctx, func(tx store.Tx) error {
		all = nil
		var proposed []guard.Proposed
		var at []int
		for _, q := range questions {
			v := d.Judge(ctx, q)
			o := outcome{Verdict: v, ID: uuid.Must(uuid.NewV7()).String()}
			all = append(all, o)
			if v.Effect == nil {
				continue
			}
			state := map[guard.Outcome]string{guard.Allow: "planned", guard.Ask: "waiting"}[v.Outcome]
			if err := plan(ctx, tx, o.ID, state, q); err != nil {
				return err
			}
			e := *v.Effect
			e.ActionID = o.ID
			until := time.Now().Add(time.Hour).UnixNano()
			proposed = append(proposed, guard.Proposed{Effect: &e, Waiting: state == "waiting", Rule: v.Rule, Reason: v.Reason, AskUntil: until})
			at = append(at, len(all)-1)
		}
		var err error
		if r, err = d.Reserve(ctx, tx, proposed); err != nil {
			return err
		}
		for i, v := range r.Verdicts {
			all[at[i]].Verdict = v
		}
		if err := audit.Append(ctx, tx, r.Entries...); err != nil || end == nil {
			return err
		}
		return end()
	})
	return all, r, err
}

// plan stores an action with what it needs.
func plan(ctx context.Context, tx store.Tx, id, state string, q guard.Question) error {
	incident, alertID, decision := uuid.NewString(), uuid.NewString(), uuid.NewString()
	target, err := json.Marshal(q.Target)
	if err != nil {
		return err
	}
	now := time.Now()
	for _, step := range []struct {
		sql  string
		args []any
	}{
		{`INSERT INTO incidents (id, cluster, key, title, priority, first_at, last_at) VALUES ($1::text::uuid, 'c', $1::text, 't', 2, now(), now())`, []any{incident}},
		{`INSERT INTO alerts (id, incident_id, cluster, node, rule, priority, source, output, binding, recorded, kernel_ns, alert_ns, received_ns, body)
			VALUES ($1, $2, 'c', 'n', 'r', 2, 'syscall', 'o', 'bound', false, 1, 2, 3, '{}')`, []any{alertID, incident}},
		{
			`INSERT INTO decisions (id, alert_id, playbook, revision, mode, state, input, decided_ns) VALUES ($1, $2, $3, 'r1', 'enforce', 'decided', '{}', 4)`,
			[]any{decision, alertID, q.Playbook},
		},
		{
			`INSERT INTO actions (id, decision_id, alert_id, cluster, node, type, target, object, effect_key, playbook, revision, mode, reason, state, planned_ns, expires_ns, incident_id, namespace)
			VALUES ($1::text::uuid, $2, $3, 'c', $4, $5, $6, $7, $1::text, $8, 'r1', 'enforce', 'because', $9, $10, $11, $12, 'shop')`,
			[]any{id, decision, alertID, q.Target.Node, q.Type, target, q.Target.Identity(), q.Playbook, state, now.UnixNano(), now.Add(time.Hour).UnixNano(), incident},
		},
	} {
		if _, err := tx.Exec(ctx, step.sql, step.args...); err != nil {
			return err
		}
	}
	return nil
}

// release is the executor's question right before the effect.
func (d *desk) release(id string, q guard.Question) guard.Verdict {
	return d.Release(d.t.Context(), action.Request{ID: id, Type: q.Type, Target: q.Target})
}

func (d *desk) exec(sql string, args ...any) {
	d.t.Helper()
	require.NoError(d.t, d.store.InTx(d.t.Context(), func(tx store.Tx) error {
		_, err := tx.Exec(d.t.Context(), sql, args...)
		return err
	}))
}

// age makes every reservation that much older.
func (d *desk) age(by time.Duration) {
	d.t.Helper()
	d.exec(`UPDATE guard_reservations SET at = at - make_interval(secs => $1)`, by.Seconds())
	d.exec(`UPDATE actions SET state = 'succeeded' WHERE state = 'planned'`)
}

func (d *desk) text(sql string, args ...any) (s string) {
	d.t.Helper()
	require.NoError(d.t, d.store.Pool().QueryRow(d.t.Context(), sql, args...).Scan(&s))
	return s
}

func (d *desk) row(id string) string {
	d.t.Helper()
	return d.text(`SELECT state || '/' || refused_by FROM actions WHERE id = $1`, id)
}

// verdicts are the outcomes as texts.
func verdicts(all []outcome) []string {
	texts := make([]string, len(all))
	for i, o := range all {
		texts[i] = o.String()
	}
	return texts
}
