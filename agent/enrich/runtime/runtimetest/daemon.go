//go:build linux

// Package runtimetest starts real container runtimes for tests: containerd with its
// CRI plugin and Docker, each with its own folders and socket, no network, and one
// tiny image that is built on the spot. They need root and Debian's packages
// containerd, runc and docker.io.
package runtimetest

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Daemon is a running runtime.
type Daemon struct {
	// Socket is where it listens, ImageID the image's id without "sha256:".
	Socket, ImageID string
	// Name is the container's runtime under Falco's name.
	Name string

	t    *testing.T
	dir  string
	tar  string // the image
	argv []string
	cmd  *exec.Cmd
}

// need skips the test where a program is missing, or root; with CI=true it fails.
func need(t *testing.T, programs ...string) {
	t.Helper()
	why := ""
	if os.Getuid() != 0 {
		why = "a container runtime needs root"
	}
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			why = fmt.Sprintf("%s is not installed (make test installs it)", p)
		}
	}
	if why == "" {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// Containerd starts containerd for the test's time and imports the image for its CRI
// plugin, where it is the pause image too.
func Containerd(t *testing.T) *Daemon {
	need(t, "containerd", "ctr", "runc")
	d := newDaemon(t, "containerd")
	config := fmt.Sprintf(`version = 2
root = %[1]q
state = %[2]q
[grpc]
  address = %[3]q
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = %[4]q
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = %[1]q
    conf_dir = %[1]q
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
`, d.dir+"/root", d.dir+"/state", d.Socket, Image)
	file := filepath.Join(d.dir, "config.toml")
	require.NoError(t, os.WriteFile(file, []byte(config), 0o600))
	d.start("containerd", "-c", file)
	tar, id := archive(t)
	d.ImageID, d.tar = id, tar
	d.Import("k8s.io")
	return d
}

// Import gives a namespace of containerd the image.
func (d *Daemon) Import(namespace string) {
	d.t.Helper()
	d.Ctr(namespace, "images", "import", "--snapshotter", "native", d.tar)
}

// Ctr runs the ctr command in a namespace of containerd and returns what it prints.
func (d *Daemon) Ctr(namespace string, args ...string) string {
	d.t.Helper()
	return d.run("ctr", append([]string{"-a", d.Socket, "-n", namespace}, args...)...)
}

// RunCtr starts a container of the image in a namespace of containerd, in the host's
// network; it is removed at the test's end.
func (d *Daemon) RunCtr(namespace, id string, args ...string) {
	d.t.Helper()
	d.Ctr(namespace, append(append([]string{"run", "-d", "--net-host", "--snapshotter", "native"}, args...), Image, id)...)
	d.t.Cleanup(func() { d.Ctr(namespace, "task", "rm", "-f", id); d.Ctr(namespace, "container", "rm", id) })
}

// Docker starts dockerd for the test's time and loads the image.
func Docker(t *testing.T) *Daemon {
	need(t, "dockerd", "docker", "containerd", "runc")
	d := newDaemon(t, "docker")
	d.start("dockerd", "--bridge=none", "--iptables=false", "--ip6tables=false", "--storage-driver=vfs", "--data-root", d.dir+"/root", "--exec-root", d.dir+"/state",
		"--pidfile", d.dir+"/pid", "-H", "unix://"+d.Socket)
	tar, id := archive(t)
	d.ImageID = id
	d.Docker("load", "-i", tar)
	return d
}

// Docker runs the docker command and returns what it prints.
func (d *Daemon) Docker(args ...string) string {
	d.t.Helper()
	return d.run("docker", append([]string{"-H", "unix://" + d.Socket}, args...)...)
}

func newDaemon(t *testing.T, name string) *Daemon {
	// A unix socket's path is short, so this is not t.TempDir.
	dir, err := os.MkdirTemp("", "riposte-"+name)
	require.NoError(t, err)
	return &Daemon{t: t, Name: name, dir: dir, Socket: filepath.Join(dir, "s")}
}

// start runs the daemon until the test's end.
func (d *Daemon) start(argv ...string) {
	d.argv = argv
	d.Restart()
	d.t.Cleanup(d.stop)
}

// Kill ends the daemon with SIGKILL; its containers stay. Restart brings it back.
func (d *Daemon) Kill() {
	_ = d.cmd.Process.Kill()
	_ = d.cmd.Wait()
}

// Pause stops the daemon where it is, so that it answers nobody, until the returned
// function is called.
func (d *Daemon) Pause() (resume func()) {
	require.NoError(d.t, d.cmd.Process.Signal(syscall.SIGSTOP))
	resume = sync.OnceFunc(func() { _ = d.cmd.Process.Signal(syscall.SIGCONT) })
	d.t.Cleanup(resume)
	return resume
}

// Restart starts a daemon that Kill has ended, and waits until it listens.
func (d *Daemon) Restart() {
	log, err := os.OpenFile(filepath.Join(d.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(d.t, err)
	d.cmd = exec.Command(d.argv[0], d.argv[1:]...)
	d.cmd.Stdout, d.cmd.Stderr = log, log
	// It ends with the test, whatever becomes of that.
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	require.NoError(d.t, d.cmd.Start())
	log.Close()
	require.Eventually(d.t, func() bool {
		c, err := net.Dial("unix", d.Socket)
		if err == nil {
			c.Close()
		}
		return err == nil
	}, time.Minute, 20*time.Millisecond, "%s does not listen", d.Name)
}

// stop ends the daemon and unmounts what it left.
func (d *Daemon) stop() {
	if d.t.Failed() {
		text, _ := os.ReadFile(filepath.Join(d.dir, "log"))
		d.t.Logf("%s:\n%s", d.Name, tail(text, 8<<10))
	}
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	ended := make(chan struct{})
	go func() { _ = d.cmd.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(30 * time.Second):
		_ = syscall.Kill(-d.cmd.Process.Pid, syscall.SIGKILL)
		<-ended
	}
	unmount(d.dir)
	_ = os.RemoveAll(d.dir)
}

// unmount detaches everything below dir, the last mounted first.
func unmount(dir string) {
	text, _ := os.ReadFile("/proc/self/mountinfo")
	lines := bytes.Split(text, []byte("\n"))
	for _, line := range slices.Backward(lines) {
		f := bytes.Fields(line)
		if len(f) > 4 && bytes.HasPrefix(f[4], []byte(dir+"/")) {
			_ = syscall.Unmount(string(f[4]), syscall.MNT_DETACH)
		}
	}
}

func tail(b []byte, n int) []byte {
	if len(b) > n {
		return b[len(b)-n:]
	}
	return b
}

func (d *Daemon) run(program string, args ...string) string {
	d.t.Helper()
	out, err := exec.Command(program, args...).CombinedOutput()
	require.NoError(d.t, err, "%s %v: %s", program, args, out)
	return string(out)
}
