// Package role lets a test run the parts of Riposte as processes of their own, so that
// they can be killed or measured one by one: the test's binary starts itself in
// another role.
package role

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	"riposte/deploy/standalone/child"
	"riposte/deploy/standalone/natsd"
)

// roleVariable has a test binary be one of its parts.
const roleVariable = "RIPOSTE_TEST_ROLE"

// Main runs the tests, or the role that this process was started in, and returns the
// code to exit with:
//
//	func TestMain(m *testing.M) { os.Exit(role.Main(m.Run, map[string]func() error{"nats": role.NATS})) }
func Main(tests func() int, roles map[string]func() error) int {
	name := os.Getenv(roleVariable)
	if name == "" {
		return tests()
	}
	run, ok := roles[name]
	if !ok {
		fmt.Fprintln(os.Stderr, "there is no role", name)
		return 2
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, time.Now().Format(time.TimeOnly), "ended:", err)
		return 1
	}
	return 0
}

// start starts this test binary in a role; what it says is appended to the file logFile.
func start(logFile, name, role string, args ...string) (*child.Process, error) {
	log, err := os.OpenFile(logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	cmd.Stdout, cmd.Stderr = log, log
	p, err := child.Start(cmd, syscall.SIGKILL)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return p, nil
}

// Settings reads a part's settings from the file that is its only argument.
func Settings[T any]() (s T, err error) {
	b, err := os.ReadFile(os.Args[1])
	if err == nil {
		err = json.Unmarshal(b, &s)
	}
	return s, err
}

// NATS is a role: an embedded server with the settings natsd.Options. It is only ever killed.
func NATS() error {
	o, err := Settings[natsd.Options]()
	if err != nil {
		return err
	}
	if _, err := natsd.Start(o); err != nil {
		return err
	}
	select {}
}

// FreePort is one that nobody has now.
func FreePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// FreeAddress is FreePort on this host.
func FreeAddress(t testing.TB) string {
	t.Helper()
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(FreePort(t)))
}
