package scaffold_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"riposte/responder"
	"riposte/responder/action"
	"riposte/responder/playbook"
	"riposte/responder/playbook/sandbox"
	"riposte/responder/playbook/scaffold"
)

var registry = action.NewRegistry(responder.Actions()...)

// passes has the files go through all that the command line would say to them.
func passes(t *testing.T, name string, f scaffold.Files) {
	t.Helper()
	fs := fstest.MapFS{name + ".rego": {Data: f.Playbook}, name + "_test.rego": {Data: f.Test}}
	if f.Fixture != nil {
		fs[name+".json"] = &fstest.MapFile{Data: f.Fixture}
	}
	src := sandbox.Source{Name: "new", FS: fs}
	good, err := playbook.Check(src)
	require.NoError(t, err, "%s\n%s", f.Playbook, f.Test)
	require.Len(t, good, 1)
	require.NoError(t, playbook.CheckActions(registry, src), "%s", f.Playbook)
	for _, text := range [][]byte{f.Playbook, f.Test} {
		formatted, err := sandbox.Format("x", text)
		require.NoError(t, err)
		require.Equal(t, string(formatted), string(text))
	}
	report, err := playbook.Test(t.Context(), src)
	require.NoError(t, err, "%s", f.Test)
	require.Len(t, report.Tests, 2)
	require.Zero(t, report.Failed(), "%v\n%s\n%s", report.Tests, f.Playbook, f.Test)
	require.InDelta(t, 100, report.Coverage[0].Percent(), 0)
}

// Whatever action a playbook begins with, what is written is right at once.
func TestEveryAction(t *testing.T) {
	made := 0
	for _, kind := range slices.Sorted(maps.Keys(registry)) {
		f, err := scaffold.New(scaffold.Options{Name: "web_1", Action: kind}, registry)
		if err != nil {
			require.ErrorContains(t, err, "acts on a object, of which there is none here")
			continue
		}
		made++
		t.Run(kind, func(t *testing.T) {
			require.Equal(t, kind, f.Action)
			passes(t, "web_1", f)
		})
	}
	require.Greater(t, made, 15)
}

func TestFromAnAlert(t *testing.T) {
	const head = `"uuid":"01950000-0000-7000-8000-a00000000001","time":"2026-01-02T03:04:05Z","priority":"Critical","source":"syscall","hostname":"n1","output":"o","tags":[],"output_fields":{}`
	for name, c := range map[string]struct{ rule, part, rest, action string }{
		"pod":       {"Shell", `"container":{"id":"abc","cgroup_id":4,"start_ns":7}`, `"binding":"bound","pod":{"namespace":"a","name":"b","uid":"c","node":"n1"}`, "delete_pod"},
		"container": {"Shell", `"container":{"id":"abc","cgroup_id":4,"start_ns":7}`, `"binding":"none"`, "kill_container"},
		"host":      {"Shell", `"process":{"pid":4,"start_ns":7}`, `"binding":"none"`, "kill_process"},
		"hostile":   {"a\"]}\\n# METADATA\\u2028\\u0000<b>: {x", `"process":{"pid":4,"start_ns":7}`, `"binding":"none"`, "kill_process"},
	} {
		t.Run(name, func(t *testing.T) {
			input := fmt.Sprintf(`{"schema":1,"alert":{"rule":"%s",%s,"riposte":{"schema":1,"cluster":"c","node":"n1","boot_id":"b","seq":1,%s}},%s,
				"node":{"name":"n1"},"cluster":{"name":"c"},"history":[],"now":"2026-01-02T03:04:05Z"}`, escaped(c.rule), head, c.part, c.rest)
			f, err := scaffold.New(scaffold.Options{Name: "a", Owner: `me: "x"`, Input: []byte(input)}, registry)
			require.NoError(t, err)
			require.Equal(t, c.action, f.Action)
			passes(t, "a", f)
			set, err := playbook.Load(playbook.Options{}, playbook.Embedded(), sandbox.Source{Name: "new", FS: fstest.MapFS{"a.rego": {Data: f.Playbook}}})
			require.NoError(t, err)
			in, err := playbook.ReadRecorded([]byte(input))
			require.NoError(t, err)
			var asked []string
			for _, p := range set.Triggered(in.Input.Alert) {
				asked = append(asked, p.Name)
			}
			require.Contains(t, asked, "a", "its trigger fits the alert")
		})
	}
}

func escaped(rule string) string {
	return strings.ReplaceAll(rule, `"`, `\"`)
}

func TestErrors(t *testing.T) {
	_, err := scaffold.New(scaffold.Options{Name: "Not-a-name"}, registry)
	require.ErrorContains(t, err, `"Not-a-name" cannot be a playbook's name`)
	_, err = scaffold.New(scaffold.Options{Name: "a", Action: "delete_pot"}, registry)
	require.ErrorContains(t, err, `did you mean "delete_pod"?`)
	_, err = scaffold.New(scaffold.Options{Name: "a", Input: []byte(`{"alert":{"rule":"x","priority":"Critical","time":"2026-01-02T03:04:05Z"},"binding":"none","now":"2026-01-02T03:04:05Z"}`)}, registry)
	require.ErrorContains(t, err, "there is nothing to act on")
}
