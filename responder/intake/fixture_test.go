package intake_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/responder/action"
	"riposte/responder/execute"
	"riposte/responder/guard"
	"riposte/responder/ingest"
	"riposte/responder/intake"
	"riposte/responder/playbook"
	"riposte/responder/store"
	"riposte/responder/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Run(m)) }

const (
	allToken  = "token-of-all-0123456789"
	shopToken = "token-of-shop-0123456789"
	podUID    = "7d9a1f0e-2f60-4b3c-8f55-0c1d2e3f4a5b"
)

func sum(token string) string {
	s := sha256.Sum256([]byte(token))
	return hex.EncodeToString(s[:])
}

// cluster knows the pods shop/web-1 and kube-system/dns.
type cluster struct{}

func (cluster) Bind(string, string) (playbook.Binding, *playbook.Pod, error) {
	return playbook.Unbound, nil, nil
}

func (cluster) BindNamed(namespace, name, uid string, _ time.Time) (playbook.Binding, *playbook.Pod, error) {
	switch {
	case namespace == "shop" && name == "web-1" && (uid == "" || uid == podUID):
		return playbook.Bound, &playbook.Pod{Namespace: "shop", Name: "web-1", UID: podUID, Node: "n7", Owner: "ReplicaSet/web"}, nil
	case uid == podUID:
		return playbook.Forged, nil, nil
	}
	return playbook.Unbound, nil, nil
}

type deleter struct{}

// Evaluate proposes to delete the pod, and to kill the container.
func (deleter) Evaluate(_ context.Context, in playbook.Input) []playbook.Decision {
	b, err := json.Marshal(in)
	if err != nil {
		panic(err)
	}
	d := playbook.Decision{Playbook: "pb", Revision: "r", Mode: playbook.Enforce, Input: b, Result: json.RawMessage(`{}`)}
	if in.Pod != nil {
		d.Proposals = append(d.Proposals, playbook.Proposal{Type: "delete_pod", Target: playbook.Target{Kind: "pod", Namespace: in.Pod.Namespace, Name: in.Pod.Name, UID: in.Pod.UID}})
	}
	if c := in.Alert.Riposte.Container; c != nil {
		d.Proposals = append(d.Proposals, playbook.Proposal{Type: "kill_container", Target: playbook.Target{Kind: "container", ContainerID: c.ID}})
	}
	return []playbook.Decision{d}
}

type allow struct{}

func (allow) Judge(context.Context, guard.Question) guard.Verdict {
	return guard.Verdict{Outcome: guard.Allow}
}

func (allow) Reserve(_ context.Context, _ store.Tx, all []guard.Proposed) (guard.Reserved, error) {
	return guard.Reserved{Verdicts: slices.Repeat([]guard.Verdict{{Outcome: guard.Allow}}, len(all))}, nil
}

func (allow) Undoable(string) bool { return false }

func (allow) Momentary(string) bool { return false }

func (allow) Lease(string, json.RawMessage) (time.Duration, bool) { return 0, false }

func (allow) Check(string, action.Target, json.RawMessage) error { return nil }

// bench is an intake on a real ingest.
type bench struct {
	t      *testing.T
	store  *store.Store
	server *intake.Server
	url    string
	client *http.Client
}

func setup(t *testing.T, edit ...func(*intake.Options)) *bench {
	t.Helper()
	b := &bench{t: t, store: storetest.New(t), client: &http.Client{}, url: "http://"}
	in := ingest.New(ingest.Options{
		Store: b.store, Playbooks: deleter{}, Guard: allow{}, Actions: allow{}, Enqueue: execute.Enqueue, Binder: cluster{}, Cluster: "prod",
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	o := intake.Options{Identities: identities(t, `identities:
- {name: all, token_sha256: [`+sum("old")+", "+sum(allToken)+`], clusters: [prod, test]}
- {name: shop, token_sha256: [`+sum(shopToken)+`], clusters: [prod], namespaces: [shop]}
- {name: by-cert, certificate: falco.example, token_sha256: [`+sum("cert")+`], clusters: [prod]}
`), Handle: in.Handle, Log: slog.New(slog.NewTextHandler(t.Output(), nil))}
	for _, e := range edit {
		e(&o)
	}
	var err error
	b.server, err = intake.New(o)
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	b.server.Start(l)
	b.url += l.Addr().String()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		b.client.CloseIdleConnections()
		require.NoError(t, b.server.Stop(ctx))
	})
	return b
}

func identities(t *testing.T, content string) *intake.Identities {
	t.Helper()
	file := filepath.Join(t.TempDir(), "intake.yaml")
	require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
	i, err := intake.ReadIdentities(file)
	require.NoError(t, err)
	return i
}

// post sends a body; header is "Name: value" pairs.
func (b *bench) post(path, body string, header ...string) (int, string) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, b.url+path, strings.NewReader(body))
	require.NoError(b.t, err)
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	res, err := b.client.Do(req)
	require.NoError(b.t, err)
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	require.NoError(b.t, err)
	return res.StatusCode, string(answer)
}

func bearer(token string) string { return "Authorization: Bearer " + token }

// falco is an alert as Falco prints it, with some keys changed.
func falco(t testing.TB, edit map[string]any) string {
	t.Helper()
	a := map[string]any{
		"hostname": "falco-x", "output": "15:04:05.963521847: Critical a shell", "priority": "Critical", "rule": "Terminal shell in container",
		"source": "syscall", "tags": []string{"container"}, "time": "2026-01-02T15:04:05.963521847Z",
		"output_fields": map[string]any{"k8s.ns.name": "shop", "k8s.pod.name": "web-1", "container.id": "4e5f6a7b8c9d", "proc.name": "sh", "evt.time": 1},
	}
	for k, v := range edit {
		if a[k] = v; v == nil {
			delete(a, k)
		}
	}
	out, err := json.Marshal(a)
	require.NoError(t, err)
	return string(out)
}

func fields(kv ...string) map[string]any {
	f := map[string]any{}
	for i := 0; i < len(kv); i += 2 {
		f[kv[i]] = kv[i+1]
	}
	return f
}

func (b *bench) texts(sql string) []string {
	b.t.Helper()
	return storetest.Texts(b.t, b.store, sql)
}
