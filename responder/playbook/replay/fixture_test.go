package replay_test

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"riposte/agent/alert"
	"riposte/responder"
	"riposte/responder/action"
	"riposte/responder/api/apitest"
	"riposte/responder/api/client"
	"riposte/responder/execute"
	"riposte/responder/guard"
	"riposte/responder/ingest"
	"riposte/responder/playbook"
	"riposte/responder/playbook/replay"
	"riposte/responder/store"
	"riposte/responder/store/storetest"
)

var registry = action.NewRegistry(responder.Actions()...)

const header = `# METADATA
# scope: package
# title: %[1]s
# description: For the replay's tests.
# custom: {owner: tests, trigger: %[2]s, mode: %[3]s, severity: low}
package playbooks.%[1]s

import data.riposte.lib.target

`

// book is the text of a playbook.
func book(name, trigger, mode, body string) string {
	return fmt.Sprintf(header, name, trigger, mode) + body
}

// The playbooks whose decisions are replayed: they use all that an input has, and some fail.
var books = map[string]string{
	"delete_loud": book("delete_loud", "{priority: warning}", "enforce",
		"action contains {\"type\": \"delete_pod\", \"target\": target.pod, \"reason\": sprintf(\"%q\", [input.alert.rule])} if {\n\tinput.alert.output_fields[\"evt.num\"] % 3 == 0\n}\n"),
	"freeze_again": book("freeze_again", "{priority: informational}", "observe",
		"action contains {\n\t\"type\": \"freeze_container\",\n\t\"target\": target.container,\n\t\"params\": {\"lease\": \"10m\"},\n\t\"ttl\": \"1h\",\n\t\"reason\": sprintf(\"%d alerts, %d actions before, at %d\", [input.incident.alerts, count(input.history), time.now_ns()]),\n} if {\n\tinput.incident.alerts > 2\n}\n"),
	"ask_first": book("ask_first", "{rules: [Rule 1, Rule 2]}", "approve",
		"action contains {\"type\": \"kill_container\", \"target\": target.container, \"requires_approval\": true, \"reason\": \"a\"}\n"),
	"fails": book("fails", "{rules: [Rule 3]}", "enforce",
		"action contains {\"type\": \"delete_pod\", \"target\": target.pod, \"reason\": \"a\"} if {\n\tto_number(input.alert.rule) > 0\n}\n"),
	"wrong": book("wrong", "{rules: [Rule 4]}", "enforce",
		"action contains {\"type\": \"delete_pod\", \"target\": object.remove(target.pod, [\"uid\"]), \"reason\": \"a\"}\n"),
}

// folder writes playbooks, with some of them replaced; an empty text leaves one out.
func folder(t testing.TB, instead map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range books {
		if other, there := instead[name]; there {
			text = other
		}
		if text != "" {
			require.NoError(t, os.WriteFile(filepath.Join(dir, name+".rego"), []byte(text), 0o644))
		}
	}
	return dir
}

func load(t testing.TB, dir string) *playbook.Set {
	t.Helper()
	s, err := playbook.Load(playbook.Options{Deadline: replay.Deadline}, playbook.Embedded(), playbook.Dir(dir))
	require.NoError(t, err)
	return s
}

// message is one of the bus's.
type message struct {
	subject, id string
	data        []byte
	at          time.Time
	acked       bool
}

func (m *message) Subject() string         { return m.subject }
func (m *message) ID() string              { return m.id }
func (m *message) Data() []byte            { return m.data }
func (m *message) ReceivedAt() time.Time   { return m.at }
func (m *message) Ack() error              { m.acked = true; return nil }
func (m *message) Nak(time.Duration) error { return nil }
func (m *message) Term(string) error       { return nil }

// pods knows every pod whose UID says on which node it is.
type pods struct{}

func podOf(n int) playbook.Pod {
	return playbook.Pod{
		Namespace: fmt.Sprint("ns-", n%7), Name: fmt.Sprint("web-", n), UID: fmt.Sprintf("uid-%d-%d", n%5, n), Node: fmt.Sprint("node-", n%5),
		Owner: fmt.Sprint("ReplicaSet/web-", n%11), Labels: map[string]string{"app": "web", "n": strconv.Itoa(n)},
	}
}

func (pods) Bind(node, uid string) (playbook.Binding, *playbook.Pod, error) {
	var at, n int
	if _, err := fmt.Sscanf(uid, "uid-%d-%d", &at, &n); err != nil {
		return playbook.Unbound, nil, nil
	}
	p := podOf(n)
	if p.Node != node {
		return playbook.Forged, &p, nil
	}
	return playbook.Bound, &p, nil
}

