package command

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"riposte/agent"
	"riposte/agent/capture"
	"riposte/agent/config"
	"riposte/agent/event"
	"riposte/agent/publish"
)

// execute runs "agent" with arguments and returns what it printed.
func execute(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	c := NewAgent("test")
	c.SetArgs(args)
	c.SetOut(&out)
	c.SetErr(&bytes.Buffer{})
	c.SilenceErrors = true
	err := c.ExecuteContext(context.Background())
	return out.String(), err
}

func TestAgentPrintsARecordingsAlerts(t *testing.T) {
	out, err := execute(t, "--recording", "embedded")
	require.NoError(t, err)
	require.Regexp(t, `(?m)^\d\d:\d\d:\d\d\.\d{9}: Critical `, out)

	out, err = execute(t, "--recording", "embedded", "--output", "json", "--json-include-riposte")
	require.NoError(t, err)
	require.Contains(t, out, `"riposte":{"schema":1,`)
	require.Contains(t, out, `"recorded":true`)
}

func TestAgentRefusesWrongFlags(t *testing.T) {
	rules := filepath.Join(t.TempDir(), "r.yaml")
	require.NoError(t, os.WriteFile(rules, []byte("- rule: x\n  desc: d\n  condition: evt.type = openat and fd.nam = 1\n  output: o\n  priority: ERROR\n"), 0o600))
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"extra"}, `unknown command "extra"`},
		{[]string{"--output", "xml"}, `--output: unknown output format "xml"`},
		{[]string{"--log-level", "loud"}, `--log-level: log_level cannot be "loud"`},
		{[]string{"--recording", "embedded", "--quiet"}, "alerts would go nowhere"},
		{[]string{"--recording", "embedded", "--nats", "nats://x"}, "this node's key"},
		{[]string{"--recording", "embedded", "--rules", rules}, rules + ":3:"},
		{[]string{"--recording", "embedded", "--rules", rules}, "^"},
		{[]string{"--recording", "embedded", "--rules", rules + ".none"}, "no such file"},
		{[]string{"--recording", "embedded", "-o", "rules_files[]=/does/not/exist.yaml"}, "there is no rules file in"},
		{[]string{"-o", "jsn_output=true"}, `-o:1:1: unknown key "jsn_output": did you mean "json_output"?`},
		{[]string{"-o", "json"}, "write json_output=true"},
		{[]string{"-c", "/does/not/exist.yaml"}, "/does/not/exist.yaml: no such file"},
	} {
		_, err := execute(t, c.args...)
		require.ErrorContains(t, err, c.want)
	}
}

func TestFlagsComeFromTheEnvironment(t *testing.T) {
	c := NewAgent("test")
	require.NoError(t, c.ParseFlags([]string{"--node", "given"}))
	env := map[string]string{
		"RIPOSTE_NODE": "lost", "RIPOSTE_CLUSTER": "prod", "RIPOSTE_RULES": "a.yaml,b.yaml", "RIPOSTE_NATS_KEY": "k", "RIPOSTE_QUIET": "true", "RIPOSTE_DATA": "",
	}
	lookup := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	require.NoError(t, fromEnvironment(c.Flags(), lookup))
	for flag, want := range map[string]string{
		"node": "given", "cluster": "prod", "rules": "[a.yaml,b.yaml]", "nats-key": "k", "quiet": "true", "data": "",
	} {
		require.Equal(t, want, c.Flag(flag).Value.String(), flag)
	}
	env["RIPOSTE_SPOOL_BYTES"] = "many"
	require.ErrorContains(t, fromEnvironment(c.Flags(), lookup), "RIPOSTE_SPOOL_BYTES: ")
}

