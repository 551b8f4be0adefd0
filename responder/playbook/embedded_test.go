package playbook_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

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
