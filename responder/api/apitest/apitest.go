// Package apitest gives tests the real API on a real database with rows in it.
package apitest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/responder/action"
	"riposte/responder/action/freezecontainer"
	"riposte/responder/action/killcontainer"
	"riposte/responder/api/access"
	"riposte/responder/api/server"
	"riposte/responder/audit"
	"riposte/responder/execute"
	"riposte/responder/guard"
	"riposte/responder/ingest"
	"riposte/responder/playbook"
	"riposte/responder/playbook/sandbox"
	"riposte/responder/store"
)

// Token is the token of every test's API, an admin's.
const Token = "test-token-0123456789abcdef0123456789abcdef"

// JaneToken and TomToken are two people's, admins too.
const (
	JaneToken = "jane-token-0123456789abcdef0123456789abcdef"
	TomToken  = "tom-token-0123456789abcdef0123456789abcdef"
)

// Playbook is the one that is loaded.
const Playbook = "kill_container_on_critical"

// Base is when number 0 happened; number i is i seconds later. For the guard it is now.
var Base = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// Env is one running API.
type Env struct {
	Store  *store.Store
	Server *server.Server
	Guard  *guard.Guard
	// URL is its address, such as http://127.0.0.1:40123.
	URL string
}

// Start serves the API on a database, usually storetest.New's, until the test ends.
// Whatever it answers must be as its document says.
func Start(t testing.TB, s *store.Store) *Env {
	t.Helper()
	return StartWith(t, s, server.Options{})
}

// StartWith is Start with other principals, an access file and a cluster to ask, and what
// else of Loads, Coverage, Ready, Backlog and Playbooks is given.
func StartWith(t testing.TB, s *store.Store, o server.Options) *Env {
	t.Helper()
	g, err := guard.New(guard.Options{KillSwitchFile: filepath.Join(t.TempDir(), "kill-switch"), Now: func() time.Time { return Base }})
	require.NoError(t, err)
	require.NoError(t, g.Open(t.Context(), guard.Parts{Store: s, Home: "test", Enqueue: execute.Enqueue}))
	_, err = s.Pool().Exec(t.Context(), "SELECT record_month('alerts', '2025-02-01')")
	require.NoError(t, err)
	if o.Loads == nil {
		o.Loads = func() sandbox.Loads {
			return sandbox.Loads{Good: 2, Bad: 1, GoodAt: Base, ErrAt: Base.Add(time.Second), Err: errors.New("/etc/playbooks/a.rego:3:1: is wrong")}
		}
	}
	if o.Ready == nil {
		o.Ready = func(ctx context.Context) map[string]error { return map[string]error{"database": s.Pool().Ping(ctx)} }
	}
	if o.Coverage == nil {
		o.Coverage = coverage
	}
	if o.Playbooks == nil {
		o.Playbooks = func() []*playbook.Playbook {
			return []*playbook.Playbook{{
				Name: Playbook, Revision: "0123456789abcdef", Source: "/etc/playbooks",
				Metadata: playbook.Metadata{Title: "Kill a container on a Critical alert", Mode: playbook.Enforce},
				Files:    []string{"kill.rego"}, Texts: []string{"package playbooks.kill_container_on_critical\n"},
			}}
		}
	}
	registry := action.NewRegistry(freezecontainer.New(nil), killcontainer.New(nil))
	one := server.New(server.Options{
		Cluster: "test", Version: "1.2.3", Store: s, Guard: g, Redrive: ingest.New(ingest.Options{Store: s, Cluster: "test"}).Redrive, Log: slog.New(slog.DiscardHandler),
		Lift: func(ctx context.Context, id, actor, reason string) error {
			return execute.AskLift(ctx, s, registry, id, actor, reason)
		},
		Principals: append([]access.Principal{
			{Name: "token", Token: Token, Grants: access.Everywhere(access.Admin)},
			{Name: "jane", Token: JaneToken, Grants: access.Everywhere(access.Admin)},
			{Name: "tom", Token: TomToken, Grants: access.Everywhere(access.Admin)},
		}, o.Principals...),
		Access: o.Access, Review: o.Review,
		Loads: o.Loads, Playbooks: o.Playbooks,
		Explain: o.Explain, Coverage: o.Coverage,
		Ready:   o.Ready,
		Backlog: o.Backlog,
		Console: fstest.MapFS{"index.html": {Data: []byte(`<meta name="csp-nonce" content="__CSP_NONCE__">`)}, "assets/app-1234.js": {Data: []byte("1")}, "secret.go": {Data: []byte("x")}},
	})
	one.Wrap(validating(t))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	one.Start(l)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.NoError(t, one.Stop(ctx))
	})
	return &Env{Store: s, Server: one, Guard: g, URL: "http://" + l.Addr().String()}
}

