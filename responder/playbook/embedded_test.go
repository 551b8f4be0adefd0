package playbook_test

import (
	"context"
	"io/fs"
	"path"
	"slices"
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
	require.GreaterOrEqual(t, len(report.Tests), 77)
	for _, r := range report.Tests {
		require.Equal(t, sandbox.Pass, r.Outcome, "%s:%d %s: %s %s", r.File, r.Line, r.Name, r.Message, r.Output)
	}
	rules, tests := regoFiles(t)
	require.NotEmpty(t, tests)
	require.Len(t, report.Coverage, len(rules))
	for _, c := range report.Coverage {
		require.Empty(t, c.MissedAt, c.File)
	}
}

// regoFiles are the names of our Rego files, those with rules and those with tests.
func regoFiles(t *testing.T) (rules, tests []string) {
	err := fs.WalkDir(playbooks.FS, ".", func(name string, _ fs.DirEntry, err error) error {
		switch {
		case strings.HasSuffix(name, "_test.rego"):
			tests = append(tests, name)
		case path.Ext(name) == ".rego":
			rules = append(rules, name)
		}
		return err
	})
	require.NoError(t, err)
	return rules, tests
}

// Our Rego is formatted as OPA formats it, and each rule file has its tests beside it.
func TestRegoIsFormattedAndTested(t *testing.T) {
	rules, tests := regoFiles(t)
	for _, name := range slices.Concat(rules, tests) {
		text, err := playbooks.FS.ReadFile(name)
		require.NoError(t, err)
		want, err := format.Source(name, text)
		require.NoError(t, err)
		require.Equal(t, string(want), string(text), name)
	}
	for _, name := range rules {
		own := strings.TrimSuffix(name, ".rego") + "_test.rego"
		if path.Dir(name) == "lib" {
			own = "lib/lib_test.rego"
		}
		require.Contains(t, tests, own)
	}
}
