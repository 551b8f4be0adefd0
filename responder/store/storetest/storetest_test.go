package storetest

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { os.Exit(Run(m)) }

func TestEachTestHasItsOwnDatabase(t *testing.T) {
	a, b := New(t), New(t)
	_, err := a.Pool().Exec(t.Context(), `INSERT INTO agents VALUES ('c', 'n', gen_random_uuid(), '{}', now())`)
	require.NoError(t, err)
	var n int
	require.NoError(t, b.Pool().QueryRow(t.Context(), "SELECT count(*) FROM agents").Scan(&n))
	require.Zero(t, n)
}

// TestStandAndBeKilled is not a test by itself: it is what TestKilled runs.
func TestStandAndBeKilled(t *testing.T) {
	if os.Getenv("STORETEST_KILLED") == "" {
		t.Skip("runs as the child process of TestKilled")
	}
	New(t)
	fmt.Println("server", server.pg.PID(), server.dir.path)
	select {}
}

// A test binary that is killed takes its server along, and the next one clears its folder.
func TestKilled(t *testing.T) {
	New(t) // skips where PostgreSQL is missing
	child := exec.Command(os.Args[0], "-test.run=^TestStandAndBeKilled$", "-test.v")
	child.Env = append(os.Environ(), "STORETEST_KILLED=1")
	out, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	t.Cleanup(func() { _ = child.Process.Kill(); _ = child.Wait() })
	var pid int
	var dir string
	for lines := bufio.NewScanner(out); dir == "" && lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "server ") {
			_, err := fmt.Sscanf(lines.Text(), "server %d %s", &pid, &dir)
			require.NoError(t, err)
		}
	}
	require.NotZero(t, pid, "the child started no server")
	require.NoError(t, syscall.Kill(pid, 0))
	require.NoError(t, child.Process.Kill())
	require.Eventually(t, func() bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) || zombie(pid) }, 20*time.Second, 20*time.Millisecond)
	require.DirExists(t, dir)
	sweep()
	require.NoDirExists(t, dir)
	require.DirExists(t, server.dir.path, "a living process's folder stays")
}

// zombie says that a process has ended and only waits to be counted by its parent.
func zombie(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.Contains(string(text), ") Z ")
}
