package command_test

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/deploy/logtest"
	"riposte/responder/command"
)

// shell is an alert as an agent writes it, falco one as Falco does.
const (
	shell = `{"uuid":"01950000-0000-7000-8000-a00000000001","time":"2026-01-02T03:04:05.000000006Z","rule":"Shell","priority":"Warning","source":"syscall","hostname":"n1",` +
		`"output":"a \u001b[2Jshell","tags":["x"],"output_fields":{"proc.name":"sh"},"riposte":{"schema":1,"cluster":"prod","node":"n1","boot_id":"0b0c7a2e-1d5f-4a52-9a3c-7d8e9f001122","seq":1,` +
		`"kernel_time_ns":1767323045000000001,"alert_time_ns":1767323045000000002,"ruleset":"r","container":{"id":"abc","cgroup_id":4,"start_ns":7},"pod":{"namespace":"shop","name":"web-0","uid":"7d0c"}}}`
	falco = `{"output":"a shell","priority":"Warning","rule":"Shell","time":"2026-01-02T03:04:06.000000006Z","source":"syscall","hostname":"n1","output_fields":{"proc.name":"sh","k8s.ns.name":"shop","k8s.pod.name":"web-0","k8s.pod.uid":"7d0c"}}`
)

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	file := filepath.Join(dir, name)
	require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
	return file
}

func TestPlaybooksNew(t *testing.T) {
	d := filepath.Join(t.TempDir(), "books")
	out, _, err := run("new", "web", "--dir", d)
	require.NoError(t, err)
	require.Equal(t, d+"/web.rego\n"+d+"/web_test.rego\n", out)
	out, _, err = run("new", "shells", "--dir", d, "-f", write(t, t.TempDir(), "a.json", shell))
	require.NoError(t, err)
	require.Contains(t, out, d+"/shells.json\n")
	for _, line := range [][]string{{"check", d}, {"fmt", "--check", d}, {"test", "--threshold", "100", d}} {
		_, errs, err := run(line...)
		require.NoError(t, err, "%v: %s", line, errs)
	}
	out, _, err = run("list", "-o", "json", d)
	require.NoError(t, err)
	require.Contains(t, out, `"trigger": "rules: Shell"`)

	before, err := os.ReadFile(d + "/web.rego")
	require.NoError(t, err)
	_, _, err = run("new", "web", "--dir", d, "--action", "isolate_pod")
	require.EqualError(t, err, d+"/web.rego is there already: give another name, or --force")
	after, err := os.ReadFile(d + "/web.rego")
	require.NoError(t, err)
	require.Equal(t, before, after)
	_, _, err = run("new", "web", "--dir", d, "--action", "isolate_pod", "--force")
	require.NoError(t, err)
	_, _, err = run("test", d)
	require.NoError(t, err)
	_, _, err = run("new", "Web")
	require.ErrorContains(t, err, "cannot be a playbook's name")
}

func TestPlaybooksCheckActions(t *testing.T) {
	d := dir(t, "web.rego", strings.Replace(goodPlaybook, `"type": "delete_pod", "target": target.pod, "reason": "shell"`, `"type": "delete_pods", "target": target.pod, "reason": "shell"`, 1))
	out, errs, err := run("check", d)
	require.EqualError(t, err, "1 error in the playbooks: correct it and check again")
	require.Empty(t, out)
	require.Contains(t, errs, d+`/web.rego:14:26: no action is called "delete_pods" (did you mean "delete_pod"?)`)
}

func TestPlaybooksFmt(t *testing.T) {
	d := dir(t, "a.rego", "package playbooks.a\naction   contains 1\n", "b.rego", "package playbooks.b\n")
	out, _, err := run("fmt", "--check", d)
	require.EqualError(t, err, "1 file not formatted: run `riposte playbooks fmt`")
	require.Equal(t, d+"/a.rego\n", out)
	out, _, err = run("fmt", "--diff", d)
	require.Error(t, err)
	require.Contains(t, out, "@@ -1,2 +1,3 @@\n package playbooks.a\n-action   contains 1\n+\n+action contains 1\n")
	require.NoError(t, os.Chmod(d+"/a.rego", 0o640))
	out, _, err = run("fmt", d)
	require.NoError(t, err)
	require.Equal(t, d+"/a.rego\n", out)
	info, err := os.Stat(d + "/a.rego")
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o640), info.Mode().Perm())
	out, _, err = run("fmt", "--check", d)
	require.NoError(t, err)
	require.Empty(t, out)
	write(t, d, "c.rego", "package playbooks.c\naction contains {\n")
	_, errs, err := run("fmt", d)
	require.Error(t, err)
	require.Contains(t, errs, d+"/c.rego:")
	_, _, err = run("fmt", t.TempDir())
	require.ErrorContains(t, err, "no Rego file in ")
}

