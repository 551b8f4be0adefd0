// Package kubetest gives tests a real Kubernetes API: etcd and kube-apiserver
// in one process of their own (see deploy/cluster), with nothing behind it. No
// controller, scheduler or kubelet runs, so objects stay as a test made them; a
// test plays the kubelet's part with [Cluster.FinishDeletions].
//
//	func TestDelete(t *testing.T) {
//		cluster := kubetest.Start(t)
//		cluster.CreateNode(t, "node-1")
//		uid := cluster.CreatePod(t, "shop", "cart", "node-1")
//		cluster.FinishDeletions(t, "node-1", nil)
//		// ... hand cluster.Kubeconfig to what is tested, see the pod go:
//		cluster.WaitGone(t, "shop", "cart", uid)
//	}
//
// A package with several tests saves the three seconds of each start with
// [Shared]; its tests then keep apart by namespace.
package kubetest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// startTimeout is generous: a start takes three seconds alone, more when many
// packages are tested at the same time.
const startTimeout = 90 * time.Second

// Cluster is a running control plane.
type Cluster struct {
	// Kubeconfig is the path of a file that gives an administrator's access.
	Kubeconfig string
	// Client is a client with that access and without a rate limit.
	Client kubernetes.Interface

	dir     string
	process *exec.Cmd
	stdin   io.Closer
	ended   chan struct{}
	once    sync.Once
}

// Start runs a control plane for t alone and stops it when t ends. If the
// program has not been built, t is skipped, but under CI=true the program is
// waited for, or built, and t fails if that does not work.
func Start(t testing.TB) *Cluster {
	t.Helper()
	c, err := start(program(t, "kube-cp"), t.TempDir())
	if err != nil {
		t.Fatal("control plane:", err)
	}
	t.Cleanup(c.Stop)
	return c
}

// start runs the program in dir and waits until the API answers.
func start(program, dir string) (*Cluster, error) {
	c := &Cluster{dir: dir, ended: make(chan struct{})}
	logfile, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	defer logfile.Close()
	c.process = exec.Command(program, "-dir", dir)
	c.process.Stderr = logfile
	// The program ends when this pipe closes, which the kernel does even if the test
	// is killed. Pdeathsig would be tied to the one thread that starts it, and tests
	// that change namespaces end threads.
	c.stdin, err = c.process.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := c.process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.process.Start(); err != nil {
		return nil, err
	}
	ready := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			if path, ok := strings.CutPrefix(lines.Text(), "ready "); ok {
				ready <- path
			}
		}
		_ = c.process.Wait()
		close(c.ended)
	}()
	select {
	case c.Kubeconfig = <-ready:
	case <-c.ended:
		return nil, fmt.Errorf("it ended while starting:\n%s", c.logTail())
	case <-time.After(startTimeout):
		c.Stop()
		return nil, fmt.Errorf("not ready after %s:\n%s", startTimeout, c.logTail())
	}
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig)
	if err == nil {
		config.QPS = -1
		config.WarningHandler = rest.NoWarnings{}
		c.Client, err = kubernetes.NewForConfig(config)
	}
	if err != nil {
		c.Stop()
		return nil, err
	}
	return c, nil
}

// PID is the control plane's process id.
func (c *Cluster) PID() int { return c.process.Process.Pid }

// Stop ends the control plane, for tests of what happens without one. Calling
// it again does nothing.
func (c *Cluster) Stop() {
	c.once.Do(func() {
		_ = c.stdin.Close()
		select {
		case <-c.ended:
		case <-time.After(10 * time.Second):
			_ = c.process.Process.Kill()
			<-c.ended
		}
	})
}

// logTail is the end of what the servers logged.
func (c *Cluster) logTail() string {
	text, err := os.ReadFile(filepath.Join(c.dir, "log"))
	if err != nil {
		return err.Error()
	}
	return lastLines(string(text))
}

// poll calls done every 20 ms until it says true, and fails t after half a
// minute with what and done's last error.
func poll(t testing.TB, what string, done func(context.Context) (bool, error)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	last := errors.New("not yet")
	for {
		ok, err := done(ctx)
		if ok {
			return
		}
		if err != nil {
			last = err
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: %v (last: %v)", what, ctx.Err(), last)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