func (pods) BindNamed(string, string, string, time.Time) (playbook.Binding, *playbook.Pod, error) {
	return playbook.Unbound, nil, nil
}

// cluster has ten ready replicas of everything, as a replay takes it.
type cluster struct{}

func (cluster) Ready(context.Context, string, string) (int, error) { return 10, nil }
func (cluster) Cordoned(context.Context) ([]string, error)         { return nil, nil }

// bench decides about alerts as the responder does.
type bench struct {
	*ingest.Ingest
	t     testing.TB
	store *store.Store
	now   time.Time
	seq   int
	boot  string
}

func newBench(t testing.TB, set *playbook.Set) *bench {
	t.Helper()
	b := &bench{t: t, store: storetest.New(t), now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), boot: uuid.NewString()}
	g, err := guard.New(guard.Options{Now: func() time.Time { return b.now }})
	require.NoError(t, err)
	require.NoError(t, g.Open(t.Context(), guard.Parts{Store: b.store, Home: "prod", Actions: registry, Cluster: cluster{}, Enqueue: execute.Enqueue}))
	b.Ingest = ingest.New(ingest.Options{
		Store: b.store, Playbooks: set, Guard: g, Actions: registry, Enqueue: execute.Enqueue, Binder: pods{}, Cluster: "prod",
		Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return b.now },
	})
	return b
}

// anAlert is number n: every sixth names a pod that is elsewhere or nowhere, every
// fourth is equal to others.
func (b *bench) anAlert(n int) *alert.Alert {
	p := podOf(n % 40)
	a := &alert.Alert{
		UUID: uuid.Must(uuid.NewV7()).String(), Time: b.now, Rule: fmt.Sprint("Rule ", n%6), Priority: alert.Priority(n % 8), Source: "syscall", Hostname: p.Node,
		Output: "<b>&\u2028 of an attacker", OutputFields: map[string]any{"evt.num": n, "proc.cmdline": "sh -c \"\u202e\""}, Tags: []string{"t"},
		Riposte: &alert.Riposte{
			Schema: alert.Schema, Cluster: "prod", Node: p.Node, BootID: b.boot, Seq: uint64(b.seq + 1), KernelTimeNS: b.now.Add(-2 * time.Millisecond).UnixNano(),
			AlertTimeNS: b.now.UnixNano(), Process: &alert.Process{PID: 12, StartNS: 34, Name: "sh"},
			Container: &alert.Container{ID: fmt.Sprintf("%064x", n%40), CgroupID: 77, StartNS: 88},
		},
	}
	b.seq++
	if n%4 == 0 {
		a.OutputFields = map[string]any{"evt.num": n % 3}
	}
	switch n % 6 {
	case 0:
	case 1:
		a.Riposte.Pod = &alert.Pod{Namespace: "ns", Name: "gone", UID: "who knows"}
	default:
		a.Riposte.Pod = &alert.Pod{Namespace: p.Namespace, Name: p.Name, UID: p.UID}
	}
	return a
}

// take decides about n alerts, a second apart, in batches.
func (b *bench) take(n int) {
	b.t.Helper()
	for b.seq < n {
		var batch []*message
		for range min(50, n-b.seq) {
			a := b.anAlert(b.seq)
			data, err := json.Marshal(a)
			require.NoError(b.t, err)
			batch = append(batch, &message{subject: alert.Subject("prod", a.Riposte.Node, a.Priority), id: a.Riposte.MessageID(), data: data, at: b.now})
			b.now = b.now.Add(time.Second)
		}
		ingest.Batch[*message](b.Ingest)(b.t.Context(), batch)
		for _, m := range batch {
			require.True(b.t, m.acked)
		}
	}
}

func (b *bench) count(sql string) (n int64) {
	b.t.Helper()
	require.NoError(b.t, b.store.Pool().QueryRow(b.t.Context(), sql).Scan(&n))
	return n
}

// export reads all through the real API.
func (b *bench) export(f client.DecisionFilter) iter.Seq2[[]byte, error] {
	b.t.Helper()
	e := apitest.Start(b.t, b.store)
	c, err := client.New(e.URL, apitest.Token)
	require.NoError(b.t, err)
	b.t.Cleanup(c.Close)
	return c.Decisions(b.t.Context(), f)
}