func TestAConfigurationOfFalcosWorks(t *testing.T) {
	dir := t.TempDir()
	file, log, copies := filepath.Join(dir, "falco.yaml"), filepath.Join(dir, "alerts"), filepath.Join(dir, "copies")
	require.NoError(t, os.WriteFile(file, []byte(`
engine: {kind: modern_ebpf}
stdout_output: {enabled: true}
json_output: true
json_include_message_property: true
json_include_tags_property: false
time_format_iso_8601: true
file_output: {enabled: true, keep_alive: false, filename: `+log+`}
program_output: {enabled: true, keep_alive: true, program: "cat >`+copies+`"}
riposte: {recording: "${RECORDING}", cluster: file, node: file}
`), 0o600))
	t.Setenv("RECORDING", "embedded")
	t.Setenv("RIPOSTE_CLUSTER", "environment")
	t.Setenv("RIPOSTE_NODE", "environment")
	out, err := execute(t, "-c", file, "--node", "flag", "-o", "json_include_output_property=false", "-o", "json_include_riposte=true")
	require.NoError(t, err)
	require.NotEmpty(t, out)
	for line := range strings.Lines(out) {
		var keys map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &keys))
		require.NotContains(t, keys, "output")
		require.NotContains(t, keys, "tags")
		require.NotEmpty(t, keys["message"])
		require.Contains(t, keys["output_fields"], "evt.time.iso8601")
		require.Equal(t, "environment", keys["riposte"].(map[string]any)["cluster"])
		require.Equal(t, "flag", keys["riposte"].(map[string]any)["node"])
	}
	for _, name := range []string{log, copies} {
		content, err := os.ReadFile(name)
		require.NoError(t, err)
		require.Equal(t, out, string(content), "each output says the same")
	}

	out, err = execute(t, "-c", file, "-o", "stdout_output.enabled=false")
	require.NoError(t, err)
	require.Empty(t, out)
}

// TestSignalsReopenAndReload runs the real command and signals this process.
func TestSignalsReopenAndReload(t *testing.T) {
	dir := t.TempDir()
	log, rules := filepath.Join(dir, "alerts"), filepath.Join(dir, "rules.yaml")
	require.NoError(t, os.WriteFile(rules, []byte(oneRule), 0o600))
	opt := options(mustLoad(t, config.Options{Overrides: []string{
		"file_output={enabled: true, keep_alive: true, filename: " + log + "}", "riposte.recording=embedded", "stdout_output.enabled=false",
		"watch_config_files=false", "rules_files[]=" + rules, "log_level=info",
	}}), nil, nil)
	messages := make(chan string, 100)
	opt.Log = slog.New(slog.NewTextHandler(writerFunc(func(b []byte) { messages <- string(b) }), nil))
	opt.Linger = true
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, opt) }()
	await := func(want string) {
		for {
			select {
			case m := <-messages:
				if strings.Contains(m, want) {
					return
				}
			case <-time.After(20 * time.Second):
				t.Errorf("no message says %q", want)
				return
			}
		}
	}
	await("rules are loaded")
	require.Eventually(t, func() bool { info, err := os.Stat(log); return err == nil && info.Size() > 0 }, 10*time.Second, time.Millisecond)
	require.NoError(t, os.Rename(log, log+".1"))
	require.NoError(t, os.WriteFile(rules, []byte(oneRule+"- list: more\n  items: [a]\n"), 0o600))
	require.NoError(t, syscall.Kill(os.Getpid(), syscall.SIGHUP))
	await("rules are loaded again")
	require.Eventually(t, func() bool { _, err := os.Stat(log); return err == nil }, 10*time.Second, time.Millisecond)
	require.NoError(t, os.Remove(log))
	require.NoError(t, syscall.Kill(os.Getpid(), syscall.SIGUSR1))
	require.Eventually(t, func() bool { _, err := os.Stat(log); return err == nil }, 10*time.Second, time.Millisecond)
	cancel()
	require.NoError(t, <-ended)
}

const oneRule = "- rule: x\n  desc: d\n  condition: evt.type in (open, openat, execve)\n  output: o\n  priority: ERROR\n"

type writerFunc func([]byte)

func (f writerFunc) Write(b []byte) (int, error) { f(b); return len(b), nil }

func mustLoad(t *testing.T, opt config.Options) *config.Config {
	t.Helper()
	c, err := config.Load(opt)
	require.NoError(t, err)
	return c
}

