//go:build linux

package agent

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"riposte/agent/capture"
	"riposte/agent/capture/actortest"
	"riposte/agent/enrich"
	"riposte/agent/enrich/runtime"
	"riposte/agent/event"
	"riposte/agent/publish"
)

// maskRules ask for everything that can change about a process without an event of the
// type that they are about. The paths do not exist, so that the calls do nothing.
const maskRules = `
- rule: Clock
  desc: says how far an agent is
  condition: evt.type = openat and proc.name = clock
  output: "%fd.name"
  priority: NOTICE
- rule: By name
  desc: d
  condition: evt.type = openat and proc.name = evil
  output: "%fd.name"
  priority: NOTICE
- rule: By the parent's name
  desc: d
  condition: evt.type = unlinkat and proc.pname = evil
  output: "%evt.arg.name"
  priority: NOTICE
- rule: By an ancestor
  desc: d
  condition: evt.type = openat and proc.aname = chief
  output: "%fd.name"
  priority: NOTICE
- rule: By the user
  desc: d
  condition: evt.type = unlinkat and user.uid = 1234
  output: "%evt.arg.name"
  priority: NOTICE
- rule: By the parent's program
  desc: d
  condition: evt.type = mkdirat and proc.aexe = again
  output: "%evt.arg.path"
  priority: NOTICE
- rule: By the program
  desc: d
  condition: evt.type = mkdirat and proc.exe = again
  output: "%evt.arg.path"
  priority: NOTICE
- rule: By the image
  desc: d
  condition: evt.type = mkdirat and container.image.repository = riposte.test/evil
  output: "%evt.arg.path"
  priority: NOTICE
- rule: By the orphan's new parent
  desc: d
  condition: evt.type = unlinkat and not proc.pname startswith actor and not proc.pname in (evil, chief, plain, exe) and container.id != host
  output: "%evt.arg.name"
  priority: NOTICE
`

// told collects an agent's alerts as "rule: output".
type told struct {
	mu  sync.Mutex
	all []string
}

func (a *told) Write(b []byte) (int, error) {
	for line := range bytes.Lines(b) {
		var one struct {
			Rule, Output string
		}
		if err := json.Unmarshal(line, &one); err != nil {
			return 0, err
		}
		_, path, _ := strings.Cut(one.Output, " /")
		path, _, _ = strings.Cut(path, " ")
		a.mu.Lock()
		a.all = append(a.all, one.Rule+": /"+path)
		a.mu.Unlock()
	}
	return len(b), nil
}

// about are the alerts about paths below dir, in order.
func (a *told) about(dir string) (some []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range a.all {
		if strings.Contains(s, dir) {
			some = append(some, s)
		}
	}
	return some
}

