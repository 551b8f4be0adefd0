package ingest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"riposte/agent/alert"
	"riposte/responder/action"
	"riposte/responder/execute"
	"riposte/responder/guard"
	"riposte/responder/incident"
	"riposte/responder/ingest"
	"riposte/responder/playbook"
	"riposte/responder/store"
	"riposte/responder/store/storetest"
)

const (
	containerID = "4e5f6a7b8c9d0e1f2a3b4c5d6e7f80910a1b2c3d4e5f60718293a4b5c6d7e8f9"
	bootID      = "0b0c7a2e-1d5f-4a52-9a3c-7d8e9f001122"
	podUID      = "7d9a1f0e-2f60-4b3c-8f55-0c1d2e3f4a5b"
)

// anAlert is a Critical alert of node n1 about its container, like the agent's.
func anAlert(seq uint64, edit ...func(*alert.Alert)) *alert.Alert {
	a := &alert.Alert{
		UUID: uuid.Must(uuid.NewV7()).String(), Time: time.Now(), Rule: "Terminal shell in container", Priority: alert.Critical, Source: "syscall",
		Hostname: "n1", Output: "a shell", OutputFields: map[string]any{"proc.name": "sh"},
		Riposte: &alert.Riposte{
			Schema: alert.Schema, Cluster: "prod", Node: "n1", BootID: bootID, Seq: seq, KernelTimeNS: time.Now().UnixNano() - 2e6, AlertTimeNS: time.Now().UnixNano() - 1e6,
			Process:   &alert.Process{PID: 12, StartNS: 34, Name: "sh", Exe: "sh", ExePath: "/bin/sh"},
			Container: &alert.Container{ID: containerID, CgroupID: 77, StartNS: 88},
		},
	}
	for _, e := range edit {
		e(a)
	}
	return a
}

func ofNode(node string) func(*alert.Alert) {
	return func(a *alert.Alert) { a.Riposte.Node = node }
}

func inPod(a *alert.Alert) {
	a.Riposte.Pod = &alert.Pod{UID: podUID, Namespace: "shop", Name: "web-1"}
}

// delivery is a message whose answers are kept.
type delivery struct {
	subject, id string
	data        []byte
	received    time.Time
	acks        int
	naks        []time.Duration
	terms       []string
}

func (d *delivery) Subject() string               { return d.subject }
func (d *delivery) ID() string                    { return d.id }
func (d *delivery) Data() []byte                  { return d.data }
func (d *delivery) ReceivedAt() time.Time         { return d.received }
func (d *delivery) Ack() error                    { d.acks++; return nil }
func (d *delivery) Nak(delay time.Duration) error { d.naks = append(d.naks, delay); return nil }
func (d *delivery) Term(reason string) error      { d.terms = append(d.terms, reason); return nil }

func deliver(t testing.TB, a *alert.Alert) *delivery {
	t.Helper()
	data, err := json.Marshal(a)
	require.NoError(t, err)
	r := a.Riposte
	subject := alert.Subject(r.Cluster, r.Node, a.Priority)
	if r.Intake != "" {
		subject = ingest.IntakeSubject(r.Intake)
	}
	return &delivery{subject: subject, id: r.MessageID(), data: data, received: time.Now()}
}

// answers is a playbook set in Go.
type answers func(in playbook.Input) []playbook.Decision

func (f answers) Evaluate(_ context.Context, in playbook.Input) []playbook.Decision { return f(in) }

// propose is a set with one playbook that always proposes the same.
func propose(p ...playbook.Proposal) answers {
	return func(in playbook.Input) []playbook.Decision {
		input, err := json.Marshal(in)
		if err != nil {
			panic(err)
		}
		return []playbook.Decision{{
			Playbook: "pb", Revision: "r1", Mode: playbook.Enforce, Input: input, Result: json.RawMessage(`{"action":[]}`), Proposals: p,
		}}
	}
}

var killOwn = playbook.Proposal{
	Type: "kill_container", Reason: "a shell", Target: playbook.Target{Kind: "container", ContainerID: containerID, CgroupID: 77, StartNS: 88},
}

var deletePod = playbook.Proposal{
	Type: "delete_pod", Reason: "a shell", Target: playbook.Target{Kind: "pod", Namespace: "shop", Name: "web-1", UID: podUID},
}

