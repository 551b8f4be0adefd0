package command

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"riposte/deploy/logtest"
	"riposte/responder/api/apitest"
	"riposte/responder/store"
	"riposte/responder/store/storetest"
)

// folder is a data folder as a running Riposte leaves it for the command line.
func folder(t testing.TB, url, token string) string {
	t.Helper()
	dir := t.TempDir()
	b, err := json.Marshal(map[string]string{"url": url})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "endpoint.json"), b, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "token"), []byte(token+"\n"), 0o600))
	return dir
}

// execute runs the whole command line.
func execute(ctx context.Context, out, errOut io.Writer, args ...string) error {
	root := &cobra.Command{Use: "riposte", SilenceUsage: true, SilenceErrors: true}
	root.AddCommand(New("1.2.3", nil)...)
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errOut)
	return root.ExecuteContext(ctx)
}

func run(t testing.TB, args ...string) (out, errOut string, err error) {
	t.Helper()
	var o, e bytes.Buffer
	err = execute(t.Context(), &o, &e, args...)
	return o.String(), e.String(), err
}

func exec(t testing.TB, e *apitest.Env, query string, args ...any) {
	t.Helper()
	require.NoError(t, e.Store.InTx(t.Context(), func(tx store.Tx) error {
		_, err := tx.Exec(t.Context(), query, args...)
		return err
	}))
}

func TestGoldens(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	for i := range 4 {
		e.Add(t, i)
	}
	exec(t, e, `UPDATE actions SET state = 'refused', refused_by = 'protected-namespace', executed_ns = NULL, verified_ns = NULL, audited_ns = NULL WHERE id = $1`, apitest.ActionID(1))
	exec(t, e, `INSERT INTO agents VALUES ('test', 'node-0', '0b0c7a2e-1d5f-4a52-9a3c-7d8e9f001122', '{"version":"1.2.3","source":"ebpf","rules":12,"lost":{"ring":3,"queue":0}}', $1)`, apitest.Base)
	e.AddDeadLetter(t, 1)
	data := folder(t, e.URL, apitest.Token)
	for name, line := range map[string]string{
		"alerts_list":        "alerts list --utc",
		"alerts_list_filter": "alerts list --utc --priority error --node node-1 --since 2026-01-01T00:00:00Z",
		"alerts_list_more":   "alerts list --utc --limit 2",
		"alerts_list_none":   "alerts list --rule nothing",
		"alerts_list_json":   "alerts list --limit 1 -o json",
		"alerts_list_yaml":   "alerts list --limit 1 -o yaml",
		"alerts_none_json":   "alerts list --rule nothing -o json",
		"actions_list":       "actions list --utc",
		"actions_list_state": "actions list --utc --state refused",
		"actions_show":       "actions show c00000000003",
		"actions_show_yaml":  "actions show c00000000001 -o yaml",
		"audit_list":         "audit list --utc --limit 3",
		"audit_list_kind":    "audit list --utc --kind action.result --alert a00000000002",
		"audit_query_wide":   "audit query --utc --limit 3 -o wide -l app=cart --namespace shop --type kill_container",
		"audit_query_csv":    "audit query --limit 4 -o csv --name cart-3",
		"audit_stats":        "audit stats --by day,action,result",
		"audit_stats_csv":    "audit stats --by namespace -o csv",
		"audit_show":         "audit show c00000000003",
		"audit_show_entry":   "audit show 1 -o json",
		"audit_verify":       "audit verify",
		"audit_verify_json":  "audit verify -o json",
		"incidents_list":     "incidents list --utc",
		"incidents_show":     "incidents show b00000000003",
		"deadletters_list":   "deadletters list --utc",
		"deadletters_show":   "deadletters show e00000000001",
		"killswitch_status":  "killswitch status",
	} {
		t.Run(name, func(t *testing.T) {
			out, errOut, err := run(t, append(strings.Fields(line), "--data", data)...)
			require.NoError(t, err)
			if strings.HasPrefix(name, "audit_") { // a head's hash covers salts and the time of writing
				out = written.ReplaceAllString(head.ReplaceAllString(out, strings.Repeat("0", 64)), `"written_ns": 0`)
			}
			golden(t, name, "$ riposte "+line+"\n"+strings.ReplaceAll(out, e.URL, "http://API")+errOut)
		})
	}
}

var written = regexp.MustCompile(`"written_ns": \d+`)

var head = regexp.MustCompile(`\b[0-9a-f]{64}\b`)

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err, "run the test with -update")
	require.Equal(t, string(want), got)
	for _, r := range got {
		require.False(t, r != '\n' && hidden(r), "%q would reach a terminal", r)
	}
}

