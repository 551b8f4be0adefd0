package command_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/agent/command"
)

// rulesCommand runs "rules" with arguments.
func rulesCommand(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	cmd := command.NewRules()
	var out, errOut bytes.Buffer
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	cmd.SetErr(&errOut)
	cmd.SilenceErrors = true
	err = cmd.Execute()
	return out.String(), errOut.String(), err
}

func ruleFile(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

func TestRulesCheckBuiltIn(t *testing.T) {
	out, errOut, err := rulesCommand(t, "check")
	require.NoError(t, err)
	require.Equal(t, "defaults/container.yaml: Ok\n", out)
	require.Empty(t, errOut)
}

func TestRulesCheckFiles(t *testing.T) {
	good := ruleFile(t, "good.yaml", "- macro: shell\n  condition: proc.name = sh\n- macro: unused\n  condition: shell\n")
	second := ruleFile(t, "second.yaml", "- rule: R\n  desc: d\n  condition: evt.type = execve and shell\n  output: x\n  priority: error\n")
	bad := ruleFile(t, "bad.yaml", "- rule: B\n  desc: d\n  condition: >\n    evt.type = execve and\n    proc.nme = \"\\x1b\" and shell\n  output: x\n  priority: error\n")

	out, errOut, err := rulesCommand(t, "check", good, second)
	require.NoError(t, err)
	require.Equal(t, good+": Ok, with warnings\n"+second+": Ok\n", out)
	require.Equal(t, "  LOAD_UNUSED_MACRO: "+good+":3:3: macro \"unused\": the macro is not used\n    - macro: unused\n      ^\n", errOut)

	out, _, err = rulesCommand(t, "check", good, bad)
	require.EqualError(t, err, "1 error(s) in the rules: correct them and check again")
	require.Equal(t, good+": not checked to its end, because of errors elsewhere\n"+bad+": Invalid, 1 error\n"+
		"  LOAD_ERR_COMPILE_CONDITION: "+bad+":5:5: rule \"B\": unknown field proc.nme: did you mean proc.name?\n"+
		"        proc.nme = \"\\x1b\" and shell\n        ^\n", out)

	_, _, err = rulesCommand(t, "check", second)
	require.Error(t, err, "the macro is in another file")

	_, _, err = rulesCommand(t, "check", filepath.Join(t.TempDir(), "no.yaml"), t.TempDir())
	require.ErrorContains(t, err, "no such file")
	require.ErrorContains(t, err, "is a directory")
}

func TestRulesList(t *testing.T) {
	out, _, err := rulesCommand(t, "list")
	require.NoError(t, err)
	require.Contains(t, out, "Critical  true     Sensitive file read by a shell in a container")

	out, _, err = rulesCommand(t, "list", "-o", "json")
	require.NoError(t, err)
	var list []struct {
		Name       string
		EventTypes []string `json:"event_types"`
	}
	require.NoError(t, json.Unmarshal([]byte(out), &list))
	require.GreaterOrEqual(t, len(list), 10)
	for _, r := range list {
		require.NotEmpty(t, r.EventTypes, r.Name)
	}

	_, _, err = rulesCommand(t, "list", "-o", "xml")
	require.EqualError(t, err, `unknown output "xml": use table or json`)
	_, errOut, err := rulesCommand(t, "list", ruleFile(t, "bad.yaml", "- rule: x\n"))
	require.Error(t, err)
	require.Contains(t, errOut, "the rule has no condition")
}