// verdicts is a guard in Go.
type verdicts func(q guard.Question) guard.Verdict

func (f verdicts) Judge(_ context.Context, q guard.Question) guard.Verdict { return f(q) }

func (f verdicts) Reserve(context.Context, store.Tx, []guard.Proposed) (guard.Reserved, error) {
	return guard.Reserved{}, nil // its verdicts have no effects
}

func always(o guard.Outcome) verdicts {
	return func(guard.Question) guard.Verdict {
		return guard.Verdict{Outcome: o, Rule: "test-rule", Reason: "the test says so"}
	}
}

// actions knows two types of actions, one for each kind of target.
type actions map[string]string

func (a actions) Check(kind string, target action.Target, _ json.RawMessage) error {
	if a[kind] != target.Kind {
		return errors.New("type: no action is called " + strconv.Quote(kind))
	}
	return nil
}

// Undoable: what begins with "do_" can be undone.
func (a actions) Undoable(kind string) bool { return strings.HasPrefix(kind, "do_") }

// Momentary: what begins with "tell_" leaves nothing behind.
func (a actions) Momentary(kind string) bool { return strings.HasPrefix(kind, "tell_") }

// Lease: what ends in _held has a lease of an hour.
func (a actions) Lease(kind string, _ json.RawMessage) (time.Duration, bool) {
	return time.Hour, strings.HasSuffix(kind, "_held")
}

// pods is a binder in Go.
type pods func(node, uid string) (playbook.Binding, *playbook.Pod)

func (f pods) Bind(node, uid string) (playbook.Binding, *playbook.Pod, error) {
	binding, pod := f(node, uid)
	return binding, pod, nil
}

// BindNamed knows one pod, shop/web-1.
func (f pods) BindNamed(namespace, name, _ string, _ time.Time) (playbook.Binding, *playbook.Pod, error) {
	if namespace != "shop" || name != "web-1" {
		return playbook.Unbound, nil, nil
	}
	binding, pod := f("n1", podUID)
	return binding, pod, nil
}

func webOnN1(node, uid string) (playbook.Binding, *playbook.Pod) {
	pod := &playbook.Pod{Namespace: "shop", Name: "web-1", UID: podUID, Node: "n1", Owner: "ReplicaSet/web"}
	switch {
	case uid != podUID:
		return playbook.Unbound, nil
	case node != "n1":
		return playbook.Forged, pod
	}
	return playbook.Bound, pod
}

// distinct makes alerts that no other is equal to.
func distinct(a *alert.Alert) {
	a.OutputFields["fd.name"] = fmt.Sprintf("/tmp/%d", a.Riposte.Seq)
}

// bench is an Ingest on a database of its own.
type bench struct {
	*ingest.Ingest
	store *store.Store
	t     testing.TB
}

func setup(t testing.TB, edit ...func(*ingest.Options)) *bench {
	t.Helper()
	s := storetest.New(t)
	o := ingest.Options{
		Store: s, Playbooks: propose(killOwn), Guard: always(guard.Allow), Actions: actions{"kill_container": "container", "delete_pod": "pod"},
		Enqueue: execute.Enqueue, Binder: pods(webOnN1), Cluster: "prod", Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	for _, e := range edit {
		e(&o)
	}
	return &bench{ingest.New(o), s, t}
}

func (b *bench) handle(batch ...*delivery) {
	b.t.Helper()
	ingest.Batch[*delivery](b.Ingest)(b.t.Context(), batch)
}

// count counts a query's rows.
func (b *bench) count(from string, args ...any) (n int) {
	b.t.Helper()
	require.NoError(b.t, b.store.Pool().QueryRow(b.t.Context(), "SELECT count(*) FROM "+from, args...).Scan(&n))
	return n
}

func (b *bench) texts(sql string) []string {
	b.t.Helper()
	return storetest.Texts(b.t, b.store, sql)
}

// change gives the only incident another state.
func (b *bench) change(to incident.State) {
	b.t.Helper()
	id := b.texts("SELECT id::text FROM incidents")[0]
	require.NoError(b.t, b.store.InTx(b.t.Context(), func(tx store.Tx) error {
		return incident.Change{ID: id, To: to, At: time.Now(), Actor: "user:test", Reason: "the test says so"}.Apply(b.t.Context(), tx)
	}))
}
