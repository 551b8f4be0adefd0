package postgres_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"riposte/deploy/standalone/postgres"
)

// dir is a folder that another user can reach, unlike t.TempDir's.
func dir(t *testing.T) string {
	t.Helper()
	d, err := os.MkdirTemp("", "riposte-postgres-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(d, 0o755))
	t.Cleanup(func() { _ = os.RemoveAll(d) })
	return filepath.Join(d, "postgres")
}

func query(t *testing.T, s *postgres.Server, sql string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := pgx.Connect(ctx, s.URL())
	require.NoError(t, err)
	defer c.Close(ctx)
	var got string
	require.NoError(t, c.QueryRow(ctx, sql).Scan(&got))
	return got
}

func TestDataOutlivesTheServer(t *testing.T) {
	d := dir(t)
	s, err := postgres.Start(t.Context(), postgres.Options{Dir: d, Throwaway: true})
	require.NoError(t, err)
	require.Equal(t, "riposte", query(t, s, "SELECT current_database()"))
	require.Empty(t, query(t, s, "SHOW listen_addresses"), "no network")
	ctx := t.Context()
	c, err := pgx.Connect(ctx, s.URL())
	require.NoError(t, err)
	_, err = c.Exec(ctx, "CREATE TABLE kept AS SELECT 'yes' AS v")
	require.NoError(t, err)
	require.NoError(t, c.Close(ctx))
	require.NoError(t, s.Stop())
	require.NoError(t, s.Stop(), "stopping twice is harmless")
	require.ErrorIs(t, syscall.Kill(s.PID(), 0), syscall.ESRCH)

	s, err = postgres.Start(ctx, postgres.Options{Dir: d, Throwaway: true})
	require.NoError(t, err)
	require.Equal(t, "yes", query(t, s, "SELECT v FROM kept"))
	require.NoError(t, s.Stop())
}

func TestTheServerRunsUnprivileged(t *testing.T) {
	s, err := postgres.Start(t.Context(), postgres.Options{Dir: dir(t), Throwaway: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Stop()) }()
	info, err := os.Stat(filepath.Join("/proc", strconv.Itoa(s.PID())))
	require.NoError(t, err)
	require.NotZero(t, info.Sys().(*syscall.Stat_t).Uid)
}

// TestTheServerEndsWithItsOwner kills the process that started a server.
func TestTheServerEndsWithItsOwner(t *testing.T) {
	if d := os.Getenv("RIPOSTE_TEST_OWNER"); d != "" {
		s, err := postgres.Start(context.Background(), postgres.Options{Dir: d, Throwaway: true})
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(d), "pid"), []byte(strconv.Itoa(s.PID())), 0o600))
		select {}
	}
	d := dir(t)
	owner := exec.Command(os.Args[0], "-test.run=^TestTheServerEndsWithItsOwner$")
	owner.Env = append(os.Environ(), "RIPOSTE_TEST_OWNER="+d)
	require.NoError(t, owner.Start())
	var pid int
	require.Eventually(t, func() bool {
		text, _ := os.ReadFile(filepath.Join(filepath.Dir(d), "pid"))
		pid, _ = strconv.Atoi(string(text))
		return pid > 0
	}, 30*time.Second, 20*time.Millisecond)
	require.NoError(t, owner.Process.Kill())
	_ = owner.Wait()
	// A successor at once waits for the predecessor's orderly end.
	s, err := postgres.Start(t.Context(), postgres.Options{Dir: d, Throwaway: true})
	require.NoError(t, err)
	require.NotEqual(t, pid, s.PID())
	require.Eventually(t, func() bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }, 10*time.Second, 20*time.Millisecond)
	require.NoError(t, s.Stop())
}

func TestErrorsSayWhatToDo(t *testing.T) {
	t.Run("no programs", func(t *testing.T) {
		t.Setenv(postgres.BinEnv, t.TempDir())
		_, err := postgres.Start(t.Context(), postgres.Options{Dir: dir(t)})
		require.ErrorContains(t, err, "holds no initdb")
	})
	t.Run("a folder that the server's user cannot enter", func(t *testing.T) {
		if os.Geteuid() != 0 {
			t.Skip("only root runs the server as somebody else")
		}
		d := dir(t)
		require.NoError(t, os.Chmod(filepath.Dir(d), 0o700))
		_, err := postgres.Start(t.Context(), postgres.Options{Dir: d})
		require.ErrorContains(t, err, "cannot enter "+filepath.Dir(d))
	})
	t.Run("a server that cannot start says why", func(t *testing.T) {
		d := dir(t)
		s, err := postgres.Start(t.Context(), postgres.Options{Dir: d, Throwaway: true})
		require.NoError(t, err)
		require.NoError(t, s.Stop())
		require.NoError(t, os.WriteFile(filepath.Join(d, "data", "postgresql.conf"), []byte("no_such_setting = 1\n"), 0o600))
		_, err = postgres.Start(t.Context(), postgres.Options{Dir: d, Throwaway: true})
		require.ErrorContains(t, err, "PostgreSQL ended at its start")
		require.ErrorContains(t, err, "postgres.log")
	})
}
