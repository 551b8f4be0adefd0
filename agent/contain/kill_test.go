package contain

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/agent/cgroupns/cgroupnstest"
)

// TestKillEach takes the way of kernels without cgroup.kill, on a cgroup whose
// processes fork all the time.
func TestKillEach(t *testing.T) {
	root := cgroupnstest.Root(t)
	name := fmt.Sprintf("riposte-kill-test-%d", os.Getpid())
	dir := filepath.Join(root, name)
	nested := filepath.Join(dir, "nested")
	require.NoError(t, os.MkdirAll(nested, 0o755))
	defer func() {
		require.Eventually(t, func() bool { os.Remove(nested); return os.Remove(dir) == nil }, 10*time.Second, 5*time.Millisecond)
	}()
	for _, d := range []string{dir, nested} {
		c := exec.Command("sh", "-c", "read go; while :; do (sleep 0.01 & ); done")
		in, err := c.StdinPipe()
		require.NoError(t, err)
		require.NoError(t, c.Start())
		reaped := make(chan struct{})
		go func() { c.Wait(); close(reaped) }()
		defer func() { c.Process.Kill(); <-reaped }()
		require.NoError(t, os.WriteFile(filepath.Join(d, "cgroup.procs"), fmt.Appendf(nil, "%d", c.Process.Pid), 0))
		_, err = in.Write([]byte("go\n"))
		require.NoError(t, err)
	}
	c, err := openCgroup(root, "/"+name)
	require.NoError(t, err)
	defer c.close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	require.Eventually(t, func() bool { all, err := c.processes(); return err == nil && len(all) > 4 }, 10*time.Second, time.Millisecond)
	require.NoError(t, c.killEach(ctx))
	require.NoError(t, c.waitEmpty(ctx))
	all, err := c.processes()
	require.NoError(t, err)
	require.Empty(t, all)
}

func TestOpenCgroupStaysBelowItsRoot(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Symlink("/", filepath.Join(dir, "out")))
	for _, below := range []string{"/out", "/out/etc", "/missing", "/"} {
		_, err := openCgroup(dir, below)
		require.Error(t, err, "%s: nothing here is a cgroup below the root", below)
	}
}