func TestOptions(t *testing.T) {
	o := options(mustLoad(t, config.Options{}), io.Discard, nil)
	require.Nil(t, o.Web, "nothing listens by default")
	require.NotNil(t, o.Output)
	require.Equal(t, &agent.DropPolicy{Threshold: 0.1, Log: true, Alert: true, Rate: 1.0 / 30, Burst: 1}, o.Drops)

	o = options(mustLoad(t, config.Options{Overrides: []string{
		"webserver={enabled: true, prometheus_metrics_enabled: true}", "syscall_event_drops.actions=ignore", "base_syscalls.custom_set=[open, '!openat', '!close']",
		"http_output={enabled: true, url: 'http://x', client_cert: a, client_key: b}", "syslog_output.enabled=true", "riposte.syslog.format=rfc5424",
	}}), io.Discard, nil)
	require.Equal(t, &agent.Web{Address: "127.0.0.1", Port: 8765, HealthzPath: "/healthz", Metrics: true}, o.Web)
	require.Nil(t, o.Drops)
	require.Equal(t, []event.Type{event.Openat, event.Close}, o.Muted)
	require.Empty(t, o.HTTP.ClientCert, "without mtls it does not count")
	require.Equal(t, publish.RFC5424, o.Syslog.Format)
}

func TestEveryFlagThatAsksNothingSetsAKey(t *testing.T) {
	asking := pflag.NewFlagSet("", pflag.ContinueOnError)
	askFlags(asking)
	NewAgent("test").Flags().VisitAll(func(f *pflag.Flag) {
		if f.Name != "config" && f.Name != "option" && asking.Lookup(f.Name) == nil {
			require.NotEmpty(t, keys[f.Name], f.Name)
		}
	})
}

func TestUnavailableIsExplained(t *testing.T) {
	err := explain(&capture.Unavailable{Why: "not root", Help: "run it with sudo", Err: errors.New("operation not permitted")})
	require.ErrorContains(t, err, "not root")
	require.ErrorContains(t, err, "run it with sudo")
	require.ErrorContains(t, err, "riposte agent --recording embedded")
}

// TestAChangedConfigurationFileIsApplied changes the file of a running agent.
func TestAChangedConfigurationFileIsApplied(t *testing.T) {
	dir := t.TempDir()
	name, rules := filepath.Join(dir, "falco.yaml"), filepath.Join(dir, "rules.yaml")
	require.NoError(t, os.WriteFile(rules, []byte(two), 0o600))
	write := func(text string) {
		t.Helper()
		require.NoError(t, os.WriteFile(name+".new", []byte("riposte: {recording: embedded}\nstdout_output: {enabled: false}\nstatic_fields: {env: x}\nrules_files: ["+rules+"]\n"+text), 0o600))
		require.NoError(t, os.Rename(name+".new", name))
	}
	write("file_output: {enabled: true, filename: " + dir + "/first}\n")
	messages := make(chan string, 100)
	log := slog.New(slog.NewTextHandler(writerFunc(func(b []byte) { messages <- string(b) }), nil))
	from := config.Options{File: name, Overrides: []string{"log_level=debug"}, Lookup: os.LookupEnv}
	complete := func(c *config.Config) agent.Options {
		o := options(c, nil, log)
		o.Linger = true
		return o
	}
	opt := complete(mustLoad(t, from))
	opt.Reconfigure = reconfigure(from, complete)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, opt) }()
	await := func(wants ...string) {
		t.Helper()
		for {
			select {
			case m := <-messages:
				found := true
				for _, want := range wants {
					found = found && strings.Contains(m, want)
				}
				if found {
					return
				}
			case <-time.After(20 * time.Second):
				t.Fatalf("no message says %q", wants)
			}
		}
	}
	await("rules are loaded", "rules=2")
	write("file_output: {enabled: true, filename: " + dir + "/second}\npriority: error\nriposte.node: other\n")
	await("what has changed does not load", name+":7:1", "riposte.node")
	_, err := os.Stat(filepath.Join(dir, "second"))
	require.ErrorIs(t, err, os.ErrNotExist, "a wrong file changes nothing")
	write("file_output: {enabled: true, filename: " + dir + "/second}\npriority: error\n")
	await("rules are loaded again", "rules=1")
	_, err = os.Stat(filepath.Join(dir, "second"))
	require.NoError(t, err)
	cancel()
	require.NoError(t, <-ended)
}
