package playbook_test

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"riposte/responder/playbook"
	"riposte/responder/playbook/sandbox"
)

// TestRebuild: what is kept of a playbook makes the same revision again, with its
// libraries and its data, and answers as it did.
func TestRebuild(t *testing.T) {
	text := strings.Replace(explained, `input.alert.source == "syscall"`, `input.alert.source in data.seen.sources; data.seen.more > 1`, 1)
	set, err := playbook.Load(patient, playbook.Embedded(), sandbox.Source{Name: "dir", FS: fstest.MapFS{
		"a.rego":         {Data: []byte(text)},
		"seen/data.json": {Data: []byte(`{"sources": ["syscall"], "more": 1.50}`)},
		"data.json":      {Data: []byte(`{"unused": true}`)},
	}})
	require.NoError(t, err)
	input := json.RawMessage(`{"alert":{"uuid":"","time":"2026-01-02T03:04:05Z","rule":"Other","priority":"Critical","source":"syscall","hostname":"n","output":"o",
		"tags":["mitre_execution"],"output_fields":{},"riposte":{"container":{"id":"abc","cgroup_id":4,"start_ns":7}}},"binding":"unbound","now":"2026-01-02T03:04:05Z"}`)
	for _, p := range set.Playbooks() {
		kept, err := p.Keep()
		require.NoError(t, err)
		body, err := json.Marshal(kept)
		require.NoError(t, err)
		var k playbook.Kept
		require.NoError(t, json.Unmarshal(body, &k))
		again, err := playbook.Rebuild(patient, p.Name, k)
		require.NoError(t, err)
		require.Len(t, again.Playbooks(), 1)
		require.Equal(t, p.Revision, again.Playbooks()[0].Revision)
		require.NotContains(t, string(body), "unused")

		want, err := set.ExplainOne(t.Context(), p.Name, input)
		require.NoError(t, err)
		got, err := again.ExplainOne(t.Context(), p.Name, input)
		require.NoError(t, err)
		require.Equal(t, want.Misses, got.Misses)
		require.Equal(t, want.Actions, got.Actions)
		require.Equal(t, want.Decision.Proposals, got.Decision.Proposals)
	}
	a, err := set.ExplainOne(t.Context(), "a", input)
	require.NoError(t, err)
	require.NotEmpty(t, a.Decision.Proposals)

	kept, err := set.Playbooks()[0].Keep()
	require.NoError(t, err)
	_, err = playbook.Rebuild(patient, "other", kept)
	require.ErrorContains(t, err, "there is no file of playbook other")
	_, err = playbook.Rebuild(patient, "a", playbook.Kept{Files: []playbook.KeptFile{{Path: "x.rego", Text: "package"}}})
	require.ErrorContains(t, err, "x.rego")
}
