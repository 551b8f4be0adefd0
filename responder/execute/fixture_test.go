package execute_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"riposte/responder/action"
	"riposte/responder/audit"
	"riposte/responder/execute"
	"riposte/responder/store"
	"riposte/responder/store/storetest"
)

func TestMain(m *testing.M) {
	if url := os.Getenv(childURL); url != "" {
		runChild(url)
	}
	os.Exit(storetest.Run(m))
}

const patience = 20 * time.Second

// plan is what the ingest does for one action, in one transaction.
type plan struct {
	id      string
	kind    string
	state   string
	expires time.Time
	queue   execute.Queue
	silent  bool // no job: somebody else must find the action
	ttl     time.Duration
	beside  string // another action, whose decision this one is of too
	target  *action.Target
	params  string
}

func planned(t testing.TB, s *store.Store, change func(*plan)) string {
	t.Helper()
	p := plan{id: uuid.NewString(), kind: "touch", state: "planned", expires: time.Now().Add(time.Hour), queue: execute.Contain}
	if change != nil {
		change(&p)
	}
	require.NoError(t, s.InTx(t.Context(), func(tx store.Tx) error { return insert(t.Context(), tx, p) }))
	return p.id
}

func insert(ctx context.Context, tx store.Tx, p plan) error {
	alertID, incidentID, decisionID := uuid.NewString(), uuid.NewString(), uuid.NewString()
	target := action.Target{Kind: "container", Cluster: "local", Node: "n1", ContainerID: p.id, CgroupID: 7, StartNS: 8}
	if p.target != nil {
		target = *p.target
	}
	if p.params == "" {
		p.params = "{}"
	}
	raw, err := json.Marshal(target)
	if err != nil {
		return err
	}
	now := time.Now().UnixNano()
	for _, q := range []struct {
		sql  string
		args []any
	}{
		{`INSERT INTO incidents (id, cluster, key, title, priority, first_at, last_at) VALUES ($1, 'local', $1::uuid::text, 'shell', 2, now(), now())`, []any{incidentID}},
		{`INSERT INTO alerts (id, incident_id, cluster, node, rule, priority, source, output, binding, recorded, kernel_ns, alert_ns, received_ns, body)
			VALUES ($1, $2, 'local', 'n1', 'Terminal shell in container', 2, 'syscall', 'x', 'none', false, $3, $3, $3, '{}')`, []any{alertID, incidentID, now}},
		{
			`INSERT INTO decisions (id, alert_id, playbook, revision, mode, state, input, decided_ns) VALUES ($1, $2, 'kill', 'r1', 'enforce', 'decided', '{}', $3)`,
			[]any{decisionID, alertID, now},
		},
		{
			`INSERT INTO actions (id, decision_id, alert_id, cluster, node, type, target, effect_key, playbook, revision, mode, reason, state, planned_ns, expires_ns, ttl_ns, params, incident_id, namespace)
			VALUES ($1, coalesce((SELECT decision_id FROM actions WHERE id::text = $11), $2), $3, 'local', 'n1', $4, $5, $6, 'kill', 'r1', 'enforce', 'a shell', $7, $8, $9, $10, $12, $13, 'shop')`,
			[]any{p.id, decisionID, alertID, p.kind, raw, p.kind + "/" + target.Identity(), p.state, now, p.expires.UnixNano(), int64(p.ttl), p.beside, p.params, incidentID},
		},
	} {
		if _, err := tx.Exec(ctx, q.sql, q.args...); err != nil {
			return err
		}
	}
	if !p.silent {
		if err := execute.EnqueueTo(ctx, tx, p.queue, p.id); err != nil {
			return err
		}
	}
	return audit.Append(ctx, tx, audit.Entry{
		Cluster: "local", Kind: audit.ActionIntent, Actor: audit.Playbook("kill", "r1"), Result: p.state,
		Why: audit.Why{AlertID: alertID, IncidentID: incidentID}, What: audit.What{ActionID: p.id, Type: p.kind, Object: target.Identity()},
	})
}

// row is what became of an action.
type row struct {
	State, Note, RefusedBy, Holder string
	Attempts                       int
	Executed, Verified, Audited    *int64
	Leased                         bool
}

