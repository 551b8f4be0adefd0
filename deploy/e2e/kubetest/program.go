package kubetest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// buildTimeout is how long a test under CI=true waits for the program. A cold
// build takes about ten minutes on two cores.
const buildTimeout = 20 * time.Minute

// program finds a program of deploy/cluster, kube-cp for one. RIPOSTE_KUBE_CP (and so on)
// names another one than this repository's own.
func program(t testing.TB, name string) string {
	t.Helper()
	if path := os.Getenv("RIPOSTE_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))); path != "" {
		return path
	}
	script, err := buildScript()
	if err != nil {
		t.Fatal(err)
	}
	path, err := run(t.Context(), script, "--path", name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err == nil {
		return path
	}
	if os.Getenv("CI") != "true" {
		t.Skipf("needs %[1]s, which is not built: run `deploy/cluster/build.sh %[1]s` once (up to ten minutes)", name)
	}
	// The script waits for a build that is under way, and builds if there is none.
	ctx, cancel := context.WithTimeout(t.Context(), buildTimeout)
	defer cancel()
	if path, err = run(ctx, script, name); err != nil {
		t.Fatalf("%s could not be built: %v", name, err)
	}
	return path
}

// run calls the build script and returns the path that it prints.
func run(ctx context.Context, script string, args ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, script, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	// Its compilers are in the script's process group; they must not outlive a timeout.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", script, err, stderr.String())
	}
	return strings.TrimSpace(stdout.String()), nil
}

// buildScript finds deploy/cluster/build.sh of the repository that the test is
// run in: a test's working directory is its package's.
func buildScript() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for from := dir; ; {
		script := filepath.Join(dir, "deploy", "cluster", "build.sh")
		if _, err := os.Stat(script); err == nil {
			return script, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", fmt.Errorf("no deploy/cluster/build.sh in or above %s; set RIPOSTE_KUBE_CP and the like to programs", from)
		}
		dir = up
	}
}
