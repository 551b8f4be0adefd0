package intake_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/agent/alert"
	"riposte/responder/audit"
	"riposte/responder/ingest"
	"riposte/responder/intake"
)

// An alert of Falco's leads to an effect on the pod that it names, and on nothing
// that only a node could vouch for.
func TestAnAlertOfFalco(t *testing.T) {
	b := setup(t)
	status, answer := b.post("/falco", falco(t, map[string]any{"output_fields": map[string]any{
		"cluster": "prod", "k8s.ns.name": "shop", "k8s.pod.name": "web-1", "container.id": "4e5f6a7b8c9d",
	}, "riposte": map[string]any{"schema": 1, "node": "n1", "cluster": "prod", "recorded": true}}), bearer(allToken))
	require.Equal(t, http.StatusOK, status, answer)
	require.Equal(t, []string{"prod falco-x bound shop web-1 " + podUID + " f"}, b.texts("SELECT concat_ws(' ', cluster, node, binding, namespace, pod, pod_uid, recorded) FROM alerts"))
	require.Equal(t, []string{"owner/shop/ReplicaSet/web"}, b.texts("SELECT key FROM incidents"))
	require.Equal(t, []string{"delete_pod planned n7 ", "kill_container refused falco-x target-not-the-alerts"},
		b.texts("SELECT concat_ws(' ', type, state, target->>'node', refused_by) FROM actions ORDER BY type"))
	require.Equal(t, []string{"system:intake of all"}, b.texts("SELECT actor FROM audit WHERE kind = 'alert'"))
	require.Empty(t, b.texts("SELECT node FROM agent_runs"), "nobody counts there")
	report, err := audit.Verify(t.Context(), b.store.Pool(), audit.Evidence{})
	require.NoError(t, err)
	require.True(t, report.OK)
}

// What is posted twice is stored once: by Falcosidekick's uuid, or by the body.
func TestRetriedPosts(t *testing.T) {
	b := setup(t)
	same := falco(t, nil)
	for _, body := range []string{
		same, same,
		falco(t, map[string]any{"uuid": "u1"}), falco(t, map[string]any{"uuid": "u1"}), falco(t, map[string]any{"uuid": "u2", "rule": "Other"}),
	} {
		status, answer := b.post("/", body, bearer(shopToken))
		require.Equal(t, http.StatusOK, status, answer)
	}
	status, _ := b.post("/", strings.Replace(same, "2026-01-02", "2026-01-03", 1), bearer(shopToken))
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, []string{"4"}, b.texts("SELECT count(*)::text FROM inbox"))
	require.Equal(t, []string{"4 2"}, b.texts("SELECT sum(count) || ' ' || count(*) FROM alerts"))
	require.Equal(t, []string{"u2"}, b.texts("SELECT body::json->>'uuid_received' FROM alerts WHERE rule = 'Other'"))
	// Another identity's equal post is another alert.
	status, _ = b.post("/", falco(t, map[string]any{"output_fields": fields("cluster", "prod", "k8s.ns.name", "shop", "k8s.pod.name", "web-1")}), bearer(allToken))
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, []string{"5"}, b.texts("SELECT count(*)::text FROM inbox"))
}

