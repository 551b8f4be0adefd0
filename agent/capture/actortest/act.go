//go:build linux

package actortest

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// init keeps the process's first thread for the actor: its name and ids are the process's.
func init() {
	pipes := os.Getenv(variable)
	if pipes == "" {
		return
	}
	runtime.LockOSThread()
	if err := act(pipes); err != nil {
		fmt.Fprintln(os.Stderr, "actor:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func act(pipes string) error {
	in, err := os.OpenFile(pipes+".in", os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	out, err := os.OpenFile(pipes+".out", os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "ready")
	orders := bufio.NewReader(in)
	for {
		line, err := orders.ReadString('\n')
		if err != nil {
			return err
		}
		words := append(strings.Fields(line), "", "")
		if words[0] == "exit" {
			return nil
		}
		answer, err := do(words)
		if err != nil {
			answer = err.Error()
		}
		fmt.Fprintln(out, answer)
	}
}

// do makes the calls on the first thread.
func do(words []string) (string, error) {
	n, _ := strconv.Atoi(words[2])
	var err error
	switch words[0] {
	case "open", "openwrite":
		flags := unix.O_RDONLY
		if words[0] == "openwrite" {
			flags = unix.O_WRONLY
		}
		for range n {
			var fd int
			if fd, err = unix.Open(words[1], flags|unix.O_CLOEXEC, 0); err == nil {
				err = unix.Close(fd)
			}
		}
	case "send":
		err = send(words[1], n)
	case "unlink":
		for range n {
			err = unix.Unlinkat(unix.AT_FDCWD, words[1], 0)
		}
	case "mkdir":
		for range n {
			err = unix.Mkdirat(unix.AT_FDCWD, words[1], 0o755)
		}
	case "name":
		err = rename(words[1])
	case "comm":
		err = os.WriteFile(fmt.Sprintf("/proc/self/task/%d/comm", os.Getpid()), []byte(words[1]), 0)
	case "thread":
		done := make(chan error)
		go func() {
			runtime.LockOSThread() // and the thread ends with the goroutine
			done <- rename(words[1])
		}()
		err = <-done
	case "uid":
		id, _ := strconv.Atoi(words[1])
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, ^uintptr(0), uintptr(id), ^uintptr(0)); errno != 0 {
			err = errno
		}
	case "exec":
		err = syscall.Exec("/proc/self/exe", []string{words[1]}, os.Environ())
	case "spawn":
		cmd := command(words[1])
		if err = cmd.Start(); err == nil {
			go func() { _ = cmd.Wait() }()
			return strconv.Itoa(cmd.Process.Pid), nil
		}
	default:
		err = errors.New("unknown order")
	}
	return "done", err
}

func rename(to string) error {
	var name [16]byte
	copy(name[:15], to)
	return unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(&name)), 0, 0, 0)
}

// send sends single bytes to itself, over a pair of sockets of that kind.
func send(kind string, n int) error {
	kinds := map[string]int{"stream": unix.SOCK_STREAM, "datagram": unix.SOCK_DGRAM}
	pair, err := unix.Socketpair(unix.AF_UNIX, kinds[kind]|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	var b [1]byte
	for range n {
		if err := unix.Sendto(pair[0], b[:], 0, nil); err != nil {
			return err
		}
		if _, err := unix.Read(pair[1], b[:]); err != nil {
			return err
		}
	}
	return nil
}
