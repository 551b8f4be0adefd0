package e2e_test

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/stretchr/testify/require"

	"riposte/deploy/standalone/child"
	"riposte/responder/api"
)

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

// TestMistakesGetOneClearLine is about what a person mistypes. Nothing
// half-started may stay behind.
func TestMistakesGetOneClearLine(t *testing.T) {
	needRoot(t)
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer busy.Close()
	badPlaybooks := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(badPlaybooks, "bad.rego"), []byte("package playbooks.bad\n\naction contains {\n"), 0o600))

	for _, mistake := range []struct {
		name string
		args []string
		says []string
	}{
		{"an unknown flag", []string{"up", "--lisen", "x"}, []string{"unknown flag: --lisen"}},
		{"an unknown command", []string{"upp"}, []string{`unknown command "upp"`, "up"}},
		{"a busy port", []string{"up", "--listen", busy.Addr().String()}, []string{"cannot listen on " + busy.Addr().String(), "address already in use"}},
		{"a wrong rule file", []string{"up", "--rules", write(t, "bad.yaml", "- rule: x\n  condition: evt.type = open and fd.nmae = x\n  desc: d\n  output: o\n  priority: INFO\n")}, []string{"bad.yaml:2:", "fd.nmae", "fd.name"}},
		{"a missing rule file", []string{"up", "--rules", "/nowhere.yaml"}, []string{"/nowhere.yaml", "no such file"}},
		{"a wrong playbook", []string{"up", "--playbooks", badPlaybooks}, []string{"bad.rego:"}},
		{"a missing kubeconfig", []string{"up", "--kubeconfig", "/nowhere"}, []string{"/nowhere"}},
		{"a wrong kubeconfig", []string{"up", "--kubeconfig", write(t, "kubeconfig", "apiVersion: v1\nkind: Config\nclusters: 7\n")}, []string{"kubeconfig"}},
		{"nothing running", []string{"alerts", "list", "--data", t.TempDir()}, []string{"riposte up"}},
	} {
		t.Run(mistake.name, func(t *testing.T) {
			dir := dataDir(t)
			args := mistake.args
			if args[0] == "up" {
				args = append(args, "--data", dir, "--no-drill")
				if mistake.name != "a busy port" {
					args = append(args, "--listen", "127.0.0.1:0")
				}
			}
			_, stderr, err := run(t, args...)
			require.Error(t, err)
			for _, part := range mistake.says {
				require.Contains(t, stderr, part)
			}
			require.NotContains(t, stderr, "goroutine ")
			require.True(t, strings.HasPrefix(stderr, "riposte: "), stderr)
			requireNothingLeft(t, dir)
		})
	}
}

// requireNothingLeft looks for processes in the data folder, cgroups and
// programs in the kernel.
func requireNothingLeft(t *testing.T, dir string) {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	require.NoError(t, err)
	for _, link := range links {
		if cwd, err := os.Readlink(link); err == nil {
			require.False(t, strings.HasPrefix(cwd, dir), "%s works in %s", link, cwd)
		}
	}
	require.NoDirExists(t, filepath.Join(cgroupRoot(t), "riposte-drill.slice"))
	// The kernel frees a program a moment after its last user has gone.
	require.Eventually(t, func() bool { return len(ourPrograms(t)) == 0 }, 10*time.Second, 20*time.Millisecond, "programs stay loaded")
}

// ourPrograms lists the kernel's eBPF programs that are ours, by name.
func ourPrograms(t *testing.T) (names []string) {
	t.Helper()
	for id := ebpf.ProgramID(0); ; {
		next, err := ebpf.ProgramGetNextID(id)
		if err != nil {
			return names
		}
		id = next
		p, err := ebpf.NewProgramFromID(id)
		if err != nil {
			continue // it went away meanwhile
		}
		if info, err := p.Info(); err == nil && strings.HasPrefix(info.Name, "riposte_") {
			names = append(names, info.Name)
		}
		_ = p.Close()
	}
}

// TestUp runs the program as a user does: it comes up, drills, prints, and goes
// on Ctrl-C with nothing left.
func TestUp(t *testing.T) {
	needRoot(t)
	dir := dataDir(t)
	cmd := exec.Command(binary(t), "up", "--data", dir, "--listen", "127.0.0.1:0")
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	cmd.Stderr = os.Stderr
	process, err := child.Start(cmd, syscall.SIGKILL)
	require.NoError(t, err)
	t.Cleanup(func() { _ = process.Kill(); <-process.Exited() })

	printed := make(chan string, 1000)
	go func() {
		defer close(printed)
		for scan := bufio.NewScanner(out); scan.Scan(); {
			printed <- scan.Text()
		}
	}()
	var all []string
	await := func(part string) string {
		t.Helper()
		deadline := time.After(time.Minute)
		for {
			select {
			case line, open := <-printed:
				require.True(t, open, "it ended without printing %q:\n%s", part, strings.Join(all, "\n"))
				all = append(all, line)
				if strings.Contains(line, part) {
					return line
				}
			case <-deadline:
				t.Fatalf("it did not print %q:\n%s", part, strings.Join(all, "\n"))
			}
		}
	}
	await("is up")
	await("console  http://127.0.0.1:")
	var timeline api.Timeline
	jsonLine(t, await(`{"action":`), &timeline)
	require.True(t, timeline.Verified)
	require.NotEmpty(t, ourPrograms(t))

	// The command line finds the running one by its data folder.
	stdout, stderr, err := run(t, "actions", "list", "--data", dir, "-o", "json")
	require.NoError(t, err, stderr)
	require.Contains(t, stdout, timeline.Action)
	stdout, stderr, err = run(t, "audit", "verify", "--data", dir)
	require.NoError(t, err, stderr+stdout)
	stdout, stderr, err = run(t, "drill", "--data", dir)
	require.NoError(t, err, stderr)
	jsonLine(t, stdout, &timeline)
	require.True(t, timeline.Verified)
	await("action kill_container succeeded, verified")

	require.NoError(t, process.Signal(os.Interrupt))
	for range printed { // until the program closes its output
	}
	select {
	case <-process.Exited():
	case <-time.After(30 * time.Second):
		t.Fatal("it does not end")
	}
	require.NoError(t, process.Err())
	requireNothingLeft(t, dir)
}

// TestWithoutRights is what a newcomer without root sees: why, what would help,
// and the recorded attack, marked as such and never called verified.
func TestWithoutRights(t *testing.T) {
	needRoot(t) // to become somebody else
	dir := dataDir(t)
	const nobody = 65534
	require.NoError(t, os.Chown(dir, nobody, nobody))
	cmd := exec.Command(binary(t), "drill", "--throwaway", "--listen", "127.0.0.1:0")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + dir, "HOME=" + dir}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	var out, diag strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &diag
	require.Error(t, cmd.Run(), "a drill on a recording does not pass")
	require.Contains(t, diag.String(), "cannot be seen")
	require.Contains(t, diag.String(), "what would help")
	var timeline api.Timeline
	jsonLine(t, out.String(), &timeline)
	require.True(t, timeline.Recorded, diag.String())
	require.False(t, timeline.Verified)
	require.Equal(t, "observed", timeline.State)
	require.Contains(t, out.String(), "RECORDED EVENTS")
}
