package playbook

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/stretchr/testify/require"
)

// FuzzMetadata: whatever stands in a METADATA block, it is read or refused with
// places inside the file, and what is read keeps to its bounds.
func FuzzMetadata(f *testing.F) {
	for _, seed := range []string{
		"scope: package\ntitle: a\ndescription: b\ncustom:\n  owner: c\n  trigger: {rules: [x], tags: [y], priority: critical, sources: [syscall]}\n  mode: observe\n  severity: low\n  attack: [T1059]\n",
		"title: [\n", "- a\n- b\n", "a: &x [*x]\n", "custom: {trigger: {}}", "custom: {trigger: {priority: 7}}", "title: 7\ncustom:\n",
		"custom:\n  mode: ~\n  mode: a\n", "? {a: b}\n: c\n", "title: !!binary aGk=\n", "\t", "<<: {title: x}\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, block string) {
		text := "# METADATA\n# " + strings.ReplaceAll(block, "\n", "\n# ") + "\npackage playbooks.a\n"
		rows := strings.Count(text, "\n")
		m, errs := parseMetadata("a.rego", 1, text)
		for _, e := range errs {
			require.Equal(t, "a.rego", e.File)
			require.NotEmpty(t, e.Message)
			require.Positive(t, e.Line)
			require.LessOrEqual(t, e.Line, rows+1)
		}
		if len(errs) > 0 {
			return
		}
		require.NotEmpty(t, m.Title)
		require.LessOrEqual(t, len(m.Title), maxTitle)
		require.NotEmpty(t, m.Owner)
		require.Contains(t, modes, string(m.Mode))
		require.Contains(t, severities, m.Severity)
		require.NotEmpty(t, m.Trigger.String(), "a trigger says something")
	})
}

// FuzzResult: whatever a playbook returns, it becomes proposals that are whole or
// an error; what is accepted is written and read back as the same.
func FuzzResult(f *testing.F) {
	for _, seed := range []string{
		`{"type": "delete_pod", "target": {"kind": "pod", "namespace": "a", "name": "b", "uid": "u"}, "reason": "r"}`,
		`{"type": "kill_container", "target": {"kind": "container", "container_id": "c", "cgroup_id": 18446744073709551615, "start_ns": 1}, "reason": "r", "ttl": "1h"}`,
		`{"type": "x", "target": {"kind": "pod"}, "reason": "r", "params": {"a": [1, 1e400, null]}}`,
		`{"type": "x", "target": {"kind": 7}}`, `7`, `[]`, `{"reason": "\u0000"}`, `{"": ""}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, item []byte) {
		v, err := ast.ValueFromReader(bytes.NewReader(item))
		if err != nil {
			return
		}
		doc := ast.NewObject([2]*ast.Term{ast.StringTerm("action"), ast.SetTerm(ast.NewTerm(v))})
		raw, proposals, err := readResult(doc, 16)
		if err != nil {
			require.Empty(t, proposals)
			require.NotEmpty(t, err.Error())
			return
		}
		require.True(t, json.Valid(raw))
		require.Len(t, proposals, 1)
		p := proposals[0]
		require.Regexp(t, typeShape, p.Type)
		require.NotEmpty(t, p.Reason)
		require.NotContains(t, p.Reason, "\x00")
		require.True(t, utf8.ValidString(p.Reason))
		switch p.Target.Kind {
		case "pod":
			require.NotEmpty(t, p.Target.UID)
		case "container":
			require.NotEmpty(t, p.Target.ContainerID)
			require.NotZero(t, p.Target.CgroupID)
			require.NotZero(t, p.Target.StartNS)
		default:
			require.Fail(t, "kind "+p.Target.Kind)
		}
		again, err := ast.ValueFromReader(bytes.NewReader(raw))
		require.NoError(t, err)
		list := again.(ast.Object).Get(ast.StringTerm("action")).Value.(*ast.Array)
		back, err := readProposal(list.Elem(0).Value)
		require.NoError(t, err)
		require.Equal(t, p, back)
	})
}
