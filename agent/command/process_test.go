//go:build linux && amd64

package command

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/stretchr/testify/require"

	"riposte/agent/alert"
	"riposte/agent/capture"
)

// agentArgs, in a process's environment, makes it `riposte agent` with them.
const agentArgs = "RIPOSTE_TEST_AGENT"

func TestMain(m *testing.M) {
	text, ok := os.LookupEnv(agentArgs)
	if !ok {
		os.Exit(m.Run())
	}
	c := NewAgent("test")
	c.SetArgs(strings.Split(text, "\n"))
	if err := c.Execute(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// process is an agent as a process of its own.
type process struct {
	*exec.Cmd
	alerts chan alert.Alert
	ended  chan struct{}
	log    *strings.Builder

	mu sync.Mutex
}

func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(b)
}

func (p *process) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// startProcess runs the agent behind a command such as setpriv.
func startProcess(t *testing.T, before []string, args ...string) *process {
	t.Helper()
	self, err := os.Open("/proc/self/exe") // its folder is closed to other users
	require.NoError(t, err)
	defer self.Close()
	argv := slices.Concat(before, []string{"/proc/self/fd/3"})
	p := &process{Cmd: exec.Command(argv[0], argv[1:]...), alerts: make(chan alert.Alert, 64), ended: make(chan struct{}), log: &strings.Builder{}}
	p.ExtraFiles, p.Dir, p.Stderr = []*os.File{self}, "/", p
	p.Env = append(os.Environ(), agentArgs+"="+strings.Join(args, "\n"))
	out, err := p.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.Start())
	go func() {
		defer close(p.ended)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var a alert.Alert
			if err := json.Unmarshal(lines.Bytes(), &a); err == nil {
				p.alerts <- a
			}
		}
		_ = p.Wait()
	}()
	t.Cleanup(func() {
		_ = p.Process.Kill()
		<-p.ended
	})
	return p
}

// sees reads a file until the agent tells of it.
func (p *process) sees(t *testing.T, bait string) alert.Alert {
	t.Helper()
	deadline, again := time.After(60*time.Second), time.NewTicker(100*time.Millisecond)
	defer again.Stop()
	for {
		select {
		case a := <-p.alerts:
			if a.OutputFields["fd.name"] == bait {
				return a
			}
		case <-again.C:
			require.NoError(t, exec.Command("cat", bait).Run())
		case <-p.ended:
			t.Fatal("the agent has ended: " + p.said())
		case <-deadline:
			t.Fatal("no alert within 60 s: " + p.said())
		}
	}
}

// baited are a file and the arguments of an agent that watches it.
func baited(t *testing.T) (bait string, args []string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "riposte-process-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o755))
	bait = filepath.Join(dir, "bait")
	require.NoError(t, os.WriteFile(bait, nil, 0o600))
	rules := filepath.Join(dir, "rules.yaml")
	require.NoError(t, os.WriteFile(rules, fmt.Appendf(nil, `
- rule: Bait
  desc: a file that is read
  condition: evt.type in (open, openat, openat2) and fd.name = %s
  output: bait (file=%%fd.name parent=%%proc.pname pexe=%%proc.pexepath)
  priority: NOTICE
`, bait), 0o644)) //nolint:gosec // the agent is another user
	return bait, []string{"--rules", rules, "--output", "json"}
}

func needLive(t *testing.T) {
	t.Helper()
	s, err := capture.Open(capture.Options{})
	if err == nil {
		require.NoError(t, s.Close())
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatal(err)
	}
	t.Skip(err)
}

// needSetpriv finds the program that takes rights away, which every Debian has.
func needSetpriv(t *testing.T) string {
	t.Helper()
	setpriv, err := exec.LookPath("setpriv")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	return setpriv
}

// TestItsPrivileges are those that the manual names: without CAP_SYS_ADMIN, as root and
// as nobody. It sees another process's ancestor, which is older than the agent and
// another user's.
func TestItsPrivileges(t *testing.T) {
	needLive(t)
	setpriv := needSetpriv(t)
	const all = "-all,+bpf,+perfmon,+sys_ptrace,+dac_read_search"
	here, err := os.Executable()
	require.NoError(t, err)
	for name, user := range map[string][]string{
		"root":   {"--inh-caps=-all"},
		"nobody": {"--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=" + all, "--ambient-caps=" + all},
	} {
		t.Run(name, func(t *testing.T) {
			bait, args := baited(t)
			p := startProcess(t, append([]string{setpriv, "--bounding-set=" + all}, user...), args...)
			a := p.sees(t, bait)
			require.Equal(t, here, a.OutputFields["proc.pexepath"])
			require.NotContains(t, p.said(), "a capability is missing")
			status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Process.Pid))
			require.NoError(t, err)
			require.Contains(t, string(status), "CapEff:\t000000c000080004\n", "it has these and no other")
		})
	}
}

func TestItSaysWhichPrivilegeIsMissing(t *testing.T) {
	needLive(t)
	setpriv := needSetpriv(t)
	bait, args := baited(t)
	p := startProcess(t, []string{setpriv, "--inh-caps=-all", "--bounding-set=-all,+bpf,+perfmon,+dac_read_search"}, args...)
	p.sees(t, bait)
	require.Contains(t, p.said(), "capability=CAP_SYS_PTRACE")
	require.Contains(t, p.said(), "users of containers no names")

	p = startProcess(t, []string{setpriv, "--inh-caps=-all", "--bounding-set=-all,+bpf"}, args...)
	<-p.ended
	require.False(t, p.ProcessState.Success())
	require.Contains(t, p.said(), "lacks CAP_PERFMON: the programs may not read the kernel's memory")
}

// TestNothingStaysAfterSIGKILL: the programs of a killed agent are gone.
func TestNothingStaysAfterSIGKILL(t *testing.T) {
	needLive(t)
	bait, args := baited(t)
	p := startProcess(t, []string{"env"}, args...)
	p.sees(t, bait)
	loaded := programsOf(t, p.Process.Pid)
	require.GreaterOrEqual(t, len(loaded), 10)
	require.NoError(t, p.Process.Kill())
	<-p.ended
	require.Eventually(t, func() bool {
		for _, id := range loaded {
			prog, err := ebpf.NewProgramFromID(id)
			if err == nil {
				_ = prog.Close()
			}
			if !errors.Is(err, os.ErrNotExist) {
				return false
			}
		}
		return true
	}, 60*time.Second, 50*time.Millisecond)
}

// programsOf are the BPF programs that a process holds.
func programsOf(t *testing.T, pid int) (ids []ebpf.ProgramID) {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d/fdinfo", pid)
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(dir, f.Name()))
		require.NoError(t, err)
		for line := range strings.Lines(string(b)) {
			var id ebpf.ProgramID
			if n, _ := fmt.Sscanf(line, "prog_id: %d", &id); n == 1 { //nolint:errcheck // other lines
				ids = append(ids, id)
			}
		}
	}
	return ids
}
