package playbook_test

import (
	"context"
	"regexp"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"riposte/docs/doctest"
	"riposte/responder/playbook"
	"riposte/responder/playbook/sandbox"
)

// The manual's first playbook loads, and its tests pass and cover it.
func TestManual(t *testing.T) {
	page := doctest.Open(t, "docs/playbooks.md", "rego")
	fs := fstest.MapFS{}
	for _, block := range page.Take("rego") {
		name := regexp.MustCompile(`(?m)^package playbooks\.(\w+)$`).FindStringSubmatch(block.Text)
		require.NotNil(t, name, "a block without a package: %s", block.Name())
		fs[name[1]+".rego"] = &fstest.MapFile{Data: []byte(block.Text)}
	}
	require.Len(t, fs, 2)
	report, err := playbook.Test(context.Background(), sandbox.Source{Name: "manual", FS: fs})
	require.NoError(t, err)
	require.Len(t, report.Tests, 2)
	require.Zero(t, report.Failed(), "%v", report.Tests)
	require.Len(t, report.Coverage, 1)
	require.Empty(t, report.Coverage[0].MissedAt)
}
