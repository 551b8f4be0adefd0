package responder_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/bundle"
	"github.com/stretchr/testify/require"

	"riposte/responder/api"
	"riposte/responder/api/client"
)

// aPlaybook notifies of what nobody sends.
func aPlaybook(name, mode string) string {
	return fmt.Sprintf(`# METADATA
# scope: package
# title: Test
# description: A playbook of a test.
# custom: {owner: tests, trigger: {rules: [nothing]}, mode: %s, severity: low}
package playbooks.%s

action contains {"type": "x"} if input.alert.rule == "x"
`, mode, name)
}

// mount swaps the files of a ConfigMap's mount as kubelet does.
func mount(t *testing.T, dir, version, name, text string) {
	t.Helper()
	require.NoError(t, os.Mkdir(filepath.Join(dir, version), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, version, name), []byte(text), 0o600))
	_ = os.Symlink("..data/"+name, filepath.Join(dir, name)) // there after the first time
	old, _ := os.Readlink(filepath.Join(dir, "..data"))
	require.NoError(t, os.Symlink(version, filepath.Join(dir, "..data_tmp")))
	require.NoError(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
	if old != "" {
		require.NoError(t, os.RemoveAll(filepath.Join(dir, old)))
	}
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	require.Eventually(t, f, patience, 50*time.Millisecond, what)
}

func statusOf(t *testing.T, c *client.Client) api.Status {
	t.Helper()
	s, err := c.Status(t.Context())
	require.NoError(t, err)
	return s
}

func loaded(s api.Status, name string) *api.PlaybookStatus {
	for _, p := range s.Playbooks {
		if p.Name == name {
			return &p
		}
	}
	return nil
}

// entries are the record's entries of a kind, newest first, as "result note", and their
// params: those are sealed, and not in the API.
func (r *rig) entries(t *testing.T, kind string) (texts []string, params []string) {
	t.Helper()
	db, err := pgx.Connect(t.Context(), r.options.DatabaseURL)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close(context.Background())) }()
	rows, err := db.Query(t.Context(), `SELECT result || ' ' || coalesce(note, ''), coalesce(params, '') FROM audit WHERE kind = $1 ORDER BY seq DESC`, kind)
	require.NoError(t, err)
	var text, param string
	_, err = pgx.ForEachRow(rows, []any{&text, &param}, func() error {
		texts, params = append(texts, text), append(params, param)
		return nil
	})
	require.NoError(t, err)
	return texts, params
}

func TestChangedFilesAreTakenOverAndRecorded(t *testing.T) {
	r := newRig(t)
	r.options.PlaybookDir, r.options.GuardPolicyDir = t.TempDir(), t.TempDir()
	mount(t, r.options.PlaybookDir, "..1", "p.rego", aPlaybook("mounted", "observe"))
	mount(t, r.options.GuardPolicyDir, "..1", "g.rego", "package riposte.guard.site\n\nrefuse contains {\"rule\": \"x\", \"reason\": \"y\"} if input.playbook == \"z\"\n")
	_, c := r.run(t)
	first := loaded(statusOf(t, c), "mounted")
	require.NotNil(t, first)
	require.Equal(t, r.options.PlaybookDir, first.Source)
	for kind, name := range map[string]string{"playbook.reload": "mounted", "guard.reload": "riposte.guard.site"} {
		eventually(t, "what was loaded at the start is recorded", func() bool { texts, _ := r.entries(t, kind); return len(texts) == 1 })
		texts, params := r.entries(t, kind)
		require.Contains(t, texts[0], "loaded instance test-1 has ")
		require.Contains(t, params[0], `"name":"`+name+`"`)
	}

	mount(t, r.options.PlaybookDir, "..2", "p.rego", strings.Replace(aPlaybook("mounted", "enforce"), "alert.rule", "alert.rul", 1))
	mount(t, r.options.GuardPolicyDir, "..2", "g.rego", "package riposte.guard.site\n\nallow := true\n")
	eventually(t, "bad files are told", func() bool { s := statusOf(t, c); return s.PlaybookLoads.Failing && s.GuardLoads.Failing })
	s := statusOf(t, c)
	require.Equal(t, *first, *loaded(s, "mounted"), "the last good one stays")
	require.Contains(t, s.PlaybookLoads.Error, r.options.PlaybookDir+"/p.rego:8:46: undefined ref: input.alert.rul")
	require.Contains(t, s.GuardLoads.Error, r.options.GuardPolicyDir+"/g.rego:1:1: there is no rule")
	require.True(t, s.PlaybookLoads.ErrorAt.After(s.PlaybookLoads.GoodAt))
	for _, kind := range []string{"playbook.reload", "guard.reload"} {
		eventually(t, "and recorded", func() bool { texts, _ := r.entries(t, kind); return len(texts) == 2 })
		texts, _ := r.entries(t, kind)
		require.Contains(t, texts[0], "failed instance test-1 has ")
		require.Contains(t, texts[0], ".rego:")
	}

	mount(t, r.options.PlaybookDir, "..3", "p.rego", aPlaybook("mounted", "approve"))
	eventually(t, "a good one is taken", func() bool { return loaded(statusOf(t, c), "mounted").Mode == "approve" })
	eventually(t, "and recorded", func() bool { texts, _ := r.entries(t, "playbook.reload"); return len(texts) == 3 })
	_, params := r.entries(t, "playbook.reload")
	require.JSONEq(t, fmt.Sprintf(`{"changed": [{"name": "mounted", "source": %q, "revision": %q, "was": %q}]}`,
		r.options.PlaybookDir, loaded(statusOf(t, c), "mounted").Revision, first.Revision), params[0])
	s = statusOf(t, c)
	require.False(t, s.PlaybookLoads.Failing)
	require.Equal(t, []uint64{2, 1}, []uint64{s.PlaybookLoads.Good, s.PlaybookLoads.Bad})
}

