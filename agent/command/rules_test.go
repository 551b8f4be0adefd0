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
	require.Equal(t, good+": 1 Warnings:\nIn rules content: ("+good+":0:0)\n    macro 'unused': ("+good+":3:3)\n"+
		"------\n- macro: unused\n  ^\n------\nLOAD_UNUSED_MACRO (Unused macro): the macro is not used\n", errOut)

	out, _, err = rulesCommand(t, "check", good, bad)
	require.EqualError(t, err, "1 error(s) in the rules: correct them and check again")
	require.Equal(t, good+": Ok\n"+bad+": Invalid\n1 Errors:\nIn rules content: ("+bad+":0:0)\n    rule 'B': ("+bad+":1:3)\n"+
		"    rule condition: ("+bad+":3:14)\n    condition expression: ("+bad+":5:5)\n"+
		"------\n    proc.nme = \"\\x1b\" and shell\n    ^\n------\n"+
		"LOAD_ERR_COMPILE_CONDITION (Error compiling condition): unknown field proc.nme: did you mean proc.name?\n", out)

	out, _, err = rulesCommand(t, "check", "-o", "json_output=true", bad)
	require.Error(t, err)
	var parsed struct {
		Results []struct {
			Name        string
			Successful  bool
			SchemaValid bool `json:"schema_valid"`
			Errors      []struct {
				Code, Codedesc, Message string
				Context                 struct {
					Snippet   string
					Locations []struct {
						ItemType string `json:"item_type"`
						ItemName string `json:"item_name"`
						Position struct {
							Name                 string
							Line, Column, Offset int
						}
					}
				}
			}
			Warnings []any
		} `json:"falco_load_results"`
	}
	require.NoError(t, json.Unmarshal([]byte(out), &parsed))
	require.Len(t, parsed.Results, 1)
	got := parsed.Results[0]
	require.Equal(t, bad, got.Name)
	require.False(t, got.Successful)
	require.NotNil(t, got.Warnings)
	require.Equal(t, "LOAD_ERR_COMPILE_CONDITION", got.Errors[0].Code)
	require.Equal(t, "Error compiling condition", got.Errors[0].Codedesc)
	last := got.Errors[0].Context.Locations[3]
	require.Equal(t, "condition expression", last.ItemType)
	require.Equal(t, 4, last.Position.Line, "lines count from 0 here, as Falco's do")

	_, _, err = rulesCommand(t, "check", second)
	require.Error(t, err, "the macro is in another file")

	out, _, err = rulesCommand(t, "check", filepath.Join(t.TempDir(), "no.yaml"), t.TempDir(), second, good)
	require.EqualError(t, err, "2 error(s) in the rules: correct them and check again")
	require.Contains(t, out, "LOAD_ERR_FILE_READ (File read error): ")
	require.Contains(t, out, "no such file")
	require.Contains(t, out, "is a directory")

	out, _, err = rulesCommand(t, "check", "--all-errors", ruleFile(t, "two.yaml", "- rule: x\n- rule: y\n"))
	require.EqualError(t, err, "2 error(s) in the rules: correct them and check again")
	require.Contains(t, out, "2 Errors:")
}

