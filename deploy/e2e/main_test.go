package e2e_test

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/agent/enrich"
	"riposte/deploy/logtest"
	"riposte/deploy/standalone"
	"riposte/deploy/standalone/sandbox"
)

func TestMain(m *testing.M) {
	sandbox.Init()
	code := m.Run()
	if built != "" {
		_ = os.RemoveAll(filepath.Dir(built))
	}
	os.Exit(code)
}

// missing ends a test that lacks what CI must have.
func missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("CI must have %s", what)
	}
	t.Skipf("this test needs %s", what)
}

func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		missing(t, "root, to load eBPF programs and to make a container")
	}
}

// dataDir is a throw-away folder that PostgreSQL's user can reach.
func dataDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "riposte-e2e-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o711))
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// start runs everything on throw-away data until the test ends.
func start(t testing.TB, change func(*standalone.Options)) *standalone.Stack {
	t.Helper()
	needRoot(t)
	log := &logtest.Log{}
	o := standalone.Options{
		Data: dataDir(t), Throwaway: true, Listen: "127.0.0.1:0", Version: "e2e",
		Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(&o)
	}
	s, err := standalone.Start(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, s.Stop())
		if t.Failed() {
			t.Logf("the parts' log:\n%s", log)
		}
	})
	require.Nil(t, s.Unavailable, "eBPF must load here")
	return s
}

func cgroupRoot(t testing.TB) string {
	t.Helper()
	root, err := enrich.CgroupRoot()
	require.NoError(t, err)
	return root
}

var (
	build sync.Once
	built string
)

// binary is the program as a user has it, built once.
func binary(t *testing.T) string {
	t.Helper()
	build.Do(func() {
		dir, err := os.MkdirTemp("", "riposte-bin-")
		require.NoError(t, err)
		require.NoError(t, os.Chmod(dir, 0o755))
		file := filepath.Join(dir, "riposte")
		cmd := exec.Command("go", "build", "-trimpath", "-o", file, "riposte")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
		built = file
	})
	require.NotEmpty(t, built, "the program did not build")
	return built
}

// run runs the program to its end.
func run(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	program := binary(t) // to build it may take minutes
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	var out, diag strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &diag
	err = cmd.Run()
	return out.String(), diag.String(), err
}