// watching starts an agent with the rules.
func watching(t *testing.T, file string, masks bool) (*Agent, *told) {
	t.Helper()
	out := &told{}
	a, err := New(Options{
		RingBytes: 256 << 20, // two agents at once, slowed down by the race detector: nothing may be lost

		RuleFiles: []string{file}, DataDir: t.TempDir(), Output: out, Encoding: publish.Encoding{Format: publish.JSON},
		Containers: &Containers{CRI: []string{}, Docker: []string{}},
	})
	require.NoError(t, err)
	if !masks {
		require.NoError(t, a.interest.masks.SetPaths(event.Paths{}))
		a.interest = nil
		a.background = a.background[:len(a.background)-1] // its goroutine was the last to come
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	return a, out
}

// container is a cgroup as a runtime makes it.
func container(t *testing.T) (dir, id string) {
	root, err := enrich.CgroupRoot()
	require.NoError(t, err)
	var b [32]byte
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	id = hex.EncodeToString(b[:])
	top := filepath.Join(root, fmt.Sprintf("riposte-mask-test-%d", os.Getpid()))
	dir = filepath.Join(top, id)
	require.NoError(t, os.MkdirAll(dir, 0o755))
	t.Cleanup(func() {
		_ = os.WriteFile(filepath.Join(dir, "cgroup.kill"), []byte("1"), 0)
		require.Eventually(t, func() bool { return unix.Rmdir(dir) == nil }, 10*time.Second, 5*time.Millisecond)
		_ = unix.Rmdir(top)
	})
	return dir, id
}

// filter is why the kernel leaves something out.
type filter int

const (
	byMask filter = iota
	byPath
)

// stage is a workload that two agents watch, one of which uses masks.
type stage struct {
	t      *testing.T
	rules  string
	dir    string
	clock  *actortest.Actor
	actors []*actortest.Actor
	agents []*Agent
	out    []*told
	steps  int
}

func newStage(t *testing.T, cgroup string) *stage {
	skipWithoutCapture(t)
	s := &stage{t: t, rules: filepath.Join(t.TempDir(), "rules.yaml"), dir: fmt.Sprintf("/no-such-dir-%d", rand.Uint64()), clock: actortest.Start(t, "")}
	write(t, s.rules, maskRules)
	s.clock.Do("name", "clock")
	s.actors = []*actortest.Actor{actortest.Start(t, cgroup)}
	for _, masks := range []bool{true, false} {
		a, out := watching(t, s.rules, masks)
		s.agents, s.out = append(s.agents, a), append(s.out, out)
	}
	s.wait()
	return s
}

// wait waits until both agents have seen everything so far.
func (s *stage) wait() {
	s.t.Helper()
	s.steps++
	end := fmt.Sprintf("Clock: %s/end-%d", s.dir, s.steps)
	s.clock.Do("open", strings.TrimPrefix(end, "Clock: "), "1")
	for i, out := range s.out {
		if !assert.Eventually(s.t, func() bool {
			out.mu.Lock()
			defer out.mu.Unlock()
			for _, v := range slices.Backward(out.all) {
				if v == end {
					return true
				}
			}
			return false
		}, 30*time.Second, time.Millisecond) {
			s.t.Fatal("the end of a step was not seen; lost: ", s.agents[i].Lost())
		}
	}
}

// reload has both agents take other rules.
func (s *stage) reload(rules string) {
	s.t.Helper()
	write(s.t, s.rules, rules)
	for _, a := range s.agents {
		before := a.current.Load()
		a.Reload()
		require.Eventually(s.t, func() bool { return a.current.Load() != before }, 30*time.Second, time.Millisecond)
	}
}

// same compares the alerts of both agents, and says how many there were of each rule. The
// kernel must have left out events for one of them, or the comparison says nothing.
func (s *stage) same(story []string, by filter) map[string]int {
	s.t.Helper()
	for _, a := range s.agents {
		for _, place := range []string{"ring_full", "ring_full_state", "shed", "scratch_busy", "recursion"} {
			require.Zero(s.t, a.Lost()[place], "events were lost (%s), so nothing can be compared", place)
		}
	}
	masked, plain := s.out[0].about(s.dir), s.out[1].about(s.dir)
	if !assert.ObjectsAreEqual(plain, masked) {
		at := 0
		for at < min(len(plain), len(masked)) && plain[at] == masked[at] {
			at++
		}
		s.t.Log(strings.Join(story, "\n"))
		require.Equal(s.t, plain[at:min(at+5, len(plain))], masked[at:min(at+5, len(masked))])
	}
	fired := map[string]int{}
	for _, s := range plain {
		rule, _, _ := strings.Cut(s, ":")
		fired[rule]++
	}
	n, unkept := s.agents[0].interest.masks.Masked()
	require.Zero(s.t, unkept)
	passed := s.agents[0].interest.masks.PassedBy()
	s.t.Log("alerts", fired, "left out", n, "for their path", passed)
	require.Greater(s.t, map[filter]uint64{byMask: n, byPath: passed}[by], uint64(20), "the kernel has hardly left out anything")
	return fired
}

// work makes calls of every type, enough for a mask.
func (s *stage) work(a *actortest.Actor) {
	s.steps++
	for _, call := range []string{"open", "unlink", "mkdir"} {
		a.Do(call, fmt.Sprintf("%s/%s-%d", s.dir, call, s.steps), "9")
	}
}

// step does something at random. Names that no rule asks for are the most usual.
func (s *stage) step(r *rand.Rand) string {
	at := r.IntN(len(s.actors))
	a := s.actors[at]
	name := []string{"plain", "plain", "evil", "chief"}[r.IntN(4)]
	switch n := r.IntN(20); {
	case n < 4:
		return fmt.Sprint(a.PID, " name ", name, a.Do("name", name))
	case n < 6:
		return fmt.Sprint(a.PID, " comm ", name, a.Do("comm", name))
	case n < 8:
		id := []string{"0", "1234"}[r.IntN(2)]
		return fmt.Sprint(a.PID, " uid ", id, a.Do("uid", id))
	case n < 10:
		exe := []string{"again", "program"}[r.IntN(2)]
		a.Do("uid", "0")
		return fmt.Sprint(a.PID, " exec ", exe, a.Do("exec", exe))
	case n < 13 && len(s.actors) < 7:
		a.Do("uid", "0")
		child := a.Spawn(fmt.Sprintf("actor-%d", s.steps))
		require.NotNil(s.t, child)
		s.actors = append(s.actors, child)
		return fmt.Sprint(a.PID, " spawn ", child.PID)
	case n < 14 && at > 0:
		s.actors = append(s.actors[:at], s.actors[at+1:]...)
		a.Do("exit")
		return fmt.Sprint(a.PID, " exit")
	case n < 15:
		return fmt.Sprint(a.PID, " thread", a.Do("thread", "worker"))
	}
	return "nothing"
}

// TestMasksMissNothing is what masks promise: whatever processes do to themselves and to
// each other, the alerts are those of an agent without them.
func TestMasksMissNothing(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Log("seed", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	cgroup, id := container(t)
	s := newStage(t, cgroup)
	var story []string
	for n := range 150 {
		story = append(story, fmt.Sprintf("%d %s", s.steps, s.step(r)))
		for range 2 { // the second time mostly with a mask
			for _, a := range s.actors {
				if r.IntN(3) > 0 {
					s.work(a)
					story = append(story, fmt.Sprintf("%d is of %d", s.steps, a.PID))
				}
			}
			s.wait()
		}
		if n == 75 {
			for _, a := range s.agents {
				a.learn(runtime.Answer{ID: id, Facts: &event.Container{Repository: "riposte.test/evil", Metadata: event.MetadataKnown}})
			}
			story = append(story, fmt.Sprintf("%d metadata", s.steps))
		}
		if n == 110 {
			s.reload(strings.Replace(maskRules, "proc.name = evil", "proc.name in (evil, plain)", 1))
			story = append(story, fmt.Sprintf("%d other rules", s.steps))
		}
	}
	require.NotZero(t, s.same(story, byMask)["By the image"])
}

// TestMasksEndWithTheFirstNews: a name that was given from outside counts for the
// children from the parent's next event on, and not a moment later.
func TestMasksEndWithTheFirstNews(t *testing.T) {
	s := newStage(t, "")
	parent := s.actors[0]
	child := parent.Spawn("child")
	for n := range 100 {
		parent.Do("comm", []string{"evil", "plain"}[n%2])
		child.Do("unlink", fmt.Sprintf("%s/before-%d", s.dir, n), "20")
		s.wait()
		child.Do("unlink", fmt.Sprintf("%s/masked-%d", s.dir, n), "20")
		parent.Do("open", s.dir+"/news", "1")
		child.Do("unlink", fmt.Sprintf("%s/after-%d", s.dir, n), "20")
		s.wait()
	}
	// 50 times evil is news for the last 20, and 50 times no more for them.
	require.Equal(t, 50*20+50*40, s.same(nil, byMask)["By the parent's name"])
}

func skipWithoutCapture(t *testing.T) {
	src, err := capture.Open(capture.Options{})
	if err != nil && os.Getenv("CI") != "true" {
		t.Skip("needs eBPF: ", err)
	}
	require.NoError(t, err)
	require.NoError(t, src.Close())
}