func TestJSONAndYAMLAreExact(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	e.Add(t, 3)
	data := folder(t, e.URL, apitest.Token)
	for form, decode := range map[string]func([]byte, any) error{"json": json.Unmarshal, "yaml": yaml.Unmarshal} {
		out, _, err := run(t, "alerts", "list", "-o", form, "--data", data)
		require.NoError(t, err)
		var got []map[string]any
		require.NoError(t, decode([]byte(out), &got))
		require.Equal(t, apitest.Rule(3), got[0]["rule"])
		require.Equal(t, "output <b>&\x1b]0;owned\a\u2066 of node-1", got[0]["output"])
	}
}

func TestVerifyFindsAChange(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	e.Add(t, 0)
	exec(t, e, `ALTER TABLE audit DISABLE TRIGGER audit_no_change`)
	exec(t, e, `UPDATE audit SET body = replace(convert_from(body, 'UTF8'), 'system:execute', 'system:nobody')::bytea WHERE seq = 2`)
	out, _, err := run(t, "audit", "verify", "--data", folder(t, e.URL, apitest.Token))
	require.ErrorIs(t, err, errChanged)
	require.Contains(t, out, "BAD at entry 2")
}

func TestKillSwitch(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	data := folder(t, e.URL, apitest.Token)
	out, _, err := run(t, "killswitch", "on", "--reason", "a playbook \x1b[1mruns wild", "--data", data)
	require.NoError(t, err)
	require.Contains(t, out, "The kill switch is ON: nothing is done. Turned on by user:token at 2026-03-01 12:00:00.000Z. Reason: a playbook")
	require.NotContains(t, out, "\x1b")
	out, _, err = run(t, "killswitch", "off", "--data", data)
	require.NoError(t, err)
	require.Equal(t, "The kill switch is off: effects happen.\n", out)
	out, _, err = run(t, "audit", "list", "--kind", "killswitch", "-o", "json", "--data", data)
	require.NoError(t, err)
	require.Contains(t, out, "runs wild")
}

// Each error says what to do next.
func TestErrors(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	good := folder(t, e.URL, apitest.Token)
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	gone := "http://" + dead.Addr().String()
	require.NoError(t, dead.Close())
	damaged := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(damaged, "endpoint.json"), []byte("{"), 0o600))
	noToken := folder(t, e.URL, "")
	for name, tc := range map[string]struct {
		line string
		says []string
	}{
		"not running":                {"alerts list --data " + t.TempDir(), []string{"is not running on the data folder", "riposte up", "--server"}},
		"does not answer":            {"alerts list --data " + folder(t, gone, "t"), []string{"is not running at " + gone, "riposte up", "connection refused"}},
		"damaged":                    {"alerts list --data " + damaged, []string{"damaged", "--server"}},
		"no token":                   {"alerts list --data " + noToken, []string{"holds no token"}},
		"bad token":                  {"alerts list --data " + folder(t, e.URL, "wrong"), []string{"does not take this token", "--token-file"}},
		"bad server":                 {"alerts list --server nonsense --data " + good, []string{"no address such as"}},
		"bad form":                   {"alerts list -o xml --data " + good, []string{"--output", "table, json, yaml"}},
		"bad priority":               {"alerts list --priority loud --data " + good, []string{"unknown priority"}},
		"bad since":                  {"alerts list --since yesterday --data " + good, []string{"--since", "24h"}},
		"bad limit":                  {"alerts list --limit 0 --data " + good, []string{"--limit"}},
		"bad state":                  {"actions list --state done --data " + good, []string{"planned, waiting"}},
		"no such action":             {"actions show c00000000009 --data " + good, []string{"nothing has the id"}},
		"bad id":                     {"actions show nope --data " + good, []string{"UUID"}},
		"no id":                      {"actions show --data " + good, []string{"accepts 1 arg"}},
		"responder without anything": {"responder", []string{"database URL"}},
		"password in a flag":         {"responder --database postgres://u:secret@db/x", []string{"--database-file"}},
		"password in another flag":   {"responder --migrate-url postgres://u:secret@db/x", []string{"--migrate-url: ", "--migrate-url-file"}},
	} {
		t.Run(name, func(t *testing.T) {
			out, _, err := run(t, strings.Fields(tc.line)...)
			for _, s := range tc.says {
				require.ErrorContains(t, err, s)
			}
			require.NotContains(t, err.Error(), "secret")
			require.Empty(t, out)
		})
	}
}

