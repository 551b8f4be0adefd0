package contain_test

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"riposte/agent/cgroupns/cgroupnstest"
	"riposte/agent/contain"
	"riposte/agent/event"
	"riposte/agent/order"
)

func TestMain(m *testing.M) {
	switch os.Getenv(childRole) {
	case "":
	case "net":
		netChild()
		return
	default:
		agentChild()
		return
	}
	goleak.VerifyTestMain(m)
}

// sandbox is a container as the agent knows it: a cgroup with processes.
type sandbox struct {
	event.Container
	dir string
	pid []int
}

// newSandbox makes a cgroup below the test's own one with n sleeping processes.
func newSandbox(t testing.TB, id string, n int) *sandbox {
	t.Helper()
	top := filepath.Join(cgroupnstest.Top(cgroupnstest.Root(t)), fmt.Sprintf("riposte-contain-test-%d", os.Getpid()))
	require.NoError(t, os.MkdirAll(top, 0o755))
	dir, err := os.MkdirTemp(top, "")
	require.NoError(t, err)
	t.Cleanup(func() {
		os.WriteFile(filepath.Join(dir, "cgroup.kill"), []byte("1"), 0)
		require.Eventually(t, func() bool { return removeTree(dir) == nil }, 10*time.Second, 5*time.Millisecond)
		os.Remove(top)
	})
	info, err := os.Stat(dir)
	require.NoError(t, err)
	s := &sandbox{dir: dir, Container: event.Container{
		ID: id, CgroupID: info.Sys().(*syscall.Stat_t).Ino, StartNS: 1_234_567_890, Cgroup: strings.TrimPrefix(dir, cgroupnstest.Root(t)),
	}}
	for range n {
		s.pid = append(s.pid, s.start(t, dir))
	}
	return s
}

func removeTree(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if e.IsDir() {
			err = errors.Join(err, removeTree(filepath.Join(dir, e.Name())))
		}
	}
	return errors.Join(err, os.Remove(dir))
}

// start puts a process into a cgroup. It is moved there and not cloned there,
// because some kernels kill at once what is cloned into a cgroup that was killed before.
func (s *sandbox) start(t testing.TB, dir string) int {
	t.Helper()
	c := exec.Command("sleep", "1000")
	require.NoError(t, c.Start())
	reaped := make(chan struct{})
	go func() { c.Wait(); close(reaped) }()
	t.Cleanup(func() { c.Process.Kill(); <-reaped })
	require.NoError(t, os.WriteFile(filepath.Join(dir, "cgroup.procs"), fmt.Appendf(nil, "%d", c.Process.Pid), 0))
	return c.Process.Pid
}

func (s *sandbox) target() order.Target {
	return order.Target{ContainerID: s.ID, CgroupID: s.CgroupID, StartNS: s.StartNS}
}

func (s *sandbox) populated(t testing.TB) bool {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(s.dir, "cgroup.events"))
	require.NoError(t, err)
	return strings.Contains(string(b), "populated 1")
}

// known is the agent's table of containers.
type known struct {
	mu  sync.Mutex
	all map[string]event.Container
}

func (k *known) Container(id string) (event.Container, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	c, ok := k.all[id]
	return c, ok
}

func (k *known) ContainerAt(cgroup string) (event.Container, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, c := range k.all {
		if cgroup == c.Cgroup || strings.HasPrefix(cgroup, c.Cgroup+"/") {
			return c, true
		}
	}
	return event.Container{}, false
}

// node is a handler with the responder that sends it orders.
type node struct {
	*contain.Handler
	opt contain.Options
	key ed25519.PrivateKey
	k   *known
}

func newNode(t testing.TB, boxes ...*sandbox) *node {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	n := &node{key: private, k: &known{all: map[string]event.Container{}}}
	for _, s := range boxes {
		n.k.all[s.ID] = s.Container
	}
	n.opt = contain.Options{Cluster: "c", Node: "n", Keys: contain.Keys{public}, CgroupRoot: cgroupnstest.Root(t), Dir: t.TempDir(), Containers: n.k}
	n.reopen(t)
	t.Cleanup(func() { n.Close() })
	return n
}

// reopen stands for a new start of the agent with the same data.
func (n *node) reopen(t testing.TB) {
	t.Helper()
	if n.Handler != nil {
		n.Close()
	}
	h, err := contain.Open(n.opt)
	require.NoError(t, err)
	n.Handler = h
}

func kill(id string, target order.Target) order.Order {
	now := time.Now()
	return order.Order{ID: id, Kind: order.Kill, Cluster: "c", Node: "n", Target: target, Reason: "test", Issued: now, Expires: now.Add(time.Minute)}
}

