package agent_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/agent"
)

var boxes atomic.Int32

// box is a container with a shell in it: not the agent's own, though its child.
type box struct {
	id, dir string
	shell   *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Scanner
	// end kills what runs in it and takes it away.
	end func()
}

func newBox(t testing.TB, root string) *box {
	t.Helper()
	b := &box{id: fmt.Sprintf("%08x", boxes.Add(1)) + strings.Repeat("0123456789abcdef", 4)[8:]}
	top := filepath.Join(root, fmt.Sprintf("riposte-box-%d-%s", os.Getpid(), b.id[:8]))
	b.dir = filepath.Join(top, b.id)
	require.NoError(t, os.MkdirAll(b.dir, 0o755))
	b.shell = exec.Command("sh")
	b.shell.Dir = t.TempDir()
	var err error
	b.in, err = b.shell.StdinPipe()
	require.NoError(t, err)
	out, err := b.shell.StdoutPipe()
	require.NoError(t, err)
	b.out = bufio.NewScanner(out)
	require.NoError(t, b.shell.Start())
	b.end = sync.OnceFunc(func() {
		_ = b.in.Close()
		_ = os.WriteFile(filepath.Join(b.dir, "cgroup.kill"), []byte("1"), 0) // and what runs behind it
		_ = b.shell.Wait()
		require.Eventually(t, func() bool { os.Remove(b.dir); return os.Remove(top) == nil }, 10*time.Second, 5*time.Millisecond)
	})
	t.Cleanup(b.end)
	require.NoError(t, os.WriteFile(filepath.Join(b.dir, "cgroup.procs"), fmt.Appendf(nil, "%d", b.shell.Process.Pid), 0))
	return b
}

// run has the shell run a command.
func (b *box) run(t testing.TB, command string) {
	t.Helper()
	_, err := io.WriteString(b.in, command+"\n")
	require.NoError(t, err)
}

// running starts an agent and gives it back.
func running(t *testing.T, opt agent.Options) *agent.Agent {
	t.Helper()
	if opt.Containers == nil {
		opt.Containers = &agent.Containers{CRI: []string{}, Docker: []string{}}
	}
	a, err := agent.New(opt)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-ended:
			require.NoError(t, err)
		case <-time.After(20 * time.Second):
			t.Error("the agent does not end")
		}
	})
	return a
}

// rulesFile is a file with rules.
func rulesFile(t *testing.T, rules string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "rules.yaml")
	require.NoError(t, os.WriteFile(name, []byte(rules), 0o600))
	return name
}

// figures asks an agent for its metrics. What comes back finds one by the beginning of
// its line.
func figures(t *testing.T, a *agent.Agent) func(name string) float64 {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + a.WebAddr() + "/metrics")
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return func(name string) float64 {
		m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + `.* (\S+)$`).FindSubmatch(text)
		if m == nil {
			return 0
		}
		n, err := strconv.ParseFloat(string(m[1]), 64)
		require.NoError(t, err)
		return n
	}
}