func TestEnvironmentNamesTheServer(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	t.Setenv("RIPOSTE_SERVER", e.URL)
	t.Setenv("RIPOSTE_TOKEN_FILE", filepath.Join(folder(t, "http://127.0.0.1:1", apitest.Token), "token"))
	_, _, err := run(t, "whoami")
	require.NoError(t, err)
	t.Setenv("RIPOSTE_SERVER", "")
	t.Setenv("RIPOSTE_DATA", folder(t, e.URL, apitest.Token))
	_, _, err = run(t, "whoami")
	require.NoError(t, err)
	// The drill's command has none of the flags.
	c, err := Connect(&cobra.Command{})
	require.NoError(t, err)
	_, err = c.Status(t.Context())
	require.NoError(t, err)
	c.Close()
}

// lines is output of which a test waits for whole lines.
type lines struct{ logtest.Log }

func (l *lines) await(t *testing.T, n int) []string {
	t.Helper()
	var got []string
	require.Eventually(t, func() bool {
		got = strings.Split(strings.TrimSuffix(l.String(), "\n"), "\n")
		return len(got) >= n && l.String() != ""
	}, 30*time.Second, 5*time.Millisecond, "too few lines")
	return got
}

func TestWatch(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	data := folder(t, e.URL, apitest.Token)
	e.Add(t, 0)
	e.Add(t, 1)
	ctx, cancel := context.WithCancel(t.Context())
	var table, jsonOut, errOut lines
	var both sync.WaitGroup
	both.Go(func() {
		assertNoError(t, execute(ctx, &table, &errOut, "actions", "list", "--watch", "--utc", "--data", data))
	})
	both.Go(func() {
		assertNoError(t, execute(ctx, &jsonOut, &errOut, "alerts", "list", "--watch", "-o", "json", "--node", "node-0", "--data", data))
	})
	table.await(t, 3)
	jsonOut.await(t, 1)
	e.Add(t, 2)
	e.Add(t, 3)
	exec(t, e, `UPDATE actions SET state = 'unknown', verified_ns = NULL WHERE id = $1`, apitest.ActionID(0))

	got := table.await(t, 6)
	require.Contains(t, got[0], "TARGET")
	for i, short := range []string{"c00000000000", "c00000000001", "c00000000002", "c00000000003", "c00000000000"} {
		require.True(t, strings.HasSuffix(got[i+1], short), "%d: %q", i, got[i+1])
	}
	require.Contains(t, got[5], "unknown")
	for i, line := range jsonOut.await(t, 2) {
		var a struct{ ID string }
		require.NoError(t, json.Unmarshal([]byte(line), &a))
		require.Equal(t, apitest.AlertID(2*i), a.ID, "only node-0's, each once")
	}
	cancel()
	both.Wait()
	require.Empty(t, errOut.String())
}

func assertNoError(t *testing.T, err error) {
	if err != nil {
		t.Error(err)
	}
}

func TestCompletionOfFixedValues(t *testing.T) {
	for line, want := range map[string]string{
		"alerts list --priority": "critical\n",
		"actions list --state":   "refused\n",
		"audit list --kind":      "action.result\n",
		"status --output":        "yaml\n",
		"responder --log-level":  "warn\n",
	} {
		out, _, err := run(t, append(append([]string{cobra.ShellCompRequestCmd}, strings.Fields(line)...), "")...)
		require.NoError(t, err)
		require.Contains(t, out, want, line)
	}
}

// Every command says what it is for, with an example.
func TestHelp(t *testing.T) {
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		require.NotEmpty(t, c.Short, c.CommandPath())
		require.NotEmpty(t, c.Example, c.CommandPath())
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	for _, c := range New("1.2.3", nil) {
		walk(c)
	}
}

// Closing an incident and driving a dead letter again, with their mistakes.
func TestChangesByCommand(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	for i := range 2 {
		e.Add(t, i)
		e.AddDeadLetter(t, i)
	}
	data := folder(t, e.URL, apitest.Token)
	for _, c := range []struct{ line, out, err string }{
		{line: "incidents resolve b00000000000", err: `required flag(s) "reason" not set`},
		{line: "incidents resolve b00000000000 --reason done", out: "Incident b00000000000 is resolved.\n"},
		{line: "incidents resolve b00000000000 --reason twice", err: "it is resolved and cannot become resolved"},
		{line: "incidents false-positive b00000000000 --reason corrected", out: "Incident b00000000000 is false_positive.\n"},
		{line: "incidents false-positive b00000000009 --reason none", err: "nothing has the id"},
		{line: "deadletters redrive e00000000000 --reason again", err: "it cannot be processed this time either"},
		{line: "deadletters redrive b00000000000 --reason none", err: "nothing has the id"},
	} {
		out, _, err := run(t, append(strings.Fields(c.line), "--data", data)...)
		if c.err != "" {
			require.ErrorContains(t, err, c.err, c.line)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, c.out, out)
	}
}