func (n *node) send(t testing.TB, o order.Order) order.Receipt {
	t.Helper()
	message, err := order.Sign(n.key, o)
	require.NoError(t, err)
	return n.Handle(t.Context(), message)
}

func TestKillEndsTheContainerAndNothingElse(t *testing.T) {
	s, sibling := newSandbox(t, "a", 3), newSandbox(t, "b", 2)
	nested := filepath.Join(s.dir, "nested", "deeper")
	require.NoError(t, os.MkdirAll(nested, 0o755))
	s.start(t, nested)
	n := newNode(t, s, sibling)

	r := n.send(t, kill("1", s.target()))
	require.Equal(t, order.Done, r.Outcome, r.Message)
	require.Equal(t, 4, r.Processes)
	require.Equal(t, "1", r.OrderID)
	require.NotZero(t, r.ExecutedNS)
	require.GreaterOrEqual(t, r.VerifiedNS, r.ExecutedNS)
	require.False(t, r.Repeated)
	require.False(t, s.populated(t))
	require.True(t, sibling.populated(t))
	for _, pid := range sibling.pid {
		require.NoError(t, syscall.Kill(pid, 0))
	}
}

func TestARepeatedOrderHasOneEffect(t *testing.T) {
	s := newSandbox(t, "a", 1)
	n := newNode(t, s)
	o := kill("1", s.target())
	first := n.send(t, o)
	require.Equal(t, order.Done, first.Outcome, first.Message)

	// New processes stand for whatever came into the cgroup later: a repeat must not touch them.
	s.start(t, s.dir)
	want := first
	want.Repeated = true
	require.Equal(t, want, n.send(t, o))
	require.True(t, s.populated(t))

	n.reopen(t)
	require.Equal(t, want, n.send(t, o), "after a restart too")
	require.True(t, s.populated(t))

	o.Expires = time.Now().Add(-time.Second)
	require.Equal(t, want, n.send(t, o), "an expired repeat still gets the receipt")

	o = kill("1", order.Target{ContainerID: "other", CgroupID: 1, StartNS: 1})
	require.Equal(t, order.Refused, n.send(t, o).Outcome, "an id stands for one target")
}

func TestManyRepeatsAtOnceHaveOneEffect(t *testing.T) {
	s := newSandbox(t, "a", 2)
	n := newNode(t, s)
	o := kill("1", s.target())
	receipts := make([]order.Receipt, 8)
	var wg sync.WaitGroup
	for i := range receipts {
		wg.Go(func() { receipts[i] = n.send(t, o) })
	}
	wg.Wait()
	repeated := 0
	for _, r := range receipts {
		require.Equal(t, order.Done, r.Outcome, r.Message)
		if r.Repeated {
			repeated++
		}
	}
	require.Equal(t, len(receipts)-1, repeated)
}

func TestAnOrderForAnotherLifeDoesNothing(t *testing.T) {
	s := newSandbox(t, "a", 1)
	n := newNode(t, s)
	for name, change := range map[string]func(*order.Target){
		"start":  func(t *order.Target) { t.StartNS += 20_000_000 },
		"cgroup": func(t *order.Target) { t.CgroupID++ },
	} {
		target := s.target()
		change(&target)
		r := n.send(t, kill(name, target))
		require.Equal(t, order.Gone, r.Outcome, name)
		require.Zero(t, r.VerifiedNS, "that is no proof that the one meant has ended")
		require.True(t, s.populated(t))
	}
	// The agent's table and the order agree, but the tree has another directory there.
	moved := s.Container
	moved.CgroupID += 1000
	n.k.all["a"] = moved
	r := n.send(t, kill("moved", order.Target{ContainerID: "a", CgroupID: moved.CgroupID, StartNS: moved.StartNS}))
	require.Equal(t, order.Gone, r.Outcome)
	require.True(t, s.populated(t))
}

func TestAStartFromProcAgreesToATick(t *testing.T) {
	s := newSandbox(t, "a", 1)
	n := newNode(t, s)
	target := s.target()
	target.StartNS = s.StartNS / 10_000_000 * 10_000_000
	r := n.send(t, kill("1", target))
	require.Equal(t, order.Done, r.Outcome, r.Message)
}