// TestWhatFiredThenIsKept: a decision's story is told with the playbook that decided,
// whatever is loaded now, and after a restart too.
func TestWhatFiredThenIsKept(t *testing.T) {
	r := newRig(t)
	r.options.PlaybookDir = t.TempDir()
	before := strings.NewReplacer("rules: [nothing]", "priority: critical", `action contains {"type": "x"} if input.alert.rule == "x"`, `import data.riposte.lib.target

action contains {"type": "notify", "target": target.container, "reason": "then", "params": {"message": "m"}} if {
	count(input.alert.tags) >= 0
}`).Replace(aPlaybook("mounted", "observe"))
	mount(t, r.options.PlaybookDir, "..1", "p.rego", before)
	one, c := r.run(t)
	eventually(t, "what was loaded is recorded", func() bool { texts, _ := r.entries(t, "playbook.reload"); return len(texts) == 1 })
	r.send(t, critical(1, "c1"))
	var id string
	eventually(t, "it is decided", func() bool {
		p, err := c.Actions(t.Context(), client.ActionFilter{Playbook: "mounted"})
		require.NoError(t, err)
		if len(p.Items) == 1 {
			id = p.Items[0].ID
		}
		return id != ""
	})
	rules := func(c *client.Client) []api.StoryRule {
		s, err := c.Story(t.Context(), id)
		require.NoError(t, err)
		for _, d := range s.Decisions {
			if d.Decision.Playbook == "mounted" {
				require.Empty(t, d.Note)
				return d.Rules
			}
		}
		return nil
	}
	fired := rules(c)
	require.Len(t, fired, 1)
	require.Equal(t, "count(input.alert.tags) >= 0", fired[0].Conditions[0].Text)

	mount(t, r.options.PlaybookDir, "..2", "p.rego", strings.ReplaceAll(before, "count(input.alert.tags) >= 0", `input.alert.rule == "none"`))
	was := loaded(statusOf(t, c), "mounted").Revision
	eventually(t, "another one is loaded", func() bool { return loaded(statusOf(t, c), "mounted").Revision != was })
	require.Equal(t, fired, rules(c))
	stop(t, one)
	r.options.PlaybookDir = ""
	_, c = r.run(t)
	require.Nil(t, loaded(statusOf(t, c), "mounted"))
	require.Equal(t, fired, rules(c))
}

func TestBundleOfAServer(t *testing.T) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(k)
	require.NoError(t, err)
	public, err := x509.MarshalPKIXPublicKey(&k.PublicKey)
	require.NoError(t, err)
	pack := func(text string, signed bool) []byte {
		m, err := ast.ParseModuleWithOpts("/p.rego", text, ast.ParserOptions{ProcessAnnotation: true})
		require.NoError(t, err)
		b := bundle.Bundle{
			Modules:  []bundle.ModuleFile{{URL: "/p.rego", Path: "/p.rego", RelativePath: "/p.rego", Raw: []byte(text), Parsed: m}},
			Manifest: bundle.Manifest{Roots: &[]string{"playbooks"}}, Data: map[string]any{},
		}
		if signed {
			key := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
			require.NoError(t, b.GenerateSignature(bundle.NewSigningConfig(key, "ES256", ""), "", false))
		}
		var out bytes.Buffer
		require.NoError(t, bundle.NewWriter(&out).DisableFormat(true).Write(b))
		return out.Bytes()
	}
	var body atomic.Value
	body.Store(pack(aPlaybook("served", "observe"), true))
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body.Load().([]byte)) }))
	t.Cleanup(web.Close)

	r := newRig(t)
	r.options.Bundle, r.options.BundleEvery = web.URL+"/b.tar.gz", time.Second
	r.options.BundleKeyFile = filepath.Join(t.TempDir(), "key.pem")
	require.NoError(t, os.WriteFile(r.options.BundleKeyFile, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), 0o600))
	_, c := r.run(t)
	require.Equal(t, web.URL+"/b.tar.gz", loaded(statusOf(t, c), "served").Source)

	body.Store(pack(aPlaybook("served", "enforce"), false))
	eventually(t, "one that is not signed is refused", func() bool { return statusOf(t, c).PlaybookLoads.Failing })
	require.Contains(t, statusOf(t, c).PlaybookLoads.Error, web.URL+"/b.tar.gz: bundle missing .signatures.json file")
	require.Equal(t, "observe", loaded(statusOf(t, c), "served").Mode)

	body.Store(pack(aPlaybook("served", "approve"), true))
	eventually(t, "a signed one is taken", func() bool { return loaded(statusOf(t, c), "served").Mode == "approve" })
}