func TestWhatIsRefused(t *testing.T) {
	b := setup(t)
	basic := func(name, token string) string {
		req := &http.Request{Header: http.Header{}}
		req.SetBasicAuth(name, token)
		return "Authorization: " + req.Header.Get("Authorization")
	}
	packed := func(s string) string {
		var z bytes.Buffer
		w := gzip.NewWriter(&z)
		_, err := io.WriteString(w, s)
		require.NoError(t, err)
		require.NoError(t, w.Close())
		return z.String()
	}
	good := falco(t, nil)
	for name, c := range map[string]struct {
		path, body string
		header     []string
		status     int
		has        string
	}{
		"nobody":                    {body: good, status: 401},
		"a wrong token":             {body: good, header: []string{bearer("x")}, status: 401},
		"its hash as a token":       {body: good, header: []string{bearer(sum(shopToken))}, status: 401},
		"no token":                  {body: good, header: []string{"Authorization: Bearer "}, status: 401},
		"another scheme":            {body: good, header: []string{"Authorization: Digest " + shopToken}, status: 401},
		"another's name":            {body: good, header: []string{basic("all", shopToken)}, status: 401},
		"basic":                     {body: good, header: []string{basic("shop", shopToken)}, status: 200},
		"packed":                    {body: packed(good), header: []string{bearer(shopToken), "Content-Encoding: gzip"}, status: 200},
		"a bomb":                    {body: packed(strings.Repeat(" ", 100<<20)), header: []string{bearer(shopToken), "Content-Encoding: gzip"}, status: 413},
		"not packed":                {body: good, header: []string{bearer(shopToken), "Content-Encoding: gzip"}, status: 400},
		"packed unknown":            {body: good, header: []string{bearer(shopToken), "Content-Encoding: br"}, status: 400},
		"too large":                 {body: falco(t, map[string]any{"output": strings.Repeat("x", 300<<10)}), header: []string{bearer(shopToken)}, status: 413},
		"nothing":                   {status: 400, header: []string{bearer(shopToken)}},
		"no JSON":                   {body: "hello", status: 400, header: []string{bearer(shopToken)}},
		"two":                       {body: good + good, status: 400, header: []string{bearer(shopToken)}, has: "one alert at a time"},
		"a list":                    {body: "[" + good + "]", status: 400, header: []string{bearer(shopToken)}},
		"an unknown priority":       {body: falco(t, map[string]any{"priority": "Loud"}), status: 400, header: []string{bearer(shopToken)}, has: "priority"},
		"no rule":                   {body: falco(t, map[string]any{"rule": ""}), status: 400, header: []string{bearer(shopToken)}, has: "rule"},
		"no time":                   {body: falco(t, map[string]any{"time": nil}), status: 400, header: []string{bearer(shopToken)}, has: "time"},
		"no fields":                 {body: falco(t, map[string]any{"output_fields": nil}), status: 400, header: []string{bearer(shopToken)}, has: "output_fields"},
		"a long rule":               {body: falco(t, map[string]any{"rule": strings.Repeat("r", 2000)}), status: 400, header: []string{bearer(shopToken)}, has: "rule"},
		"another namespace":         {body: falco(t, map[string]any{"output_fields": fields("k8s.ns.name", "kube-system", "k8s.pod.name", "dns")}), status: 403, header: []string{bearer(shopToken)}, has: "kube-system"},
		"another audited namespace": {body: falco(t, map[string]any{"output_fields": fields("k8s.ns.name", "shop", "ka.target.namespace", "kube-system")}), status: 403, header: []string{bearer(shopToken)}},
		"no namespace":              {body: falco(t, map[string]any{"output_fields": fields("k8s.pod.uid", podUID)}), status: 403, header: []string{bearer(shopToken)}},
		"another cluster":           {body: falco(t, map[string]any{"output_fields": fields("cluster", "dev", "k8s.ns.name", "shop")}), status: 403, header: []string{bearer(shopToken)}},
		"a cluster not said":        {body: good, status: 400, header: []string{bearer(allToken)}, has: "cluster"},
		"another path":              {path: "/api/v1/alerts", body: good, status: 404, header: []string{bearer(shopToken)}},
	} {
		t.Run(name, func(t *testing.T) {
			if c.path == "" {
				c.path = "/"
			}
			status, answer := b.post(c.path, c.body, c.header...)
			require.Equal(t, c.status, status, answer)
			require.Contains(t, answer, c.has)
		})
	}
	require.Equal(t, []string{"1"}, b.texts("SELECT count(*)::text FROM inbox"), "the two good ones are one alert")
	require.Empty(t, b.texts("SELECT reason FROM dead_letters"))
}

// Falco's forms of what it leaves open.
func TestFormsOfFalco(t *testing.T) {
	b := setup(t)
	for i, edit := range []map[string]any{
		{"priority": "INFO"},
		{"priority": "informational"},
		{"priority": "warning"},
		{"source": nil},
		{"tags": nil},
		{"hostname": nil},
		{"hostname": "a\x00b"},
		{"output_fields": map[string]any{"k8s.ns.name": "shop", "k8s.pod.name": nil, "x": nil}},
		{"output_fields": fields("k8s.ns.name", "shop", "k8s.pod.name", "<NA>", "container.id", "host")},
		{"output_fields": fields("k8s.ns.name", "shop", "k8s.pod.name", "../../api/v1/nodes", "k8s.pod.uid", "'; DROP TABLE alerts; --")},
		{"rule": "\x1b[2J\u202e"},
		{"output_fields": map[string]any{"k8s.ns.name": "shop", "nested": map[string]any{"a": []int{1}}, "big": json.Number("18446744073709551615")}},
	} {
		status, answer := b.post("/", falco(t, edit), bearer(shopToken))
		require.Equal(t, http.StatusOK, status, "%d: %s", i, answer)
	}
	require.Equal(t, []string{"12"}, b.texts("SELECT count(*)::text FROM inbox"))
	require.Equal(t, []string{"Informational"}, b.texts("SELECT body::json->>'priority' FROM alerts WHERE priority = 6"))
	require.Equal(t, []string{"shop"}, b.texts("SELECT DISTINCT node FROM alerts WHERE node <> 'falco-x'"), "the identity stands for what is no hostname")
}

// A pod that its identity may speak of by name, with another pod's UID.
func TestAForgedPod(t *testing.T) {
	b := setup(t)
	status, _ := b.post("/", falco(t, map[string]any{"output_fields": fields("k8s.ns.name", "shop", "k8s.pod.name", "other", "k8s.pod.uid", podUID)}), bearer(shopToken))
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, []string{"forged/intake/shop"}, b.texts("SELECT key FROM incidents"))
	require.Equal(t, []string{"alert.forged"}, b.texts("SELECT kind FROM audit WHERE kind LIKE 'alert%'"))
	require.Empty(t, b.texts("SELECT id::text FROM actions"))
}

