package command

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/agent/capture"
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
		{[]string{"--log-level", "loud"}, `--log-level: unknown level "loud"`},
		{[]string{"--recording", "embedded", "--quiet"}, "alerts would go nowhere"},
		{[]string{"--recording", "embedded", "--nats", "nats://x"}, "this node's key"},
		{[]string{"--recording", "embedded", "--rules", rules}, rules + ":3:"},
		{[]string{"--recording", "embedded", "--rules", rules}, "^"},
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

func TestUnavailableIsExplained(t *testing.T) {
	err := explain(&capture.Unavailable{Why: "not root", Help: "run it with sudo", Err: errors.New("operation not permitted")})
	require.ErrorContains(t, err, "not root")
	require.ErrorContains(t, err, "run it with sudo")
	require.ErrorContains(t, err, "riposte agent --recording embedded")
}