func TestRulesList(t *testing.T) {
	out, _, err := rulesCommand(t, "list")
	require.NoError(t, err)
	require.Contains(t, out, "Critical  true     Sensitive file read by a shell in a container")

	out, _, err = rulesCommand(t, "list", "-o", "json")
	require.NoError(t, err)
	var list struct {
		Rules []struct {
			Info    struct{ Name string }
			Details struct {
				Events   []string
				Macros   []string
				Compiled string   `json:"condition_compiled"`
				Output   []string `json:"output_fields"`
			}
		}
		Macros []any
		Lists  []struct{ Info struct{ Items []string } }
	}
	require.NoError(t, json.Unmarshal([]byte(out), &list))
	require.GreaterOrEqual(t, len(list.Rules), 10)
	require.NotEmpty(t, list.Macros)
	require.NotEmpty(t, list.Lists)
	for _, r := range list.Rules {
		require.NotEmpty(t, r.Details.Events, r.Info.Name)
		require.Contains(t, r.Details.Compiled, "evt.type", r.Info.Name)
		require.Contains(t, r.Details.Output, "container.id", r.Info.Name)
	}

	_, _, err = rulesCommand(t, "list", "-o", "xml")
	require.EqualError(t, err, `unknown output "xml": use table or json`)
	_, errOut, err := rulesCommand(t, "list", ruleFile(t, "bad.yaml", "- rule: x\n"))
	require.Error(t, err)
	require.Contains(t, errOut, "the rule has no condition")
}

func TestRulesFields(t *testing.T) {
	out, _, err := rulesCommand(t, "fields", "--class", "fd")
	require.NoError(t, err)
	require.Regexp(t, `(?m)^fd\.name +text +file +yes +path`, out)
	require.NotContains(t, out, "proc.name")
	out, _, err = rulesCommand(t, "fields", "--captured", "-o", "json")
	require.NoError(t, err)
	var list []struct {
		Name     string
		Captured bool
	}
	require.NoError(t, json.Unmarshal([]byte(out), &list))
	require.NotEmpty(t, list)
	for _, f := range list {
		require.True(t, f.Captured, f.Name)
	}
	_, _, err = rulesCommand(t, "fields", "--class", "nothing")
	require.ErrorContains(t, err, `unknown class "nothing"`)
}

func TestRulesExplain(t *testing.T) {
	rules := ruleFile(t, "r.yaml", "- list: l\n  items: [sh, bash]\n- macro: shell\n  condition: proc.name in (l)\n"+
		"- rule: Shell\n  desc: d\n  condition: evt.type in (execve, ptrace) and shell and not proc.aname regex 'a+'\n  output: x\n  priority: ERROR\n")
	out, _, err := rulesCommand(t, "explain", "shell", rules)
	require.NoError(t, err)
	require.Contains(t, out, "Event types: execve, ptrace")
	require.Contains(t, out, "process       1    proc.name in (sh, bash)  <- macro shell\n")
	require.Contains(t, out, "process      80      proc.aname regex \"a+\"\n")
	_, _, err = rulesCommand(t, "explain", "Shel", rules)
	require.EqualError(t, err, `no rule "Shel": did you mean "Shell"?`)
}

func TestRulesTestAndTrace(t *testing.T) {
	test := ruleFile(t, "t.test", "process bash\n  proc.tty = 34816\n  container = c\ncontainer c\n")
	_, _, err := rulesCommand(t, "test", test)
	require.ErrorContains(t, err, `t.test:1: no container is called "c"`)

	test = ruleFile(t, "t.test", "container c\nprocess nginx\n  container = c\nprocess bash\n  parent = nginx\n  proc.tty = 34816\n"+
		"case a shell\nevent execve by bash\nexpect Terminal shell in a container\ncase wrong\nevent execve by nginx\nexpect Terminal shell in a container\n")
	out, _, err := rulesCommand(t, "test", "-v", test)
	require.EqualError(t, err, "1 of 2 test case(s) failed")
	require.Contains(t, out, "ok   a shell\n")
	require.Contains(t, out, "FAIL wrong\n  "+test+":12: expected Terminal shell in a container, got none\n")

	out, _, err = rulesCommand(t, "trace", "Terminal shell in a container", "--event", test, "--case", "wrong")
	require.NoError(t, err)
	require.Contains(t, out, "Event 1 (execve, case wrong): the condition is false\n")
	require.Regexp(t, `(?m)^  false  proc\.name in \(.*\(proc\.name is "nginx"\)$`, out)
	require.Contains(t, out, `false  proc.tty != 0  (proc.tty is "0")`)
}