func TestPlaybooksTestForms(t *testing.T) {
	d := dir(t, "web.rego", goodPlaybook, "web_test.rego", goodTest+"\ntest_fails if {\n\tcount(web.action) == 7 with input as data.fixtures.shop\n}\n\ntest_breaks if to_number(\"x\") == 1\n",
		"shop.yaml", "binding: bound\npod: {namespace: shop, name: web-0, uid: 7d0c, node: n1}\nalert: {rule: Later}\n")
	out, _, err := run("test", d)
	require.EqualError(t, err, "2 tests of 3 failed")
	require.NotContains(t, out, "test_deletes_the_pod", "without -v only what fails is printed")
	require.Contains(t, out, "1 of 3 tests passed\n")

	out, _, err = run("test", "-v", "--run", "web_test.test_del", d)
	require.NoError(t, err)
	require.Contains(t, out, "PASS  playbooks.web_test.test_deletes_the_pod")
	require.Contains(t, out, "1 of 1 test passed\n")
	_, _, err = run("test", "--run", "nothing", d)
	require.EqualError(t, err, `--run: no test fits "nothing"`)

	out, _, err = run("test", "-o", "json", "--coverage", d)
	require.Error(t, err)
	var doc struct {
		Passed, Failed int
		Tests          []struct{ Name, Outcome, Message string }
		Coverage       []struct {
			Covered, Missed []int
		}
	}
	require.NoError(t, json.Unmarshal([]byte(out), &doc))
	require.Equal(t, 1, doc.Passed)
	require.Equal(t, 2, doc.Failed)
	require.Len(t, doc.Tests, 3)
	require.Len(t, doc.Coverage, 1)

	out, _, err = run("test", "-o", "junit", d)
	require.Error(t, err)
	var suites struct {
		Suites []struct {
			Tests    int `xml:"tests,attr"`
			Failures int `xml:"failures,attr"`
			Errors   int `xml:"errors,attr"`
		} `xml:"testsuite"`
	}
	require.NoError(t, xml.Unmarshal([]byte(out), &suites))
	require.Len(t, suites.Suites, 1)
	require.Equal(t, 3, suites.Suites[0].Tests)
	require.Equal(t, 1, suites.Suites[0].Failures)
	require.Equal(t, 1, suites.Suites[0].Errors)

	write(t, d, "web_test.rego", strings.Replace(goodTest, "input as {", "input as data.fixtures.chop with data.x as {", 1))
	_, errs, err := run("test", d)
	require.Error(t, err)
	require.Contains(t, errs, `there is no fixture "chop", a file chop.json or .yaml beside the tests. did you mean "shop"?`)
	write(t, d, "shop.json", "{}")
	_, errs, err = run("test", d)
	require.Error(t, err)
	require.Contains(t, errs, `there is a fixture "shop" already`)
}

// A changed file runs the tests again.
func TestPlaybooksTestWatch(t *testing.T) {
	d := dir(t, "web.rego", goodPlaybook, "web_test.rego", goodTest)
	var out logtest.Log
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c := command.NewPlaybooks()
	c.SilenceErrors, c.SilenceUsage = true, true
	c.SetOut(&out)
	c.SetErr(&out)
	c.SetArgs([]string{"test", "--watch", d})
	done := make(chan error, 1)
	go func() { done <- c.ExecuteContext(ctx) }()
	out.Await(t, "1 of 1 test passed")
	write(t, d, "web_test.rego", strings.Replace(goodTest, "== 1", "== 2", 1))
	out.Await(t, "1 test of 1 failed")
	cancel()
	require.NoError(t, <-done)
}

func TestPlaybooksCoverage(t *testing.T) {
	d := dir(t, "web.rego", goodPlaybook, "web_test.rego", goodTest)
	out, _, err := run("coverage", d)
	require.NoError(t, err)
	require.Contains(t, out, "+   14  action contains {\"type\": \"delete_pod\", \"target\": target.pod, \"reason\": \"shell\"}\n")
	require.Contains(t, out, "-   17  \tinput.alert.rule == \"Later\"\n")
	require.Contains(t, out, "    12  import data.riposte.lib.target\n")
	out, _, err = run("coverage", "-o", "json", d)
	require.NoError(t, err)
	var files []struct{ Covered, Missed []int }
	require.NoError(t, json.Unmarshal([]byte(out), &files))
	require.Equal(t, []int{16, 17}, files[0].Missed)
	_, _, err = run("coverage")
	require.NoError(t, err, "of those that come with Riposte")
}

