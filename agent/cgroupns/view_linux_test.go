package cgroupns_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/agent/cgroupns"
	"riposte/agent/cgroupns/cgroupnstest"
)

// shown is what /proc says of a process.
func shown(t *testing.T, pid any) string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%v/cgroup", pid))
	require.NoError(t, err)
	path, ok := cgroupns.Shown(string(b))
	require.True(t, ok)
	return path
}

// start puts a process into a new cgroup.
func start(t *testing.T, dir string) int {
	t.Helper()
	require.NoError(t, os.MkdirAll(dir, 0o755))
	c := exec.Command("sleep", "1000")
	require.NoError(t, c.Start())
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
		require.Eventually(t, func() bool { return os.Remove(dir) == nil }, 10*time.Second, 5*time.Millisecond)
	})
	require.NoError(t, os.WriteFile(filepath.Join(dir, "cgroup.procs"), fmt.Append(nil, c.Process.Pid), 0))
	return c.Process.Pid
}

// Wherever a process is, its path is the one below the mounted root, as somebody else
// would find it.
func TestView(t *testing.T) {
	root := cgroupnstest.Root(t)
	v, err := cgroupns.Look(root)
	require.NoError(t, err)
	own := v.Path(shown(t, "self"))
	procs, err := os.ReadFile(filepath.Join(root, own, "cgroup.procs"))
	require.NoError(t, err)
	require.Regexp(t, fmt.Sprintf(`(?m)^%d$`, os.Getpid()), string(procs))

	name := fmt.Sprintf("riposte-view-test-%d", os.Getpid())
	pids := map[string]int{}
	for _, above := range []string{"/", strings.TrimPrefix(cgroupnstest.Top(root), root) + "/beside ", own + "/below-"} {
		dir := filepath.Clean(above + name)
		pids[dir] = start(t, filepath.Join(root, dir))
		require.Equal(t, dir, v.Path(shown(t, pids[dir])))
	}
	require.Len(t, pids, 3)
	if cgroupnstest.Nested() {
		require.NotEqual(t, "/", own)
		require.Equal(t, "/", shown(t, "self"))
		require.Equal(t, "/../../"+name, shown(t, pids["/"+name]), "it looks otherwise from here")
	}
}

func TestViewFromANamespace(t *testing.T) {
	cgroupnstest.Again(t, cgroupnstest.Root(t), "^(TestView|TestMovedOut)$")
}

// An agent that somebody has moved cannot know any more from where it looks.
func TestMovedOut(t *testing.T) {
	root := cgroupnstest.Root(t)
	if !cgroupnstest.Nested() {
		return // TestViewFromANamespace runs it
	}
	v, err := cgroupns.Look(root)
	require.NoError(t, err)
	own := v.Path("/")
	away := filepath.Join(root, filepath.Dir(own))
	require.NoError(t, os.WriteFile(filepath.Join(away, "cgroup.procs"), fmt.Append(nil, os.Getpid()), 0))
	_, err = cgroupns.Look(root)
	require.ErrorContains(t, err, "moved out of its cgroup namespace")
	require.NoError(t, os.WriteFile(filepath.Join(root, own, "cgroup.procs"), fmt.Append(nil, os.Getpid()), 0))
}

func TestNoTree(t *testing.T) {
	_, err := cgroupns.Look(t.TempDir())
	require.ErrorContains(t, err, "whole cgroup v2 tree")
}

func TestShown(t *testing.T) {
	for text, want := range map[string]string{
		"12:pids:/x\n0::/a b\n": "/a b",
		"0::/a (deleted)\n":     "/a",
		"0::/":                  "/",
	} {
		got, ok := cgroupns.Shown(text)
		require.True(t, ok)
		require.Equal(t, want, got)
	}
	_, ok := cgroupns.Shown("12:pids:/x\n")
	require.False(t, ok)
}
