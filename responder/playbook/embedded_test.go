package playbook_test

import (
	"context"
	"io/fs"
	"path"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/format"
	"github.com/stretchr/testify/require"

	"riposte/playbooks"
	"riposte/responder/playbook"
	"riposte/responder/playbook/sandbox"
)

// The playbooks that come with Riposte pass their own tests and leave no line untested.
func TestEmbedded(t *testing.T) {
	report, err := playbook.Test(context.Background(), playbook.Embedded())
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(report.Tests), 14)
	for _, r := range report.Tests {
		require.Equal(t, sandbox.Pass, r.Outcome, "%s:%d %s: %s %s", r.File, r.Line, r.Name, r.Message, r.Output)
	}
	require.Len(t, report.Coverage, 5)
	for _, c := range report.Coverage {
		require.Empty(t, c.MissedAt, c.File)
	}
}

// Our Rego is formatted as OPA formats it, and each rule file has its tests beside it.
func TestRegoIsFormattedAndTested(t *testing.T) {
	seen := 0
	err := fs.WalkDir(playbooks.FS, ".", func(name string, _ fs.DirEntry, err error) error {
		require.NoError(t, err)
		if path.Ext(name) != ".rego" {
			return nil
		}
		seen++
		text, err := playbooks.FS.ReadFile(name)
		require.NoError(t, err)
		want, err := format.Source(name, text)
		require.NoError(t, err)
		require.Equal(t, string(want), string(text), name)
		tests, err := fs.Glob(playbooks.FS, path.Dir(name)+"/*_test.rego")
		require.NoError(t, err)
		require.NotEmpty(t, tests, "%s: no tests beside it", name)
		if dir := path.Dir(name); dir != "lib" && !strings.HasSuffix(name, "_test.rego") {
			require.Contains(t, tests, strings.TrimSuffix(name, ".rego")+"_test.rego")
		}
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, 9, seen)
}
