package kubetest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"riposte/deploy/standalone/child"
)

// Kwok has kwok play the kubelets of all nodes until t ends: nodes become ready, pods run,
// and those that are being deleted go. Skips and fails as [Start] does.
func (c *Cluster) Kwok(t testing.TB) *child.Process {
	t.Helper()
	dir := t.TempDir()
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(program(t, "kwok"), "-kubeconfig", c.Kubeconfig, "-dir", dir)
	cmd.Stdout, cmd.Stderr = log, log
	// Its end, should this process be killed, is the kernel's to see to.
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p, err := child.Start(cmd, syscall.SIGKILL)
	if err != nil {
		t.Fatal("start kwok:", err)
	}
	t.Cleanup(func() {
		select {
		case <-p.Exited():
			text, _ := os.ReadFile(log.Name())
			t.Errorf("kwok ended by itself: %v\n%s", p.Err(), lastLines(string(text)))
		default:
			_ = stdin.Close()
			_ = p.Kill()
			<-p.Exited()
		}
	})
	return p
}

// lastLines is the end of a log.
func lastLines(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}
