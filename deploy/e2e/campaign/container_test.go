package campaign

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/agent/enrich"
	"riposte/deploy/standalone/child"
)

// container is a cgroup with one process, to be killed by an order.
type container struct {
	containerTarget
	process *child.Process
}

func startContainer(t *testing.T) *container {
	t.Helper()
	root, err := enrich.CgroupRoot()
	require.NoError(t, err)
	id := make([]byte, 32)
	_, err = rand.Read(id)
	require.NoError(t, err)
	c := &container{}
	c.ID = hex.EncodeToString(id)
	c.Cgroup = "/riposte-campaign-" + c.ID[:16]
	dir := filepath.Join(root, c.Cgroup)
	require.NoError(t, os.Mkdir(dir, 0o755))
	info, err := os.Stat(dir)
	require.NoError(t, err)
	c.CgroupID = info.Sys().(*syscall.Stat_t).Ino
	c.process, err = child.Start(exec.Command("sleep", "100000"), syscall.SIGKILL)
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = c.process.Kill()
		<-c.process.Exited()
		require.Eventually(t, func() bool { return os.Remove(dir) == nil }, 10*time.Second, 5*time.Millisecond)
	})
	require.NoError(t, os.WriteFile(filepath.Join(dir, "cgroup.procs"), fmt.Appendf(nil, "%d", c.process.Pid), 0))
	return c
}

func (c *container) alive() bool {
	select {
	case <-c.process.Exited():
		return false
	default:
		return true
	}
}

func targets(all []*container) (of []containerTarget) {
	for _, c := range all {
		of = append(of, c.containerTarget)
	}
	return of
}
