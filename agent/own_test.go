package agent_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/agent"
	"riposte/agent/publish"
)

// watching is an agent whose alerts go where its own rules look: into a folder that
// they watch, and through a program that they know.
func watching(t *testing.T, own agent.Own, programs bool) (a *agent.Agent, out *lines, dir string) {
	dir = t.TempDir()
	out = &lines{}
	opt := agent.Options{
		RuleFiles: []string{rulesFile(t, fmt.Sprintf(`
- rule: Watched folder
  desc: the agent's own alerts are written here
  condition: evt.type in (open, openat, openat2, creat) and fd.name startswith %q
  output: o (file=%%fd.name pid=%%proc.pid)
  priority: NOTICE
- rule: Alert program
  desc: the program that the agent hands its alerts to
  condition: evt.type in (execve, execveat) and proc.args contains "riposte-own-output"
  output: o (args=%%proc.args)
  priority: NOTICE
`, dir+"/"))},
		DataDir: t.TempDir(), Own: own, Output: out, Encoding: publish.Encoding{Format: publish.JSON, Riposte: true},
		File: &publish.FileOptions{Name: filepath.Join(dir, "alerts")},
	}
	if programs {
		opt.Program = &publish.ProgramOptions{Command: "cat >>" + filepath.Join(dir, "program") + " # riposte-own-output"}
	}
	return running(t, opt), out, dir
}

func (l *lines) about(file string) func() bool {
	return func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, a := range l.all {
			if a.OutputFields["fd.name"] == file {
				return true
			}
		}
		return false
	}
}

// lure has the box open a file until the agent tells of it: on a busy machine an event
// can be lost.
func (b *box) lure(t *testing.T, out *lines, bait string) {
	t.Helper()
	told := out.about(bait)
	require.Eventually(t, func() bool {
		if !told() {
			b.run(t, ": >"+bait)
		}
		return told()
	}, 60*time.Second, 100*time.Millisecond, bait)
}

// TestTheAgentDoesNotFeedOnItsOwnOutput: a file and a program under a watched path.
func TestTheAgentDoesNotFeedOnItsOwnOutput(t *testing.T) {
	root := live(t)
	_, out, dir := watching(t, agent.OwnHidden, true)
	b := newBox(t, root)
	const baits = 4
	for i := range baits {
		bait := filepath.Join(dir, fmt.Sprint("bait", i))
		b.lure(t, out, bait)
		// Its delivery is over before the next bait, and so in the kernel's order.
		for _, name := range []string{"alerts", "program"} {
			require.Eventually(t, func() bool { return holds(filepath.Join(dir, name), bait) }, 20*time.Second, 5*time.Millisecond, name)
		}
	}
	out.mu.Lock()
	defer out.mu.Unlock()
	for i, a := range out.all {
		require.Contains(t, a.OutputFields["fd.name"], filepath.Join(dir, "bait"))
		require.Equal(t, uint64(i+1), a.Riposte.Seq)
	}
}

// holds says whether a file has the text.
func holds(file, text string) bool {
	b, err := os.ReadFile(file)
	return err == nil && strings.Contains(string(b), text)
}

// TestOwnEventsThatAreAskedForAreLimited: each alert about writing an alert writes one.
func TestOwnEventsThatAreAskedForAreLimited(t *testing.T) {
	root := live(t)
	began := time.Now()
	a, out, dir := watching(t, agent.OwnReported, true)
	b := newBox(t, root)
	bait := filepath.Join(dir, "bait")
	b.lure(t, out, bait)
	require.Eventually(t, out.about(filepath.Join(dir, "alerts")), 20*time.Second, 5*time.Millisecond, "what is asked for is told")
	require.Eventually(t, func() bool { return a.Lost()["own_alert_held_back"] > 0 }, 60*time.Second, 5*time.Millisecond)
	b.lure(t, out, bait+"2") // others are not limited
	out.mu.Lock()
	defer out.mu.Unlock()
	told := 0
	for _, one := range out.all {
		if name := fmt.Sprint(one.OutputFields["fd.name"]); !strings.HasPrefix(name, bait) {
			told++
		}
	}
	require.LessOrEqual(t, told, 10+int(time.Since(began).Seconds())+1)
}

// TestWhatTheAgentStartsIsItsOwn: children, their children and their orphans, from
// before the agent and after; but not who is in another container.
func TestWhatTheAgentStartsIsItsOwn(t *testing.T) {
	root := live(t)
	before := exec.Command("sh", "-c", `read dir; : >"$dir/before"; sh -c ': >"$1/below"' sh "$dir"`)
	in, err := before.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, before.Start())
	_, out, dir := watching(t, agent.OwnHidden, false)
	_, err = fmt.Fprintln(in, dir)
	require.NoError(t, err)
	require.NoError(t, before.Wait())
	for _, name := range []string{"before", "below"} {
		require.FileExists(t, filepath.Join(dir, name))
	}
	// The orphan outlives its parent: only a mark that it inherited tells whose it is.
	require.NoError(t, exec.Command("sh", "-c", `: >"$1/child"; (while kill -0 $$; do :; done; : >"$1/orphan") >/dev/null 2>&1 &`, "sh", dir).Run())
	require.Eventually(t, func() bool { _, err := os.Stat(filepath.Join(dir, "orphan")); return err == nil }, 20*time.Second, 5*time.Millisecond)
	bait := filepath.Join(dir, "bait")
	newBox(t, root).lure(t, out, bait)
	out.mu.Lock()
	defer out.mu.Unlock()
	for _, a := range out.all {
		require.Equal(t, bait, a.OutputFields["fd.name"])
	}
}