func TestGone(t *testing.T) {
	empty, removed, unknown, alive := newSandbox(t, "empty", 0), newSandbox(t, "removed", 0), newSandbox(t, "unknown", 0), newSandbox(t, "alive", 1)
	n := newNode(t, empty, removed)
	require.NoError(t, os.Remove(removed.dir))
	for _, s := range []*sandbox{empty, removed, unknown} {
		r := n.send(t, kill(s.ID, s.target()))
		require.Equal(t, order.Gone, r.Outcome, s.ID)
		require.NotZero(t, r.VerifiedNS, s.ID)
	}
	require.NoError(t, os.Remove(unknown.dir))
	require.Equal(t, order.Gone, n.send(t, kill("unknown and removed", unknown.target())).Outcome)

	r := n.send(t, kill("alive", alive.target()))
	require.Equal(t, order.Failed, r.Outcome, "a live cgroup that the agent cannot place is neither gone nor killed")
	require.True(t, alive.populated(t))
	n.k.all["alive"] = alive.Container
	require.Equal(t, order.Done, n.send(t, kill("alive", alive.target())).Outcome, "a failure is not final")
}

func TestRefused(t *testing.T) {
	s := newSandbox(t, "a", 1)
	n := newNode(t, s)
	n.k.all["root"] = event.Container{ID: "root", CgroupID: 1, StartNS: 1, Cgroup: "/"}
	n.k.all["climber"] = event.Container{ID: "climber", CgroupID: 1, StartNS: 1, Cgroup: "/a/../.."}
	_, stranger, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	sign := func(key ed25519.PrivateKey, change func(*order.Order)) []byte {
		o := kill("x", s.target())
		change(&o)
		message, err := order.Sign(key, o)
		require.NoError(t, err)
		return message
	}
	keep := func(*order.Order) {}
	for name, c := range map[string]struct {
		message []byte
		want    string
	}{
		"signature":     {sign(stranger, keep), "signature"},
		"no order":      {[]byte("hello"), "decode"},
		"empty":         {nil, "decode"},
		"oversized":     {[]byte(strings.Repeat("x", order.MaxBytes+1)), "limit"},
		"expired":       {sign(n.key, func(o *order.Order) { o.Expires = time.Now() }), "expired"},
		"other node":    {sign(n.key, func(o *order.Order) { o.Node = "m" }), "another node"},
		"other cluster": {sign(n.key, func(o *order.Order) { o.Cluster = "d" }), "another node"},
		"kind":          {sign(n.key, func(o *order.Order) { o.Kind = "melt" }), "melt"},
		"no id":         {sign(n.key, func(o *order.Order) { o.ID = "" }), "id is empty"},
		"no container":  {sign(n.key, func(o *order.Order) { o.Target.ContainerID = "" }), "container id"},
		"no cgroup":     {sign(n.key, func(o *order.Order) { o.Target.CgroupID = 0 }), "cgroup id"},
		"no start":      {sign(n.key, func(o *order.Order) { o.Target.StartNS = 0 }), "start"},
		"root": {sign(n.key, func(o *order.Order) {
			o.ID, o.Target = "root", order.Target{ContainerID: "root", CgroupID: 1, StartNS: 1}
		}), "root of all cgroups"},
		"climber": {sign(n.key, func(o *order.Order) {
			o.ID, o.Target = "climber", order.Target{ContainerID: "climber", CgroupID: 1, StartNS: 1}
		}), "root of all cgroups"},
	} {
		r := n.Handle(t.Context(), c.message)
		require.Equal(t, order.Refused, r.Outcome, name)
		require.Contains(t, r.Message, c.want, name)
		require.True(t, s.populated(t), name)
	}
	n.reopen(t) // and what was refused has not spoiled the ledger
}

func TestTheAgentDoesNotKillItself(t *testing.T) {
	box := newSandbox(t, "self", 0)
	inner := filepath.Join(box.dir, "inner")
	require.NoError(t, os.Mkdir(inner, 0o755))
	before, err := os.ReadFile("/proc/self/cgroup")
	require.NoError(t, err)
	home := ""
	for text := range strings.Lines(string(before)) {
		if p, ok := strings.CutPrefix(strings.TrimSpace(text), "0::"); ok {
			home = filepath.Join(cgroupnstest.Root(t), p)
		}
	}
	move := func(dir string) error {
		return os.WriteFile(filepath.Join(dir, "cgroup.procs"), fmt.Appendf(nil, "%d", os.Getpid()), 0)
	}
	require.NoError(t, move(inner))
	defer func() { require.NoError(t, move(home)) }()
	n := newNode(t, box)
	r := n.send(t, kill("ancestor", box.target()))
	require.Equal(t, order.Refused, r.Outcome)
	require.Contains(t, r.Message, "agent itself")

	// The path says nothing in another cgroup namespace; the list of processes does.
	require.NoError(t, move(home))
	n.reopen(t)
	require.NoError(t, move(inner))
	r = n.send(t, kill("by pid", box.target()))
	require.Equal(t, order.Refused, r.Outcome)
	require.Contains(t, r.Message, "agent itself")
}
