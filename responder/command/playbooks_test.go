package command_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/responder/command"
)

const (
	goodPlaybook = `# METADATA
# scope: package
# title: Delete web pods
# description: Deletes the pod on a shell in it.
# custom:
#   owner: shop
#   trigger: {rules: [Shell], priority: warning}
#   mode: approve
#   severity: high
package playbooks.web

import data.riposte.lib.target

action contains {"type": "delete_pod", "target": target.pod, "reason": "shell"}

action contains {"type": "delete_pod", "target": target.pod, "reason": "later"} if {
	input.alert.rule == "Later"
}
`
	goodTest = `package playbooks.web_test

import data.playbooks.web

_pod := {"namespace": "shop", "name": "web-0", "uid": "7d0c", "node": "n1"}

test_deletes_the_pod if {
	count(web.action) == 1 with input as {"binding": "bound", "pod": _pod}
}
`
)

func dir(t *testing.T, files ...string) string {
	d := t.TempDir()
	for i := 0; i < len(files); i += 2 {
		require.NoError(t, os.WriteFile(filepath.Join(d, files[i]), []byte(files[i+1]), 0o644))
	}
	return d
}

func run(args ...string) (out, errs string, err error) {
	var stdout, stderr bytes.Buffer
	c := command.NewPlaybooks()
	c.SilenceErrors, c.SilenceUsage = true, true
	c.SetOut(&stdout)
	c.SetErr(&stderr)
	c.SetArgs(args)
	err = c.Execute()
	return stdout.String(), stderr.String(), err
}

func TestPlaybooksCheck(t *testing.T) {
	out, errs, err := run("check")
	require.NoError(t, err)
	require.Empty(t, errs)
	require.Contains(t, out, "OK  delete_pod_on_critical      enforce  embedded:/response/delete_pod_on_critical.rego\n")
	require.Contains(t, out, "OK  kill_container_on_critical  enforce  embedded:/response/kill_container_on_critical.rego\n")
	require.NotContains(t, out, "/lib/")

	d := dir(t, "web.rego", goodPlaybook, "bad.rego", strings.NewReplacer("playbooks.web", "playbooks.bad", "approve", "ask").Replace(goodPlaybook),
		"worse.rego", strings.NewReplacer("playbooks.web", "playbooks.worse", "input.alert.rule", "input.alert.rul").Replace(goodPlaybook))
	out, errs, err = run("check", d)
	require.EqualError(t, err, "2 errors in the playbooks: correct it and check again")
	require.Equal(t, "OK  web  approve  "+d+"/web.rego\n", out)
	require.Contains(t, errs, d+"/bad.rego:8:11: custom.mode: unknown \"ask\": use observe, approve, enforce\n")
	require.Contains(t, errs, d+"/worse.rego:17:14: undefined ref: input.alert.rul: did you mean \"rule\"?\n")

	_, _, err = run("check", dir(t))
	require.ErrorContains(t, err, "no playbook in ")
	_, errs, err = run("check", filepath.Join(d, "missing"))
	require.Error(t, err)
	require.Contains(t, errs, "missing: no such file or directory")
}

func TestPlaybooksTest(t *testing.T) {
	out, _, err := run("test", "-v", "--coverage", "--threshold", "100")
	require.NoError(t, err)
	require.Contains(t, out, "PASS  playbooks.delete_pod_on_critical_test.test_deletes_the_bound_pod_by_uid")
	require.Contains(t, out, "100.0 %  total")

	d := dir(t, "web.rego", goodPlaybook, "web_test.rego", goodTest)
	out, _, err = run("test", d)
	require.NoError(t, err)
	require.Contains(t, out, "1 of 1 test passed\n", "only the tests of the directory run")

	out, _, err = run("test", "--threshold", "90", d)
	require.EqualError(t, err, "the coverage is 33.3 %, --threshold wants 90 %")
	require.Contains(t, out, "not evaluated: 16")

	d = dir(t, "web.rego", goodPlaybook, "web_test.rego", strings.Replace(goodTest, "== 1", "== 2", 1))
	out, _, err = run("test", d)
	require.EqualError(t, err, "1 test of 1 failed")
	require.Contains(t, out, "FAIL  playbooks.web_test.test_deletes_the_pod")
	require.Contains(t, out, "test_deletes_the_pod: line 8 does not hold: count(web.action) == 2")

	_, errs, err := run("test", dir(t, "web.rego", strings.Replace(goodPlaybook, "title", "titel", 1), "web_test.rego", goodTest))
	require.Error(t, err)
	require.Contains(t, errs, `unknown key "titel"`)

	_, _, err = run("test", dir(t, "web.rego", goodPlaybook))
	require.ErrorContains(t, err, "no tests in ")
	_, _, err = run("test", "--threshold", "101")
	require.EqualError(t, err, "--threshold 101: give a percentage from 0 to 100")
}

func TestPlaybooksList(t *testing.T) {
	d := dir(t, "web.rego", goodPlaybook)
	out, _, err := run("list", d)
	require.NoError(t, err)
	require.Regexp(t, `(?m)^NAME +MODE +SEVERITY +TRIGGER +REVISION +SOURCE +TITLE$`, out)
	require.Regexp(t, `(?m)^web +approve +high +rules: Shell, priority: warning +[0-9a-f]{12} +\S+ +Delete web pods$`, out)

	out, _, err = run("list", "-o", "json", d)
	require.NoError(t, err)
	var rows []map[string]any
	require.NoError(t, json.Unmarshal([]byte(out), &rows))
	require.Len(t, rows, 1)
	require.Equal(t, "web", rows[0]["name"])
	require.Equal(t, "shop", rows[0]["owner"])

	out, _, err = run("list", "-o", "yaml", d)
	require.NoError(t, err)
	require.Contains(t, out, "  name: web\n")
	_, _, err = run("list", "-o", "xml", d)
	require.EqualError(t, err, `--output: there is no form "xml": use table, json, yaml, jsonpath=, csv, name, wide`)
}

func TestPlaybooksSchema(t *testing.T) {
	for _, name := range []string{"input", "guard"} {
		out, _, err := run("schema", name)
		require.NoError(t, err)
		require.True(t, json.Valid([]byte(out)))
		require.Contains(t, out, "output_fields")
	}
	_, _, err := run("schema", "output")
	require.Error(t, err)
}
