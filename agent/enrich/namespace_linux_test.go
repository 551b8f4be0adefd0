package enrich

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"riposte/agent/cgroupns/cgroupnstest"
)

func cgroup2(t *testing.T) string {
	t.Helper()
	root, err := CgroupRoot()
	if err == nil && os.Getuid() == 0 {
		return root
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("needs root and a cgroup v2 tree")
	}
	t.Skip("needs root and a cgroup v2 tree")
	return ""
}

// TestContainersOfProcessesThatRun finds the containers of processes that ran before the
// agent: of the agent's own neighbour, of one elsewhere, and of none.
func TestContainersOfProcessesThatRun(t *testing.T) {
	root := cgroup2(t)
	top := filepath.Join(cgroupnstest.Top(root), fmt.Sprintf("riposte-enrich-test-%d", os.Getpid()))
	t.Cleanup(func() { require.NoError(t, os.Remove(top)) })
	start := func(dir string) int32 {
		require.NoError(t, os.MkdirAll(dir, 0o755))
		c := exec.Command("sleep", "1000")
		require.NoError(t, c.Start())
		t.Cleanup(func() {
			_ = c.Process.Kill()
			_ = c.Wait()
			require.Eventually(t, func() bool { return unix.Rmdir(dir) == nil }, 10*time.Second, 5*time.Millisecond)
		})
		require.NoError(t, os.WriteFile(filepath.Join(dir, "cgroup.procs"), fmt.Append(nil, c.Process.Pid), 0))
		return int32(c.Process.Pid)
	}
	inside, free := start(filepath.Join(top, hex64)), start(filepath.Join(top, "no container"))
	table, err := New(Options{CgroupRoot: root})
	require.NoError(t, err)
	require.NoError(t, table.Snapshot())
	require.Empty(t, table.byPID[free].Container.ID)
	found := table.byPID[inside].Container
	require.NotNil(t, found)
	require.Equal(t, hex64, found.ID)
	var st unix.Stat_t
	require.NoError(t, unix.Stat(filepath.Join(top, hex64), &st))
	require.Equal(t, st.Ino, found.CgroupID)
	require.Equal(t, strings.TrimPrefix(top, root)+"/"+hex64, found.Cgroup)
	known, ok := table.ContainerAt(found.Cgroup)
	require.True(t, ok, "by which kill_process finds it")
	require.Equal(t, hex64, known.ID)
	// One whose cgroup's directory cannot be opened by its number is asked for its path.
	path, ok := table.files.cgroup(inside)
	require.True(t, ok)
	require.Equal(t, found.Cgroup, path)
}

func TestContainersFromACgroupNamespace(t *testing.T) {
	cgroupnstest.Again(t, cgroup2(t), "^TestContainersOfProcessesThatRun$")
}
