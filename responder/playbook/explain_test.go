package playbook_test

import (
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"riposte/responder/playbook"
	"riposte/responder/playbook/sandbox"
)

const explained = `# METADATA
# scope: package
# title: a
# description: b
# custom: {owner: a, trigger: {priority: critical}, mode: observe, severity: low}
package playbooks.a

import data.riposte.lib.target

action contains {"type": "delete_pod", "target": target.pod, "reason": "x"} if {
	input.alert.source == "syscall"
	some tag in input.alert.tags
	startswith(tag, "mitre_")
	not _known(input.alert.rule)
}

action contains {"type": "delete_pod", "target": target.pod, "reason": "y"}

action contains {"type": "kill_container", "target": target.container, "reason": "z"}

_known(rule) if rule == "Shell"
`

func TestExplain(t *testing.T) {
	other := sandbox.Source{Name: "dir", FS: fstest.MapFS{
		"a.rego": {Data: []byte(explained)},
		"b.rego": {Data: []byte(`# METADATA
# scope: package
# title: a
# description: b
# custom: {owner: a, trigger: {rules: [Other], tags: [x], priority: emergency, sources: [k8s]}, mode: observe, severity: low}
package playbooks.b

import data.riposte.lib.target

action contains {"type": "delete_pod", "target": target.pod, "reason": "x"}
`)},
	}}
	set, err := playbook.Load(patient, sandbox.Source{Name: "embedded:", FS: fstest.MapFS{}}, other, libraries(t))
	require.NoError(t, err)
	r, err := playbook.ReadRecorded([]byte(`{"alert":{"uuid":"","time":"2026-01-02T03:04:05Z","rule":"Shell","priority":"Critical","source":"syscall","hostname":"n","output":"o",
		"tags":["x","mitre_execution"],"output_fields":{},"riposte":{"container":{"id":"abc","cgroup_id":4,"start_ns":7}}},"binding":"unbound","now":"2026-01-02T03:04:05Z"}`))
	require.NoError(t, err)
	all := set.Explain(t.Context(), r)
	require.Len(t, all, 2)

	a := all[0]
	require.Equal(t, "a", a.Playbook.Name)
	require.Len(t, a.Decision.Proposals, 1)
	require.Len(t, a.Actions, 3)
	nearest := a.Actions[0].Failed
	require.NotNil(t, nearest)
	require.Equal(t, 14, nearest.Line, "it went as far as its last line")
	require.Equal(t, "not _known(input.alert.rule)", nearest.Text)
	require.Equal(t, []sandbox.Named{{Name: "input.alert.rule", Value: `"Shell"`}}, nearest.Values)

	pod := a.Actions[1].Failed
	require.NotNil(t, pod)
	require.Equal(t, 17, pod.Line)
	require.NotNil(t, pod.Because, "the library's rule did not hold")
	require.Equal(t, "data.riposte.lib.target.pod", pod.Because.Rule)
	require.Equal(t, "input.binding == \"bound\"", pod.Because.Failed.Text)
	require.Equal(t, []sandbox.Named{{Name: "input.binding", Value: `"unbound"`}}, pod.Because.Failed.Values)

	require.Equal(t, 1, a.Actions[2].True)
	require.Nil(t, a.Actions[2].Failed)

	require.Equal(t, []string{
		`rules: "Shell" is none of Other`, "priority: critical is less severe than emergency", `sources: "syscall" is none of k8s`,
	}, all[1].Misses)
}

// libraries is our own source without the playbooks.
func libraries(t *testing.T) sandbox.Source {
	t.Helper()
	fs := fstest.MapFS{}
	files, err := sandbox.Read(playbook.Embedded())
	require.NoError(t, err)
	for _, f := range files {
		if len(f.Package) > 12 && f.Package[:12] == "riposte.lib." && !f.Test {
			fs[f.Package+".rego"] = &fstest.MapFile{Data: f.Text}
		}
	}
	return sandbox.Source{Name: "lib", FS: fs}
}
