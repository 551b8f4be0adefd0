package guard_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/responder/guard"
	"riposte/responder/playbook"
)

const wholeFile = `
budgets:
  playbook: {count: 20}
  workload: {count: 2, window: 5m}
  namespace: {window: 1h}
  playbooks:
    delete_pod_on_critical: {count: 500, window: 1m}
    quiet: {window: 2m}
cooldown: 0s
loop: {settle: 30s, window: 1h}
ready_share: 50
cordoned_nodes: 2
errors: {share: 20, actions: 10, window: 30m}
modes:
  max: approve
  playbooks: {quiet: observe}
uncounted: [notify]
protected:
  namespaces: [vault]
  names: [shop/payments-*]
  labels: {tier: gold}
`

func TestParseConfig(t *testing.T) {
	c, err := guard.ParseConfig([]byte(wholeFile))
	require.NoError(t, err)
	const ten = 10 * time.Minute
	want := guard.DefaultLimits()
	want.Playbook, want.Workload, want.Namespace = guard.Budget{Count: 20, Window: ten}, guard.Budget{Count: 2, Window: 5 * time.Minute}, guard.Budget{Count: 10, Window: time.Hour}
	want.Playbooks = map[string]guard.Budget{"delete_pod_on_critical": {Count: 500, Window: time.Minute}, "quiet": {Count: 20, Window: 2 * time.Minute}}
	want.Cooldown, want.LoopSettle, want.LoopWindow = 0, 30*time.Second, time.Hour
	want.ReadyShare, want.CordonedNodes = 50, 2
	want.ErrorShare, want.ErrorActions, want.ErrorWindow = 20, 10, 30*time.Minute
	want.MaxMode, want.MaxModes, want.Uncounted = playbook.Approve, map[string]playbook.Mode{"quiet": playbook.Observe}, []string{"notify"}
	require.Equal(t, guard.Config{Limits: want, Namespaces: []string{"vault"}, Names: []string{"shop/payments-*"}, Labels: map[string]string{"tier": "gold"}}, c)

	c, err = guard.ParseConfig(nil)
	require.NoError(t, err)
	require.Equal(t, guard.Config{Limits: guard.DefaultLimits()}, c)
}

// A file that is not understood is no file with defaults.
func TestParseConfigRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"budget: {}":                                 "field budget not found",
		"budgets: {playbok: {count: 1}}":             "field playbok not found",
		"budgets: {playbook: {count: -1}}":           "budgets.playbook: count must be 0 to 100000, not -1",
		"budgets: {playbook: {count: many}}":         "cannot unmarshal",
		"budgets: {node: {window: 0s}}":              "budgets.node: window must be",
		"budgets: {node: {window: 10}}":              `"10" is no duration such as 90s or 10m`,
		"budgets: {playbooks: {x: {window: 9000h}}}": "budgets.playbooks.x: window must be",
		"cooldown: -1s":                              "cooldown: must be 0 to",
		"ready_share: 101":                           "ready_share: must be 0 to 100",
		"errors: {actions: 0}":                       "errors.actions: must be at least 1",
		"modes: {max: kill}":                         `modes.max: must be observe, approve or enforce, not "kill"`,
		"modes: {playbooks: {p: all}}":               "modes.playbooks.p: must be",
		"protected: {names: ['[']}":                  `protected name "[" is no pattern`,
		"protected: {names: [a/b/c]}":                "is no pattern",
		"protected: {names: ['']}":                   "is no pattern",
		"a: b: c":                                    "mapping values are not allowed",
		"cooldown: 1s\n---\ncooldown: 2s":            "more than one YAML document",
		"cooldown: &a [*a]":                          "no duration",
	} {
		_, err := guard.ParseConfig([]byte(text))
		require.ErrorContains(t, err, want, text)
	}
}

func TestReadConfig(t *testing.T) {
	file := filepath.Join(t.TempDir(), "guard.yaml")
	_, err := guard.ReadConfig(file)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, os.WriteFile(file, []byte("x: 1"), 0o600))
	_, err = guard.ReadConfig(file)
	require.ErrorContains(t, err, "guard.yaml: ")
	require.NoError(t, os.WriteFile(file, []byte("# "+strings.Repeat("x", 1<<20)), 0o600))
	_, err = guard.ReadConfig(file)
	require.ErrorContains(t, err, "more than 1048576 bytes")
}

func TestProtectedNames(t *testing.T) {
	for _, p := range []string{"web-1", "shop/web-*", "web-*", "web", "shop/web"} {
		g := newGuard(t, guard.Options{ProtectedNames: []string{p}})
		v := g.Judge(t.Context(), about(1))
		require.Equal(t, "protected-name", v.Rule, p)
		require.Contains(t, v.Reason, "is protected by the name "+p)
	}
	g := newGuard(t, guard.Options{ProtectedNames: []string{"bank/web-*", "n1"}})
	require.Equal(t, guard.Allow, g.Judge(t.Context(), about(1)).Outcome)
	require.Equal(t, "protected-name", g.Judge(t.Context(), cordon("n1")).Rule, "a node has a name too")
	q := container()
	q.Alert.Riposte.Pod = about(1).Alert.Riposte.Pod
	q.Alert.Riposte.Pod.Namespace = "bank"
	require.Equal(t, "protected-name", g.Judge(t.Context(), q).Rule, "the agent's word protects as well")
}

// Whatever a file says, it is an error or gives limits that the guard takes.
func FuzzParseConfig(f *testing.F) {
	for _, seed := range []string{wholeFile, "", "budgets: {playbook: {count: 1e9}}", "a: &a [*a, *a]", "cooldown: 1h\n---\n", "modes: {max: enforce}", "\x00", "protected: {names: ['[']}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := guard.ParseConfig(text)
		if err != nil {
			return
		}
		_, err = guard.New(guard.Options{Limits: c.Limits, ProtectedNames: c.Names})
		require.NoError(t, err)
		require.LessOrEqual(t, c.Limits.LookBack(), 7*24*time.Hour)
	})
}
