package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// postmaster reads the pid file: the first line is the process, the eighth its
// state (src/include/utils/pidfile.h in PostgreSQL's source).
func (c *cluster) postmaster() (pid int, status string) {
	text, err := os.ReadFile(filepath.Join(c.data, "postmaster.pid"))
	if err != nil {
		return 0, ""
	}
	line := strings.Split(string(text), "\n")
	pid, _ = strconv.Atoi(strings.TrimSpace(line[0]))
	if len(line) > 7 {
		status = strings.TrimSpace(line[7])
	}
	return pid, status
}

// awaitPredecessor waits for a server on the same data that is still ending,
// because whoever ran it was killed a moment ago.
func (c *cluster) awaitPredecessor(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		pid, _ := c.postmaster()
		if pid == 0 || !c.isOurs(pid) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("another PostgreSQL (pid %d) runs on %s: is Riposte already running?", pid, c.data)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// isOurs says whether pid is alive and works in the data folder: a pid file
// that survived a reboot may name anybody.
func (c *cluster) isOurs(pid int) bool {
	if err := syscall.Kill(pid, 0); errors.Is(err, syscall.ESRCH) {
		return false
	}
	cwd, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(pid), "cwd"))
	return err == nil && cwd == c.data
}
