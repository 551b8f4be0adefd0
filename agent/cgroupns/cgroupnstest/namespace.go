// Package cgroupnstest runs tests as an agent in a container runs on a node with cgroup v2
// alone.
package cgroupnstest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// nested is set in the process that Again starts, to the cgroup above its own.
const nested = "RIPOSTE_TEST_CGROUP_NAMESPACE"

// Nested says that this process has a cgroup namespace of its own, by Again.
func Nested() bool { return os.Getenv(nested) != "" }

// Top is where a test makes its cgroups: in the tree's root or, if it is Nested, beside
// itself, as all pods of a node are below one cgroup.
func Top(root string) string {
	if dir := os.Getenv(nested); dir != "" {
		return dir
	}
	return root
}

// Again runs tests of this package, by a regular expression, in a process that is two
// levels below root, where the cgroup v2 tree is mounted, and has a cgroup namespace of
// its own. All of them must pass.
func Again(t *testing.T, root, tests string) {
	t.Helper()
	unshare, err := exec.LookPath("unshare")
	if err != nil || os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("needs root and unshare")
		}
		t.Skip("needs root and unshare")
	}
	top := filepath.Join(root, fmt.Sprintf("riposte-namespace-test-%d", os.Getpid()))
	dir := filepath.Join(top, "agent")
	require.NoError(t, os.MkdirAll(dir, 0o755))
	t.Cleanup(func() {
		for _, d := range []string{dir, top} { // a cgroup whose last process has just ended may take a moment
			require.Eventually(t, func() bool { err := os.Remove(d); return err == nil || errors.Is(err, os.ErrNotExist) }, 10*time.Second, 5*time.Millisecond)
		}
	})
	// The namespace's root is where its first process is when it makes it.
	c := exec.CommandContext(t.Context(), "/bin/sh", "-c", `echo $$ > "$0/cgroup.procs" && exec "$@"`, dir,
		unshare, "--cgroup", os.Args[0], "-test.v", "-test.timeout=2m", "-test.run="+tests)
	c.Env = append(os.Environ(), nested+"="+top, "CI=true")
	c.WaitDelay = 10 * time.Second // processes that a failed test left have its output open
	out, err := c.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "--- PASS")
	require.NotContains(t, string(out), "--- SKIP")
}
