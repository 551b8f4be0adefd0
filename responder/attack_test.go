package responder_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"riposte/agent/alert"
	"riposte/deploy/logtest"
	"riposte/responder/api"
	"riposte/responder/api/client"
	"riposte/responder/command"
	"riposte/responder/store"
)

// hostile is a name that tries the shell, SQL, logs, terminals, templates, HTML, labels
// and HTTP headers.
const hostile = "x'; DROP TABLE alerts; --$(touch pwned)`id`\r\nlevel=ERROR msg=forged\r\nX-Forged: 1\x1b[2J\u202e{{.}}<script>alert(1)</script>\x00/../,a=b"

// tells is a playbook that repeats what the attacker wrote.
const tells = `# METADATA
# scope: package
# title: Tell
# description: Tells of every alert.
# custom:
#   owner: tests
#   trigger: {priority: debug}
#   mode: enforce
#   severity: low
package playbooks.tell

action contains {
	"type": "notify",
	"target": {"kind": "process", "pid": input.alert.riposte.process.pid, "start_ns": input.alert.riposte.process.start_ns},
	"params": {"to": ["log", "oncall"]},
	"reason": REASON,
} if {
	c := input.alert.riposte.container
	words := [input.alert.rule, c.name, input.alert.riposte.pod.name, input.alert.output_fields.label]
}
`

// How a playbook may repeat it, and how it may not.
const (
	quoted = `sprintf("%q %q %q %q", words)`
	raw    = `concat(" ", words)`
)

// received is what a webhook got.
type received struct {
	header http.Header
	body   []byte
}

// What an attacker writes goes the whole line, and is text everywhere: stored as it
// came, told as JSON, a log's line stays one line, and a terminal sees no control
// character.
func TestHostileNamesThroughTheWholeLine(t *testing.T) {
	r := newRig(t)
	got := make(chan received, 8)
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		b, _ := io.ReadAll(req.Body)
		got <- received{req.Header.Clone(), b}
	}))
	defer hook.Close()
	dir := t.TempDir()
	file := func(name, text string) string {
		f := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(f), 0o700))
		require.NoError(t, os.WriteFile(f, []byte(text), 0o600))
		return f
	}
	r.options.WebhooksFile = file("webhooks.yaml", "oncall: {url: "+hook.URL+", secret_file: "+file("secret", "0123456789abcdef\n")+"}\n")
	r.options.PlaybookDir = filepath.Dir(file("playbooks/tell.rego", strings.Replace(tells, "REASON", quoted, 1)))
	file("playbooks/raw.rego", strings.Replace(strings.Replace(tells, "REASON", raw, 1), "playbooks.tell", "playbooks.raw", 1))
	var log logtest.Log
	r.options.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	one, c := r.run(t)

	a := critical(1, hostile)
	a.Priority, a.Rule, a.Output, a.Hostname, a.Tags = alert.Warning, hostile, hostile, hostile, []string{hostile}
	a.OutputFields = map[string]any{"label": hostile, hostile: hostile}
	a.Riposte.Container.Name, a.Riposte.Container.Image = hostile, hostile
	a.Riposte.Process = &alert.Process{PID: 7, StartNS: 8, Name: hostile, Exe: hostile, ExePath: hostile, Args: []string{hostile}, Ancestors: []string{hostile}}
	a.Riposte.Pod = &alert.Pod{Namespace: hostile, Name: hostile, UID: hostile, Owner: hostile, Labels: map[string]string{hostile: hostile}}
	r.send(t, a)
	// The guard has its say about such a namespace; what it lets through is told.
	var done api.Action
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%q", log.String())
		}
	})
	require.Eventually(t, func() bool {
		p, err := c.Actions(t.Context(), client.ActionFilter{Type: "notify"})
		require.NoError(t, err)
		if len(p.Items) == 0 || p.Items[0].State == "planned" || p.Items[0].State == "executing" {
			return false
		}
		done = p.Items[0]
		return true
	}, patience, 10*time.Millisecond)
	require.Equal(t, "succeeded", done.State, done.Note)
	require.Equal(t, "tell", done.Playbook)
	db, err := store.Open(t.Context(), r.options.DatabaseURL)
	require.NoError(t, err)
	defer db.Close()
	var refused string
	require.NoError(t, db.Pool().QueryRow(t.Context(), "SELECT reason FROM decisions WHERE playbook = 'raw' AND state = 'refused'").Scan(&refused))
	require.Contains(t, refused, "has a control character")

	select {
	case told := <-got:
		require.Empty(t, told.header.Get("X-Forged"))
		require.True(t, json.Valid(told.body))
		require.Contains(t, string(told.body), "DROP TABLE alerts")
	case <-time.After(patience):
		t.Fatal("the webhook was not called")
	}
	p, err := c.Alerts(t.Context(), client.AlertFilter{})
	require.NoError(t, err)
	require.Len(t, p.Items, 1)
	var stored alert.Alert
	require.NoError(t, json.Unmarshal(p.Items[0].Body, &stored))
	require.Equal(t, strings.ReplaceAll(hostile, "\x00", "\uFFFD"), strings.ReplaceAll(stored.Riposte.Pod.Labels[hostile]+stored.Riposte.Pod.Labels[strings.ReplaceAll(hostile, "\x00", "\uFFFD")], "\x00", "\uFFFD"))

	tokenFile := file("token", token+"\n")
	for _, args := range [][]string{
		{"alerts", "list"}, {"incidents", "list"}, {"incidents", "show", p.Items[0].IncidentID}, {"actions", "list"}, {"audit", "list"}, {"audit", "verify"}, {"status"},
	} {
		var out, diag bytes.Buffer
		err := run(t.Context(), &out, &diag, append(args, "--server", "http://"+one.Addr(), "--token-file", tokenFile)...)
		require.NoError(t, err, "%v: %s", args, diag.String())
		requireHarmless(t, strings.Join(args, " "), out.String()+diag.String())
	}
	stop(t, one)
	for line := range strings.Lines(log.String()) {
		require.True(t, strings.HasPrefix(line, "time="), "a line of somebody else's: %q", line)
		requireHarmless(t, "the log", line)
	}
	_, err = os.Stat("pwned")
	require.ErrorIs(t, err, os.ErrNotExist)
}

// run runs the command line.
func run(ctx context.Context, out, diag io.Writer, args ...string) error {
	root := &cobra.Command{Use: "riposte", SilenceUsage: true, SilenceErrors: true}
	root.AddCommand(command.New("test", nil)...)
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(diag)
	return root.ExecuteContext(ctx)
}

// requireHarmless looks for what a terminal would obey.
func requireHarmless(t *testing.T, where, text string) {
	t.Helper()
	for _, c := range text {
		bad := c != '\n' && (unicode.IsControl(c) || unicode.Is(unicode.Cf, c))
		require.False(t, bad, "%s has %U in %q", where, c, text)
	}
}
