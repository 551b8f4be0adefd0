package playbook_test

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"riposte/responder/playbook"
	"riposte/responder/playbook/sandbox"
)

// The manual's first playbook loads, and its tests pass and cover it.
func TestManual(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "playbooks.md"))
	require.NoError(t, err)
	fs := fstest.MapFS{}
	for _, block := range regexp.MustCompile("(?s)```rego\n(.*?)```").FindAllSubmatch(page, -1) {
		name := regexp.MustCompile(`(?m)^package playbooks\.(\w+)$`).FindSubmatch(block[1])
		require.NotNil(t, name, "a block without a package: %s", block[1])
		fs[string(name[1])+".rego"] = &fstest.MapFile{Data: block[1]}
	}
	require.Len(t, fs, 2)
	report, err := playbook.Test(context.Background(), sandbox.Source{Name: "manual", FS: fs})
	require.NoError(t, err)
	require.Len(t, report.Tests, 2)
	require.Zero(t, report.Failed(), "%v", report.Tests)
	require.Len(t, report.Coverage, 1)
	require.Empty(t, report.Coverage[0].MissedAt)
}