// The database is away: the sender is told to come again.
func TestTheDatabaseIsAway(t *testing.T) {
	b := setup(t)
	b.store.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, b.url, strings.NewReader(falco(t, nil)))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+shopToken)
	_, err = b.client.Do(req)
	require.ErrorIs(t, err, context.DeadlineExceeded, "no answer says that it is stored")
	require.Zero(t, b.server.Counts()["stored"])
}

// What a node publishes on the bus can never pass for the intake's.
func TestANodeIsNoIdentity(t *testing.T) {
	a := &alert.Alert{
		UUID: podUID, Time: time.Now(), Rule: "r", Priority: alert.Critical,
		Riposte: &alert.Riposte{Schema: 1, Cluster: "prod", Node: "n1", BootID: podUID, Seq: 1, Intake: "shop"},
	}
	data, err := a.MarshalJSON()
	require.NoError(t, err)
	for _, subject := range []string{alert.Subject("prod", "n1", alert.Critical), ingest.IntakeSubject("all"), "intake.", "intake.SHOP", ingest.IntakeSubject("shop") + ".x"} {
		_, err = ingest.Check(subject, "n1/"+podUID+"/1", data)
		require.Error(t, err, subject)
	}
	_, err = ingest.Check(ingest.IntakeSubject("shop"), "n1/"+podUID+"/1", data)
	require.NoError(t, err)
}

func TestBadIdentities(t *testing.T) {
	good := "- {name: a, token_sha256: [" + sum("a") + "], clusters: [c]}\n"
	for content, want := range map[string]string{
		"":                           "there are none",
		"identities: []":             "there are none",
		"identities: [null]":         "identities[0]: is empty",
		"identities:\n- {nam: a}":    "field nam not found",
		"identities:\n- {name: a b}": "identities[0]: name",
		"identities:\n- {name: a}":   "give token_sha256 or certificate",
		"identities:\n- {name: a, certificate: x}":                                  "clusters: name at least one",
		"identities:\n- {name: a, token_sha256: [x], clusters: [c]}":                "it is no SHA-256",
		"identities:\n" + good + good:                                               `identities[1].name: "a" is there twice`,
		"identities:\n" + good + strings.Replace(good, "name: a", "name: b", 1):     `has a token or certificate of "a"`,
		"identities:\n- {name: a, certificate: x, clusters: [c], namespaces: ['']}": "namespaces: one is empty",
	} {
		file := filepath.Join(t.TempDir(), "intake.yaml")
		require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
		_, err := intake.ReadIdentities(file)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, file)
	}
	_, err := intake.New(intake.Options{Identities: identities(t, "identities:\n- {name: a, certificate: x, clusters: [c]}")})
	require.ErrorContains(t, err, `"a" is known by its certificate alone`)
}

func FuzzPost(f *testing.F) {
	f.Add(falco(f, nil))
	f.Add(`{"time":"2026-01-02T15:04:05Z","rule":"r","priority":"info","output_fields":{"k8s.ns.name":1,"k8s.pod.name":[],"container.id":{}}}`)
	f.Add(`{"riposte":null,"uuid":7}`)
	f.Add(fmt.Sprintf(`{"output_fields":%s}`, strings.Repeat(`{"a":`, 1000)))
	file := filepath.Join(f.TempDir(), "i.yaml")
	require.NoError(f, os.WriteFile(file, []byte("identities:\n- {name: a, token_sha256: ["+sum("a")+"], clusters: [c], namespaces: [shop]}\n"), 0o600))
	all, err := intake.ReadIdentities(file)
	require.NoError(f, err)
	// Whatever is posted is refused, or is the identity's own and within its limits.
	s, err := intake.New(intake.Options{Identities: all, Log: slog.New(slog.DiscardHandler), Handle: func(_ context.Context, batch []ingest.Message) {
		for _, m := range batch {
			a, err := ingest.Check(m.Subject(), m.ID(), m.Data())
			if err != nil || a.Riposte.Intake != "a" || a.Riposte.Cluster != "c" || a.OutputFields["k8s.ns.name"] != "shop" && a.OutputFields["ka.target.namespace"] != "shop" {
				panic(fmt.Sprintf("%s: %v", m.Data(), err))
			}
			_ = m.Ack()
		}
	}})
	require.NoError(f, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(f, err)
	s.Start(l)
	f.Cleanup(func() { _ = s.Stop(context.Background()) })
	f.Fuzz(func(t *testing.T, body string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+l.Addr().String(), strings.NewReader(body))
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer a")
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Contains(t, []int{200, 400, 403, 413}, res.StatusCode)
	})
}
