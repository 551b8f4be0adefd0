package command

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/agent/rules/field"
)

func file(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

const two = `
- list: names
  items: [a]
- macro: opened
  condition: evt.type in (open, openat, execve)
- rule: First one
  desc: what it is
  condition: opened and not proc.name in (names)
  output: o in %static.env
  priority: ERROR
- rule: Second
  desc: other
  condition: opened
  output: o
  priority: DEBUG
  tags: [network]
`

func TestTheAgentTakesFalcosCommandLine(t *testing.T) {
	rules := file(t, "rules.yaml", two)
	out, err := execute(
		t, "-r", rules, "-o", "json_output=true", "-o", `append_output[]={"match": {"source": "syscall"}, "extra_fields": ["evt.hostname"]}`, "-o", "static_fields={env: prod}",
		"-o", `rules[]={"disable": {"tag": "network"}}`, "-o", "rule_matching=all", "-o", "engine.kind=modern_ebpf", "-U", "--recording", "embedded",
	)
	require.NoError(t, err)
	lines := strings.SplitSeq(strings.TrimSpace(out), "\n")
	for line := range lines {
		var a struct {
			Rule   string
			Fields map[string]any `json:"output_fields"`
		}
		require.NoError(t, json.Unmarshal([]byte(line), &a))
		require.Equal(t, "First one", a.Rule, "what has the tag is off")
		require.Equal(t, "prod", a.Fields["static.env"])
		require.Contains(t, a.Fields, "evt.hostname")
		require.Contains(t, a.Fields, "container.id", "what is suggested is still added")
	}
}

func TestAgentRefusesAnEngineThatReplays(t *testing.T) {
	_, err := execute(t, "-o", "engine.kind=replay", "-o", "engine.replay.capture_file=x.scap")
	require.ErrorContains(t, err, "use riposte replay")
}

func TestFlagsThatAsk(t *testing.T) {
	rules := file(t, "rules.yaml", two)
	static := []string{"-o", "static_fields.env=prod"}
	ask := func(args ...string) string {
		t.Helper()
		out, err := execute(t, append(args, static...)...)
		require.NoError(t, err)
		return out
	}
	require.Equal(t, "The configuration and 1 rules are right.\n", ask("--dry-run", "-r", rules, "-o", "priority=error"))
	require.Equal(t, rules+": Ok\n", ask("-V", rules))
	require.Regexp(t, `(?m)^First one +what it is$`, ask("-L", "-r", rules))
	require.Equal(t, 2, strings.Count(ask("-l", "second", "-r", rules), "\n"))
	require.ElementsMatch(t, field.Names(), strings.Fields(ask("--list", "-N")))
	require.NotContains(t, ask("--list=k8s_audit", "-N"), "\nfd.name\n")
	require.Contains(t, ask("--list"), "proc.aname[[x]]")
	require.Contains(t, ask("--list-events"), "\nopenat\n")

	var got struct {
		Loaded []struct {
			Name       string
			Successful bool
		} `json:"falco_load_results"`
		Described *struct {
			Rules []struct{ Info struct{ Name string } }
			Lists []any
		} `json:"falco_describe_results"`
	}
	require.NoError(t, json.Unmarshal([]byte(ask("-V", rules, "-L", "-o", "json_output=true")), &got))
	require.True(t, got.Loaded[0].Successful)
	require.Len(t, got.Described.Rules, 2)
	require.Len(t, got.Described.Lists, 1)
	var all struct {
		Rules []struct {
			Details struct {
				Output string `json:"output_compiled"`
			}
		}
	}
	require.NoError(t, json.Unmarshal([]byte(ask("-L", "-r", rules, "-o", "json_output=true", "-o", `append_output=[{extra_output: "on %evt.hostname"}]`)), &all))
	require.Equal(t, "o in %static.env on %evt.hostname", all.Rules[0].Details.Output)

	var report map[string]any
	require.NoError(t, json.Unmarshal([]byte(ask("--support", "-r", rules)), &report))
	require.Equal(t, "test", report["version"])
	require.Equal(t, two, report["rules_files"].([]any)[0].(map[string]any)["variants"].([]any)[0].(map[string]any)["content"])

	for want, args := range map[string][]string{
		"1 error(s) in the rules":          {"-V", rules}, // without the static field
		"unknown field static.env":         {"-L", "-r", rules},
		`did you mean "Second"?`:           {"-l", "Secnd", "-r", rules, "-o", "static_fields.env=x"},
		"unknown source":                   {"--list=windows"},
		"alerts would go nowhere":          {"--dry-run", "--quiet"},
		"the configuration does not hold:": {"--dry-run", "-o", "x=y"},
	} {
		_, err := execute(t, args...)
		require.ErrorContains(t, err, want, args)
	}
}

func TestTheAgentEndsAfterSeconds(t *testing.T) {
	c := NewAgent("test")
	require.NoError(t, c.ParseFlags([]string{"-M", "3"}))
	require.InDelta(t, 3, seconds(c.Flags()).Seconds(), 0)
}