func TestPlaybooksEval(t *testing.T) {
	d := dir(t, "web.rego", goodPlaybook)
	for name, text := range map[string]string{"agent": shell, "falco": falco} {
		t.Run(name, func(t *testing.T) {
			out, _, err := run("eval", "-f", write(t, t.TempDir(), "a.json", text), d)
			require.NoError(t, err)
			require.Regexp(t, `(?m)^web +approve +delete_pod +pod shop web-0 7d0c +approve by mode-approve +shell$`, out)
		})
	}
	protected := strings.ReplaceAll(shell, `"namespace":"shop"`, `"namespace":"kube-system"`)
	out, _, err := run("eval", "-o", "json", "-f", write(t, t.TempDir(), "a.json", protected), d)
	require.NoError(t, err)
	require.Contains(t, out, `"rule": "protected-namespace"`)
	out, _, err = run("eval", "-f", write(t, t.TempDir(), "a.json", strings.Replace(shell, "Shell", "Other", 1)), d)
	require.NoError(t, err)
	require.Contains(t, out, "No playbook's trigger fits this alert")
	for bad, want := range map[string]string{"{}": "neither an alert", "[1]": "no JSON object", `{"rule":7}`: "rule"} {
		_, _, err = run("eval", "-f", write(t, t.TempDir(), "a.json", bad), d)
		require.ErrorContains(t, err, want)
	}
}

func TestPlaybooksExplain(t *testing.T) {
	d := dir(t, "web.rego", goodPlaybook)
	out, _, err := run("explain", "-f", write(t, t.TempDir(), "a.json", shell), d)
	require.NoError(t, err)
	require.Contains(t, out, "web: proposes 1 action in mode approve\n  delete_pod of pod shop web-0 7d0c: shell\n  true   "+d+"/web.rego:14 action\n"+
		"  false  "+d+"/web.rego:16 action\n    "+d+"/web.rego:17:2 does not hold: input.alert.rule == \"Later\"\n      input.alert.rule is \"Shell\"\n")
	require.Contains(t, out, "delete_pod_on_critical: not asked, its trigger does not fit\n  priority: warning is less severe than critical\n")
	require.NotContains(t, out, "\x1b")
}

func TestPlaybooksReplayFile(t *testing.T) {
	old, changed := dir(t, "web.rego", goodPlaybook), dir(t, "web.rego", strings.Replace(goodPlaybook, "input.alert.rule == \"Later\"", "input.alert.rule != \"Later\"", 1))
	file := write(t, t.TempDir(), "alerts.jsonl", shell+"\n\n"+falco+"\n")
	out, _, err := run("replay", "--file", file, "--base", old, "--max-added", "0", old)
	require.NoError(t, err)
	require.Contains(t, out, "2 decisions about 2 alerts (2 with equal ones), 2026-01-02 03:04:05Z to 2026-01-02 03:04:06Z: no difference.")

	md := filepath.Join(t.TempDir(), "report.md")
	out, _, err = run("replay", "--file", file, "--base", old, "--max-added", "1", "--markdown", md, changed)
	var coded interface{ ExitStatus() int }
	require.ErrorAs(t, err, &coded)
	require.Equal(t, 2, coded.ExitStatus())
	require.EqualError(t, err, "the replay is beyond its bounds: 2 added, 1 allowed")
	require.Contains(t, out, "2 added, 0 removed, 0 changed")
	report, err := os.ReadFile(md)
	require.NoError(t, err)
	require.Contains(t, string(report), "**beyond its bounds** (2 added, 1 allowed)")

	out, _, err = run("replay", "--file", file, "-o", "json", "--max-deleted-pods", "2", "--as-mode", "enforce", old)
	require.NoError(t, err)
	var doc struct {
		Added int
		After struct {
			Allowed int `json:"allowed"`
			Pods    []struct{ Name string }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(out), &doc))
	require.Equal(t, 2, doc.Added, "nothing was recorded")
	require.Equal(t, 2, doc.After.Allowed)
	require.Len(t, doc.After.Pods, 2, "one in each cluster")

	_, _, err = run("replay", "--file", write(t, t.TempDir(), "empty.jsonl", "\n"), old)
	require.ErrorContains(t, err, "there is nothing to replay")
	require.NotErrorAs(t, err, &coded)
	_, _, err = run("replay", "--file", write(t, t.TempDir(), "bad.jsonl", "no\n"), old)
	require.ErrorContains(t, err, "no line could be read: no JSON object")
	_, _, err = run("replay", "--file", file, "--playbook", "other", old)
	require.EqualError(t, err, `--playbook: there is no "other": there are web`)
}
