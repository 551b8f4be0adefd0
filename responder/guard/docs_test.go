package guard_test

import (
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/docs/doctest"
	"riposte/responder/guard"
)

func manual(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../../docs/guard.md")
	require.NoError(t, err)
	return string(b)
}

// Every rule that there is has its line in the manual.
func TestManualHasEveryRule(t *testing.T) {
	b, err := os.ReadFile("rule.go")
	require.NoError(t, err)
	rules := regexp.MustCompile(`(?m)^\tRule\w+ += "([a-z-]+)"$`).FindAllSubmatch(b, -1)
	require.Greater(t, len(rules), 30)
	for _, m := range rules {
		require.Contains(t, manual(t), "\n| `"+string(m[1])+"` | ")
	}
}

// The file in the manual is a good one, and its figures are the defaults.
func TestManualHasTheDefaults(t *testing.T) {
	page := doctest.Open(t, "docs/guard.md", "yaml")
	c, err := guard.ParseConfig([]byte(page.In(t, "The guard's file", "yaml").Text))
	require.NoError(t, err)
	require.NotEmpty(t, c.Limits.Playbooks)
	require.NotEmpty(t, c.Limits.MaxModes)
	c.Limits.Playbooks, c.Limits.MaxModes = nil, nil
	require.Equal(t, guard.DefaultLimits(), c.Limits)
}
