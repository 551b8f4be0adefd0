// Package sandbox starts a small real container without a container runtime:
// own namespaces, own root file system, own cgroup laid out as runtimes lay
// theirs out, and a shell on a terminal. The drill attacks itself in it.
package sandbox

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/creack/pty"

	"riposte/deploy/standalone/child"
)

// Options says how the container lies in the cgroup tree.
type Options struct {
	// Root is where cgroup v2 is mounted.
	Root string
	// Cgroup is the container's directory below Root; "%s" stands for the container's id.
	Cgroup string
}

// Drills is the layout of the drill's own containers: containerd's with the
// systemd driver, in a slice of our own.
const Drills = "riposte-drill.slice/cri-containerd-%s.scope"

// Sandbox is a running container.
type Sandbox struct {
	// ID is 64 hexadecimal digits, as runtimes make theirs.
	ID string
	// CgroupID is the inode of its cgroup directory.
	CgroupID uint64

	root, cgroup string
	shell        *child.Process
	tty          *os.File
	// read is closed when nobody reads the terminal any more.
	read chan struct{}
}

// Start returns when the shell has its prompt.
func Start(o Options) (*Sandbox, error) {
	id := make([]byte, 32)
	if _, err := rand.Read(id); err != nil {
		return nil, err
	}
	s := &Sandbox{ID: hex.EncodeToString(id), root: o.Root}
	s.cgroup = filepath.Join(o.Root, fmt.Sprintf(o.Cgroup, s.ID))
	if err := os.MkdirAll(s.cgroup, 0o755); err != nil {
		return nil, fmt.Errorf("make the sandbox's cgroup: %w", err)
	}
	if err := s.start(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Sandbox) start() error {
	dir, err := os.Open(s.cgroup)
	if err != nil {
		return err
	}
	defer dir.Close()
	info, err := dir.Stat()
	if err != nil {
		return err
	}
	s.CgroupID = info.Sys().(*syscall.Stat_t).Ino

	terminal, shellSide, err := pty.Open()
	if err != nil {
		return fmt.Errorf("open a terminal: %w", err)
	}
	defer shellSide.Close()
	s.tty = terminal
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = []string{initName}
	cmd.Env = []string{}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = shellSide, shellSide, shellSide
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC | syscall.CLONE_NEWNET,
		Setsid:     true, Setctty: true,
		UseCgroupFD: true, CgroupFD: int(dir.Fd()),
	}
	if s.shell, err = child.Start(cmd, syscall.SIGKILL); err != nil {
		return fmt.Errorf("start the sandbox (it needs root and Linux 5.7): %w", err)
	}
	return s.awaitPrompt()
}

// awaitPrompt reads the terminal until the shell asks for a command, and goes
// on reading, so that the shell never blocks on what it prints.
func (s *Sandbox) awaitPrompt() error {
	prompted, ended := make(chan struct{}), make(chan string, 1)
	s.read = make(chan struct{})
	go func() {
		defer close(s.read)
		var seen strings.Builder // until the prompt
		b, waiting := make([]byte, 1024), true
		for {
			n, err := s.tty.Read(b)
			if waiting {
				seen.Write(b[:n])
				if strings.Contains(seen.String(), prompt) {
					waiting = false
					close(prompted)
				}
			}
			if err != nil { // EIO: the other side is gone
				ended <- strings.TrimSpace(seen.String())
				return
			}
		}
	}()
	select {
	case <-prompted:
		return nil
	case said := <-ended:
		return fmt.Errorf("the sandbox ended at its start: %s", said)
	case <-time.After(10 * time.Second):
		return errors.New("the sandbox's shell showed no prompt for 10 s")
	}
}

// Type enters a line at the shell's terminal.
func (s *Sandbox) Type(line string) error {
	_, err := s.tty.WriteString(line + "\n")
	return err
}

// Exited is closed when the container's first process has ended.
func (s *Sandbox) Exited() <-chan struct{} { return s.shell.Exited() }

// Killed says that the container ended by SIGKILL; ask after Exited.
func (s *Sandbox) Killed() bool {
	var exit *exec.ExitError
	if !errors.As(s.shell.Err(), &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// Processes counts who is in the container's cgroup.
func (s *Sandbox) Processes() (int, error) {
	text, err := os.ReadFile(filepath.Join(s.cgroup, "cgroup.procs"))
	return strings.Count(string(text), "\n"), err
}

// Close kills what is left and removes the cgroup, and those above it that are
// empty now.
func (s *Sandbox) Close() error {
	if s.shell != nil && s.shell.Process != nil {
		_ = s.shell.Kill()
		<-s.shell.Exited()
	}
	if s.read != nil {
		<-s.read
	}
	if s.tty != nil {
		_ = s.tty.Close()
	}
	return remove(s.root, s.cgroup)
}

// remove takes dir and its empty parents away. A cgroup stays busy for a moment
// after its last process.
func remove(root, dir string) error {
	deadline := time.Now().Add(2 * time.Second)
	for {
		err := os.Remove(dir)
		switch {
		case err == nil || errors.Is(err, fs.ErrNotExist):
		case errors.Is(err, syscall.EBUSY) && time.Now().Before(deadline):
			time.Sleep(5 * time.Millisecond)
			continue
		default:
			return fmt.Errorf("remove the sandbox's cgroup: %w", err)
		}
		break
	}
	for dir = filepath.Dir(dir); dir != root && len(dir) > len(root); dir = filepath.Dir(dir) {
		if os.Remove(dir) != nil { // not ours, or still in use by another
			break
		}
	}
	return nil
}

// Sweep removes empty cgroups of drills that were killed before they could.
func Sweep(root string) {
	old, _ := filepath.Glob(filepath.Join(root, fmt.Sprintf(Drills, "*")))
	for _, dir := range old {
		_ = os.Remove(dir)
	}
	_ = os.Remove(filepath.Join(root, filepath.Dir(Drills)))
}