func read(t testing.TB, s *store.Store, id string) row {
	t.Helper()
	var r row
	require.NoError(t, s.Pool().QueryRow(t.Context(), `SELECT state, note, refused_by, lease_holder, attempts, executed_ns, verified_ns, audited_ns, lease_until IS NOT NULL
		FROM actions WHERE id = $1`, id).Scan(&r.State, &r.Note, &r.RefusedBy, &r.Holder, &r.Attempts, &r.Executed, &r.Verified, &r.Audited, &r.Leased))
	return r
}

// await polls until the row is as wanted.
func await(t testing.TB, s *store.Store, id string, want func(row) bool) row {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		r := read(t, s, id)
		if want(r) {
			return r
		}
		if time.Now().After(deadline) {
			require.FailNow(t, "the action did not get there", "%+v", r)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// ended waits until nobody has anything left to do with the action.
func ended(t testing.TB, s *store.Store, id string) row {
	t.Helper()
	return await(t, s, id, func(r row) bool {
		return r.State != "planned" && r.State != "executing" && !r.Leased
	})
}

// record is an action's entries as "kind result", and asserts that the chain verifies.
func record(t testing.TB, s *store.Store, id string) []string {
	t.Helper()
	rows, err := s.Pool().Query(t.Context(), `SELECT kind || ' ' || result FROM audit WHERE action_id = $1 ORDER BY seq`, id)
	require.NoError(t, err)
	defer rows.Close()
	var list []string
	for rows.Next() {
		var e string
		require.NoError(t, rows.Scan(&e))
		list = append(list, e)
	}
	require.NoError(t, rows.Err())
	report, err := audit.Verify(t.Context(), s.Pool(), audit.Evidence{})
	require.NoError(t, err)
	require.True(t, report.OK, "%+v", report)
	return list
}

// act is an Action made of functions.
type act struct {
	spec    action.Spec
	execute func(context.Context, action.Request) (action.Result, error)
	verify  func(context.Context, action.Request) (time.Time, error)
}

func (a act) Spec() action.Spec                          { return a.spec }
func (a act) Check(action.Target, json.RawMessage) error { return nil }
func (a act) Execute(ctx context.Context, r action.Request) (action.Result, error) {
	return a.execute(ctx, r)
}

func (a act) Verify(ctx context.Context, r action.Request) (time.Time, error) {
	return a.verify(ctx, r)
}

func touch(do func(context.Context, action.Request) (action.Result, error)) act {
	return act{spec: action.Spec{Type: "touch", Kind: "container"}, execute: do, verify: func(context.Context, action.Request) (time.Time, error) {
		return time.Now(), nil
	}}
}

// done is an Execute that has its effect at once and sees it.
func done(context.Context, action.Request) (action.Result, error) {
	now := time.Now()
	return action.Result{Note: "done", ExecutedAt: now, VerifiedAt: now}, nil
}

// gate is a Gate that can be closed.
type gate struct {
	mu    sync.Mutex
	stop  *execute.Stop
	asked int
}

func (g *gate) Pass(context.Context, action.Request) *execute.Stop {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked++
	return g.stop
}

func (g *gate) set(stop *execute.Stop) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stop = stop
}

func (g *gate) times() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.asked
}

func options(s *store.Store, actions ...action.Action) execute.Options {
	return execute.Options{
		Pool: s.Pool(), Registry: action.NewRegistry(actions...), Gate: &gate{}, Instance: "one", Log: slog.New(slog.NewTextHandler(logTo, nil)),
		HoldDelay: 20 * time.Millisecond, RescueEvery: 100 * time.Millisecond,
	}
}

// logTo shows the executor's log if RIPOSTE_TEST_LOG is set.
var logTo = func() io.Writer {
	if os.Getenv("RIPOSTE_TEST_LOG") != "" {
		return os.Stderr
	}
	return io.Discard
}()

func run(t testing.TB, o execute.Options) *execute.Executor {
	t.Helper()
	e, err := execute.New(o)
	require.NoError(t, err)
	require.NoError(t, e.Start(t.Context()))
	t.Cleanup(func() { stop(t, e) })
	return e
}

func stop(t testing.TB, e *execute.Executor) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	defer cancel()
	require.NoError(t, e.Stop(ctx))
}

func receive[T any](t testing.TB, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		require.FailNow(t, fmt.Sprintf("nothing came within %s", patience))
	}
	return v
}
