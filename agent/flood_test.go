package agent_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"riposte/agent"
	"riposte/agent/publish"
)

// floodVariable makes a test process a helper: "cgroups DIR N" or "names DIR".
const floodVariable = "RIPOSTE_TEST_FLOOD"

// few is n, or less of it where tests are to be short.
func few(n int) int {
	if testing.Short() {
		return n / 50
	}
	return n
}

// looping is a program that starts itself again, with its arguments, until it is killed:
// a whole ELF file for amd64.
func looping() []byte {
	const base, head = 0x400000, 64 + 56
	code := []byte{
		0xb8, 59, 0, 0, 0, // mov eax, execve
		0x48, 0x8d, 0x3d, 16, 0, 0, 0, // lea rdi, [rip+16]: the path behind the code
		0x48, 0x8d, 0x74, 0x24, 8, // lea rsi, [rsp+8]: argv
		0x31, 0xd2, // xor edx, edx
		0x0f, 0x05, // syscall
		0xb8, 60, 0, 0, 0, // mov eax, exit
		0x0f, 0x05,
	}
	code = append(code, "/proc/self/exe\x00"...)
	var b bytes.Buffer
	b.WriteString("\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 9))
	size := uint64(head + len(code))
	for _, v := range []any{
		uint16(2), uint16(62), uint32(1), uint64(base + head), uint64(64), uint64(0), uint32(0), uint16(64), uint16(56), uint16(1), uint16(0), uint16(0), uint16(0),
		uint32(1), uint32(5), uint64(0), uint64(base), uint64(base), size, size, uint64(0x1000),
	} {
		_ = binary.Write(&b, binary.LittleEndian, v)
	}
	b.Write(code)
	return b.Bytes()
}

// heap is what the agent, in this process, holds after a collection.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// discard forgets what it is given, but not how much it was.
type discard struct {
	mu sync.Mutex
	n  int
}

func (d *discard) Write(b []byte) (int, error) {
	d.mu.Lock()
	d.n += len(b)
	d.mu.Unlock()
	return len(b), nil
}

const floodRules = `
- rule: Flood
  desc: every program of the flood
  condition: evt.type in (execve, execveat) and proc.exepath endswith /flood
  output: flood (args=%proc.args env=%proc.env)
  priority: NOTICE
`

// TestFloodOfExecs: 100,000 programs in a row, and some with 2 MB of arguments, each of
// which is an alert. The agent holds no more at the end than near the beginning.
func TestFloodOfExecs(t *testing.T) {
	live(t)
	a := running(t, agent.Options{
		RuleFiles: []string{rulesFile(t, floodRules)}, DataDir: t.TempDir(), Output: &discard{}, Encoding: publish.Encoding{Format: publish.JSON, Riposte: true},
		Web: &agent.Web{Metrics: true},
	})
	program := filepath.Join(t.TempDir(), "flood")
	require.NoError(t, os.WriteFile(program, looping(), 0o700)) //nolint:gosec // a program
	block := strings.Repeat("a\n\x1b", 40<<10)
	long := make([]string, 16)
	for i := range long {
		long[i] = block
	}
	before := heap()
	done := 0.0
	for _, f := range []struct {
		args  []string
		execs int
	}{{[]string{"short"}, few(100000)}, {long, few(5000)}} {
		ctx, kill := context.WithCancel(t.Context())
		c := exec.CommandContext(ctx, program, f.args...)
		require.NoError(t, c.Start())
		done += float64(f.execs)
		var most uint64
		deadline := time.Now().Add(10 * time.Minute)
		for figures(t, a)(`falcosecurity_falco_rules_matches_total{rule_name="Flood"`) < done {
			require.True(t, time.Now().Before(deadline), "too slow")
			most = max(most, heap())
		}
		kill()
		require.Error(t, c.Wait())
		t.Logf("%.0f execs of %d arguments: heap %d MiB before, %d MiB at most", done, len(f.args), before>>20, most>>20)
		require.Less(t, most, before+96<<20)
	}
	require.Less(t, heap(), before+96<<20)
}

// TestFloodOfContainers: cgroups that look like containers and live for one program.
func TestFloodOfContainers(t *testing.T) {
	root := live(t)
	a := running(t, agent.Options{
		RuleFiles: []string{rulesFile(t, floodRules)}, DataDir: t.TempDir(), Output: &discard{}, Web: &agent.Web{Metrics: true},
	})
	top := filepath.Join(root, fmt.Sprintf("riposte-flood-%d", os.Getpid()))
	require.NoError(t, os.Mkdir(top, 0o755))
	defer func() { require.NoError(t, os.Remove(top)) }()
	before := heap()
	n := few(10000)
	c := helper(t, fmt.Sprintf("cgroups\n%s\n%d", top, n))
	out, err := c.CombinedOutput()
	require.NoError(t, err, string(out))
	// What it was told of is in the table, or is counted.
	require.Eventually(t, func() bool {
		f := figures(t, a)
		return f(`riposte_agent_table_size{table="containers"}`)+f(`riposte_agent_lost_total{place="container_forgotten_early"}`) > float64(n)/2 ||
			f(`riposte_agent_table_size{table="cgroup_paths"}`) >= float64(n)
	}, 60*time.Second, 50*time.Millisecond)
	after := heap()
	t.Logf("%d containers: heap %d MiB before, %d MiB after", n, before>>20, after>>20)
	require.Less(t, after, before+96<<20)
}

// strange are names that want to be something else.
func strange() []string {
	return []string{
		"a\n12:00:00.000000000: Critical forged (x=y)", "b\r\n{\"rule\":\"forged\"}", "c\x1b[2J\x1b]0;title\x07", "d\xff\xfe\xc3", "e\u202egnp.exe",
		"f\u2028g", "h\x00"[:1], "i\x7f\u0085", "%s%n{}", "j\t\v\f", strings.Repeat("k\n", 120), "\xed\xa0\x80", "--help", "l\xf4\x90\x80\x80",
	}
}

// TestStrangeNamesForgeNothing: each alert is one line of what can be seen, in both
// formats, whatever stands in names of files and programs, arguments and environment.
func TestStrangeNamesForgeNothing(t *testing.T) {
	live(t)
	for _, format := range []publish.Format{publish.Text, publish.JSON} {
		t.Run(string(format), func(t *testing.T) {
			dir := t.TempDir()
			var mu sync.Mutex
			var text bytes.Buffer
			running(t, agent.Options{
				RuleFiles: []string{rulesFile(t, fmt.Sprintf(`
- rule: Strange
  desc: what the helper does
  condition: evt.type in (open, openat, openat2, creat, execve, mkdir, mkdirat, rename, unlink, unlinkat, symlink) and (fd.name startswith %[1]q or proc.cwd startswith %[1]q)
  output: s (file=%%fd.name raw=%%fd.nameraw path=%%evt.arg.path proc=%%proc.name exe=%%proc.exe cmd=%%proc.cmdline cwd=%%proc.cwd env=%%proc.env args=%%evt.args)
  priority: NOTICE
`, dir))},
				DataDir: t.TempDir(), Output: writer(func(b []byte) { mu.Lock(); text.Write(b); mu.Unlock() }), Encoding: publish.Encoding{Format: format, Riposte: true},
			})
			runs := 0
			require.Eventually(t, func() bool { // on a busy machine an event can be lost
				runs++
				below := filepath.Join(dir, strconv.Itoa(runs))
				out, err := helper(t, "names\n"+below).CombinedOutput()
				mu.Lock()
				defer mu.Unlock()
				return assert.NoError(t, err, string(out)) && bytes.Contains(text.Bytes(), []byte("the-last-one")) && bytes.Contains(text.Bytes(), []byte("forged"))
			}, 60*time.Second, 200*time.Millisecond)
			mu.Lock()
			defer mu.Unlock()
			begin := regexp.MustCompile(`^[0-9:]{8}\.[0-9]{9}: Notice s \(file=`)
			n := 0
			for line := range strings.Lines(text.String()) {
				n++
				line = strings.TrimSuffix(line, "\n")
				require.True(t, utf8.ValidString(line), "%q", line)
				for _, r := range line {
					require.True(t, unicode.IsGraphic(r), "%U in %q", r, line)
				}
				if format == publish.JSON {
					var one struct{ Rule string }
					require.NoError(t, json.Unmarshal([]byte(line), &one))
					require.Equal(t, "Strange", one.Rule)
					continue
				}
				require.Regexp(t, begin, line)
			}
			require.Greater(t, n, len(strange()))
		})
	}
}

type writer func([]byte)

func (w writer) Write(b []byte) (int, error) {
	w(b)
	return len(b), nil
}

// helper runs this test binary as a program that floods.
func helper(t *testing.T, what string) *exec.Cmd {
	t.Helper()
	c := exec.CommandContext(t.Context(), "/proc/self/exe")
	c.Env = append(os.Environ(), floodVariable+"="+what)
	return c
}

func flood(text string) {
	args := strings.Split(text, "\n")
	err := fmt.Errorf("no flood %q", text)
	switch args[0] {
	case "cgroups":
		err = floodCgroups(args[1], args[2])
	case "names":
		err = floodNames(args[1])
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// floodCgroups makes cgroups with the names of containers, each for one program.
func floodCgroups(top, times string) error {
	n, err := strconv.Atoi(times)
	if err != nil {
		return err
	}
	for i := range n {
		dir := filepath.Join(top, fmt.Sprintf("%064x", i+1))
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
		f, err := os.Open(dir)
		if err != nil {
			return err
		}
		c := exec.Command("/bin/true")
		c.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(f.Fd())}
		err = c.Run()
		f.Close()
		if err != nil {
			return err
		}
		for err = syscall.EBUSY; err == syscall.EBUSY; { //nolint:errorlint // as it is
			err = syscall.Rmdir(dir)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// floodNames uses each name for files, folders, programs, arguments and itself.
func floodNames(dir string) error {
	runtime.LockOSThread()
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	for _, name := range strange() {
		path := filepath.Join(dir, strings.ReplaceAll(name, "/", ""))
		c, err := unix.BytePtrFromString(name)
		if err != nil {
			return err
		}
		for _, do := range []func() error{
			func() error { return unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(c)), 0, 0, 0) },
			func() error { return os.WriteFile(path, nil, 0o600) },
			func() error { return os.Symlink(path, path+"\n2") },
			func() error { return os.Remove(path) },
			func() error { return os.Mkdir(path, 0o700) },
			func() error {
				c := exec.Command("/bin/true", name, name)
				c.Args[0], c.Dir, c.Env = name, path, []string{"A=" + name, name}
				return c.Run()
			},
		} {
			if err := do(); err != nil {
				return fmt.Errorf("%q: %w", name, err)
			}
		}
	}
	return os.WriteFile(filepath.Join(dir, "the-last-one"), nil, 0o600)
}
