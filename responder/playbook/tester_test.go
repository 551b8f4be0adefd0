package playbook_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/responder/playbook"
)

// tester is one that runs until the test ends.
func tester(t *testing.T, h *playbook.Holder) *playbook.Tester {
	t.Helper()
	tests := playbook.NewTester(h)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); tests.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return tests
}

const halfTested = `
action contains {"type": "x"} if _grave

action contains {"type": "y"} if input.alert.rule == "never"

_grave if input.alert.rule == "shell"
`

func TestCoverageOfWhatIsLoaded(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.rego", head("a")+halfTested)
	write(t, dir, "a_test.rego", "package playbooks.a_test\n\nimport data.playbooks.a\n\ntest_grave if a._grave with input as {\"alert\": {\"rule\": \"shell\"}}\n\n"+
		"test_wrong if a._grave with input as {\"alert\": {\"rule\": \"other\"}}\n\ntodo_test_later if false\n")
	h, err := playbook.NewHolder(playbook.Options{}, playbook.Embedded(), playbook.Dir(dir))
	require.NoError(t, err)
	tests := tester(t, h)
	c, err := tests.Coverage(t.Context(), "a")
	require.NoError(t, err)
	require.NoError(t, c.Err)
	require.Equal(t, []int{2, 1}, []int{c.Tests, c.Failed})
	require.Len(t, c.Files, 1)
	covered, missed := c.Files[0].Ordered()
	require.NotEmpty(t, covered)
	require.Len(t, missed, 2, "both actions: %v", c.Files[0].Lines)
	require.InDelta(t, 100*float64(len(covered))/float64(len(covered)+2), c.Percent(), 0.01)
	again, err := tests.Coverage(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, c.At, again.At, "they ran once")

	// Those that come with Riposte are tested whole.
	ours, err := tests.Coverage(t.Context(), "kill_container_on_critical")
	require.NoError(t, err)
	require.Positive(t, ours.Tests)
	require.Zero(t, ours.Failed)
	require.InDelta(t, 100, ours.Percent(), 0)
	_, err = tests.Coverage(t.Context(), "b")
	require.ErrorIs(t, err, playbook.ErrNotLoaded)

	// Another set is tested anew; one that replaces ours is not asked what ours is; and
	// tests that cannot run do not keep a playbook from being loaded.
	write(t, dir, "kill_container_on_critical.rego", head("kill_container_on_critical")+halfTested)
	require.NoError(t, h.Reload())
	c, err = tests.Coverage(t.Context(), "kill_container_on_critical")
	require.NoError(t, err)
	require.Zero(t, c.Tests)
	require.Zero(t, c.Percent())
	write(t, dir, "a_test.rego", "package playbooks.a_test\n\nimport data.playbooks.a\n\ntest_grave if a.nothing.of(the_kind)\n")
	require.NoError(t, h.Reload())
	c, err = tests.Coverage(t.Context(), "a")
	require.NoError(t, err)
	require.ErrorContains(t, c.Err, "a_test.rego:5")
}

// Who cannot wait is told so, and a set that nobody asks about any more is not tested.
func TestCoverageIsNotWaitedForForever(t *testing.T) {
	h, err := playbook.NewHolder(playbook.Options{}, playbook.Embedded())
	require.NoError(t, err)
	tests := playbook.NewTester(h)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for range 2 { // nobody runs them yet, of either set
		_, err = tests.Coverage(ended, "kill_container_on_critical")
		require.ErrorIs(t, err, playbook.ErrTesting)
		require.NoError(t, h.Reload())
	}
	running, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); tests.Run(running) }()
	c, err := tests.Coverage(t.Context(), "kill_container_on_critical")
	require.NoError(t, err)
	require.NoError(t, c.Err)
	stop()
	<-done
}