// coverage is what the loaded playbook's tests evaluate of it.
func coverage(context.Context, string) (playbook.Coverage, error) {
	return playbook.Coverage{
		Playbook: &playbook.Playbook{Name: Playbook, Revision: "0123456789abcdef"}, At: Base, Tests: 3, Failed: 1,
		Files: []sandbox.Coverage{{File: "kill.rego", Covered: 3, Missed: 1, Lines: map[int]bool{1: true, 2: true, 4: true, 7: false}}},
	}, nil
}

// AddManual puts in what the examples of the manual are about.
func (e *Env) AddManual(t testing.TB) {
	t.Helper()
	for _, i := range []int{1, 2, 3, 4, 7, 8} {
		e.Add(t, i)
	}
	for _, i := range []int{5, 6, 9} {
		e.Wait(t, i, guard.RuleBudgetNode)
	}
	e.AddDeadLetter(t, 1)
	require.NoError(t, e.Store.InTx(t.Context(), func(tx store.Tx) error {
		for _, change := range []struct {
			query string
			args  []any
		}{
			{"UPDATE actions SET state = 'planned', executing_ns = NULL, executed_ns = NULL, verified_ns = NULL, audited_ns = NULL, attempts = 0 WHERE id = $1", []any{ActionID(7)}},
			{"UPDATE actions SET type = 'freeze_container', lift_ns = $2 WHERE id = $1", []any{ActionID(8), time.Now().Add(time.Hour).UnixNano()}},
			{`INSERT INTO agents VALUES ('test', 'node-1', '0b0c7a2e-1d5f-4a52-9a3c-7d8e9f001122', '{"version":"1.2.3","source":"ebpf","rules":12,"lost":{"ring":3}}', $1)`, []any{Base}},
		} {
			if _, err := tx.Exec(t.Context(), change.query, change.args...); err != nil {
				return err
			}
		}
		return nil
	}))
}

// AlertID is the id of alert number i.
func AlertID(i int) string { return fmt.Sprintf("01950000-0000-7000-8000-a%011x", i) }

// ActionID is the id of action number i.
func ActionID(i int) string { return fmt.Sprintf("01950000-0000-7000-8000-c%011x", i) }

// IncidentID is the id of incident number i.
func IncidentID(i int) string { return fmt.Sprintf("01950000-0000-7000-8000-b%011x", i) }

// DeadLetterID is the id of dead letter number i.
func DeadLetterID(i int) string { return fmt.Sprintf("01950000-0000-7000-8000-e%011x", i) }

// AddDeadLetter puts in a message of node-0 that no agent of ours sends.
func (e *Env) AddDeadLetter(t testing.TB, i int) {
	t.Helper()
	at := Base.Add(time.Duration(i) * time.Second)
	require.NoError(t, e.Store.InTx(t.Context(), func(tx store.Tx) error {
		_, err := tx.AddDeadLetters(t.Context(), []store.DeadLetter{{
			ID: DeadLetterID(i), Subject: "alerts.test.node-0.critical", MessageID: fmt.Sprint("m", i), Cluster: "test", Node: "node-0",
			Reason: "malformed", Error: "unexpected end of JSON \x1b[2Jinput", Body: []byte("{\x00\xff\u202e"), ReceivedAt: at, DiedAt: at,
		}})
		return err
	}))
}

// DecisionID is the id of decision number i.
func DecisionID(i int) string { return fmt.Sprintf("01950000-0000-7000-8000-d%011x", i) }

// ContainerID is the id of container number i.
func ContainerID(i int) string { return fmt.Sprintf("%04x", i) + fmt.Sprintf("%060x", i) }

// Rule is the rule of number i. Every fourth has what an attacker would like to
// send to a terminal.
func Rule(i int) string {
	if i%4 == 3 {
		return "Shell \x1b[2J\u202egnp.exe in a container"
	}
	return fmt.Sprintf("Rule %d", i%4)
}

// Add puts in number i: an alert, the decision about it, an action that
// succeeded after 40 ms, and its two entries in the record.
func (e *Env) Add(t testing.TB, i int) {
	t.Helper()
	e.AddIn(t, i, "shop", "shop")
}

// AddIn is Add for an alert in a namespace, with an action that is seen by those of a
// namespace, or empty if its target is elsewhere.
func (e *Env) AddIn(t testing.TB, i int, namespace, seen string) {
	t.Helper()
	require.NoError(t, e.Store.InTx(t.Context(), func(tx store.Tx) error { return AddTo(t.Context(), tx, i, namespace, seen) }))
}

// AddTo is AddIn within a transaction.
func AddTo(ctx context.Context, tx store.Tx, i int, namespace, seen string) error {
	at := Base.Add(time.Duration(i) * time.Second)
	ns := at.UnixNano()
	node := fmt.Sprintf("node-%d", i%2)
	labels := map[string]string{"app": "cart", "number": strconv.Itoa(i)}
	const ms = int64(time.Millisecond)
	target := fmt.Sprintf(`{"kind":"container","cluster":"test","node":%q,"container_id":%q,"cgroup_id":42,"start_ns":7}`, node, ContainerID(i))
	if _, err := tx.Exec(ctx, `INSERT INTO incidents (id, cluster, key, title, priority, first_at, last_at, labels) VALUES ($1, 'test', $2, 't', 2, $3, $3, $4)`,
		IncidentID(i), IncidentID(i), at, labels); err != nil {
		return err
	}
	// An alert is kept in the month that its id says.
	if _, err := tx.Exec(ctx, `INSERT INTO alerts (month, id, incident_id, cluster, node, rule, priority, source, output, container_id, namespace, pod, binding,
			recorded, kernel_ns, alert_ns, received_ns, body, labels)
		VALUES ('2025-02-01', $1, $2, 'test', $3, $4, $5, 'syscall', $6, $7, $14, $8, 'none', false, $9, $10, $11, $12, $13)`,
		AlertID(i), IncidentID(i), node, Rule(i), i%8, "output <b>&\x1b]0;owned\a\u2066 of "+node, ContainerID(i), fmt.Sprintf("cart-%d", i),
		ns, ns+1*ms, ns+3*ms, `{"rule":"as sent","big":12345678901234567890}`, labels, namespace); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `INSERT INTO decisions (id, alert_id, playbook, revision, mode, state, input, decided_ns)
		VALUES ($1, $2, 'kill_container_on_critical', '0123456789abcdef', 'enforce', 'decided', '{}', $3)`, DecisionID(i), AlertID(i), ns+5*ms); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `INSERT INTO actions (id, decision_id, alert_id, cluster, node, type, target, effect_key, playbook, revision, mode, reason,
			state, note, attempts, planned_ns, expires_ns, executing_ns, executed_ns, verified_ns, audited_ns, incident_id, labels, namespace)
		VALUES ($1, $2, $3, 'test', $4, 'kill_container', $5, $6, 'kill_container_on_critical', '0123456789abcdef', 'enforce', 'a shell in a container',
			'succeeded', '2 processes killed', 1, $7, $8, $9, $10, $11, $12, $13, $14, $15)`,
		ActionID(i), DecisionID(i), AlertID(i), node, target, ActionID(i), ns+6*ms, ns+60_000*ms, ns+8*ms, ns+30*ms, ns+40*ms, ns+42*ms, IncidentID(i), labels, seen); err != nil {
		return err
	}
	why := audit.Why{AlertID: AlertID(i), IncidentID: IncidentID(i), Rule: Rule(i), Reason: "a shell in a container"}
	what := audit.What{
		ActionID: ActionID(i), Type: "kill_container", Object: "test/container/" + node, UID: ContainerID(i), Kind: "container", Namespace: "shop",
		Name: fmt.Sprintf("cart-%d", i), Node: node, Labels: labels,
	}
	actor := audit.Playbook("kill_container_on_critical", "0123456789abcdef")
	return audit.Append(ctx, tx,
		audit.Entry{Cluster: "test", Namespace: seen, Kind: audit.ActionIntent, At: at, Actor: actor, Result: "planned", Why: why, What: what},
		audit.Entry{Cluster: "test", Namespace: seen, Kind: audit.ActionResult, At: at.Add(40 * time.Millisecond), Actor: audit.System("execute"), Result: "succeeded", Why: why, What: what})
}

// Wait puts in number i, whose action waits for people, by the guard's rules; two
// must agree if one of the rules is two-person. It can be answered for an hour.
func (e *Env) Wait(t testing.TB, i int, rules ...string) {
	t.Helper()
	e.Add(t, i)
	effect := guard.Effect{ActionID: ActionID(i), Playbook: Playbook, Mode: playbook.Enforce, Type: "kill_container", Cluster: "test", Node: "node-0", Target: ActionID(i), Subject: ActionID(i)}
	question := store.Question{ActionID: ActionID(i), Rules: rules, Reason: "a person should look at this", Needed: 1}
	if slices.Contains(rules, guard.RuleTwoPerson) {
		question.Needed = 2
	}
	require.NoError(t, e.Store.InTx(t.Context(), func(tx store.Tx) error {
		b, err := json.Marshal(effect)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(t.Context(), `UPDATE actions SET state = 'waiting', refused_by = $2, executing_ns = NULL, executed_ns = NULL, verified_ns = NULL,
			audited_ns = NULL, attempts = 0, expires_ns = $3 WHERE id = $1`, ActionID(i), rules[0], Base.Add(time.Hour).UnixNano()); err != nil {
			return err
		}
		if err := tx.AddEffects(t.Context(), map[string]json.RawMessage{ActionID(i): b}); err != nil {
			return err
		}
		return tx.Ask(t.Context(), question)
	}))
}
