package contain_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/agent/order"
)

func (s *sandbox) says(t testing.TB, line string) bool {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(s.dir, "cgroup.events"))
	require.NoError(t, err)
	return strings.Contains(string(b), line)
}

func (s *sandbox) frozen(t testing.TB) bool { t.Helper(); return s.says(t, "frozen 1") }

// held is an order whose lease lasts for d.
func held(kind order.Kind, id string, target order.Target, d time.Duration) order.Order {
	o := kill(id, target)
	o.Kind, o.Lease = kind, time.Now().Add(d)
	return o
}

func lift(kind order.Kind, id string, target order.Target, of string) order.Order {
	o := kill(id, target)
	o.Kind, o.Of = kind, of
	return o
}

// run has leases end until the test does, or until the returned function is called.
func (n *node) run(t testing.TB) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	h := n.Handler
	go func() { h.Run(ctx); close(done) }()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

// leases is the file of leases.
func (n *node) leases(t testing.TB) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(n.opt.Dir, "leases.json"))
	require.NoError(t, err)
	return string(b)
}

func TestFreezeAndThaw(t *testing.T) {
	s, sibling := newSandbox(t, "a", 2), newSandbox(t, "b", 1)
	nested := filepath.Join(s.dir, "nested")
	require.NoError(t, os.Mkdir(nested, 0o755))
	s.start(t, nested)
	n := newNode(t, s, sibling)
	o := held(order.Freeze, "1", s.target(), time.Minute)
	r := n.send(t, o)
	require.Equal(t, order.Done, r.Outcome, r.Message)
	require.Equal(t, 3, r.Processes)
	require.NotZero(t, r.VerifiedNS)
	require.Equal(t, o.Lease.UnixNano(), r.UntilNS)
	require.True(t, s.frozen(t), "with what is nested")
	require.False(t, sibling.frozen(t))
	require.True(t, n.send(t, o).Repeated)

	r = n.send(t, lift(order.Thaw, "2", s.target(), "another"))
	require.Equal(t, order.Gone, r.Outcome, "only its own order is lifted")
	require.True(t, s.frozen(t))

	r = n.send(t, lift(order.Thaw, "3", s.target(), "1"))
	require.Equal(t, order.Done, r.Outcome, r.Message)
	require.NotZero(t, r.VerifiedNS)
	require.False(t, s.frozen(t))
	r = n.send(t, o)
	require.True(t, r.Repeated)
	require.NotZero(t, r.LiftedNS, "a replay of the freeze has no effect")
	require.False(t, s.frozen(t))
	o.Lease = o.Lease.Add(time.Hour)
	r = n.send(t, o)
	require.NotZero(t, r.LiftedNS, "nor has a renewal that comes too late")
	require.False(t, s.frozen(t))
	require.Equal(t, order.Gone, n.send(t, lift(order.Thaw, "4", s.target(), "1")).Outcome)
}

func TestAFrozenContainerCanBeKilled(t *testing.T) {
	s := newSandbox(t, "a", 2)
	n := newNode(t, s)
	require.Equal(t, order.Done, n.send(t, held(order.Freeze, "1", s.target(), time.Minute)).Outcome)
	r := n.send(t, kill("2", s.target()))
	require.Equal(t, order.Done, r.Outcome, r.Message)
	require.False(t, s.populated(t))
	require.Equal(t, order.Done, n.send(t, lift(order.Thaw, "3", s.target(), "")).Outcome)
}

func TestALeaseEndsByItself(t *testing.T) {
	s := newSandbox(t, "a", 1)
	n := newNode(t, s)
	n.run(t)
	o := held(order.Freeze, "1", s.target(), 300*time.Millisecond)
	require.Equal(t, order.Done, n.send(t, o).Outcome)
	require.Eventually(t, func() bool { return !s.frozen(t) }, 10*time.Second, time.Millisecond)
	require.GreaterOrEqual(t, time.Now(), o.Lease, "not before")
	require.Eventually(t, func() bool { return n.send(t, o).LiftedNS != 0 }, 10*time.Second, time.Millisecond)
	require.Eventually(t, func() bool { return !strings.Contains(n.leases(t), s.ID+`"`) }, 10*time.Second, time.Millisecond)
}

func TestARepeatWithALaterLeaseRenews(t *testing.T) {
	s := newSandbox(t, "a", 1)
	n := newNode(t, s)
	n.run(t)
	o := held(order.Freeze, "1", s.target(), time.Second)
	require.Equal(t, order.Done, n.send(t, o).Outcome)
	first := o.Lease
	later := o
	later.Lease = first.Add(time.Hour)
	r := n.send(t, later)
	require.True(t, r.Repeated)
	require.Equal(t, later.Lease.UnixNano(), r.UntilNS)
	require.Equal(t, later.Lease.UnixNano(), n.send(t, o).UntilNS, "an earlier message does not shorten it")
	other := newSandbox(t, "b", 1)
	n.k.all["b"] = other.Container
	require.Equal(t, order.Done, n.send(t, held(order.Freeze, "2", other.target(), time.Until(first)+50*time.Millisecond)).Outcome)
	require.Eventually(t, func() bool { return !other.frozen(t) }, 10*time.Second, time.Millisecond)
	require.True(t, s.frozen(t), "the first lease is over by now")
}

func TestTwoOrdersHoldOneContainer(t *testing.T) {
	s := newSandbox(t, "a", 1)
	n := newNode(t, s)
	require.Equal(t, order.Done, n.send(t, held(order.Freeze, "1", s.target(), time.Minute)).Outcome)
	require.Equal(t, order.Done, n.send(t, held(order.Freeze, "2", s.target(), time.Minute)).Outcome)
	r := n.send(t, lift(order.Thaw, "3", s.target(), "1"))
	require.Equal(t, order.Done, r.Outcome)
	require.Contains(t, r.Message, "stays so")
	require.Zero(t, r.VerifiedNS)
	require.True(t, s.frozen(t))
	require.Equal(t, order.Done, n.send(t, lift(order.Thaw, "4", s.target(), "")).Outcome)
	require.False(t, s.frozen(t))
}

func TestWhatAnotherFrozeStaysFrozen(t *testing.T) {
	s := newSandbox(t, "a", 1)
	n := newNode(t, s)
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, "cgroup.freeze"), []byte("1"), 0))
	r := n.send(t, held(order.Freeze, "1", s.target(), time.Minute))
	require.Equal(t, order.Done, r.Outcome)
	require.Contains(t, r.Message, "frozen already")
	require.Equal(t, order.Done, n.send(t, lift(order.Thaw, "2", s.target(), "1")).Outcome)
	require.True(t, s.frozen(t))
}

func TestALeaseSurvivesARestart(t *testing.T) {
	s := newSandbox(t, "a", 1)
	n := newNode(t, s)
	stop := n.run(t)
	o := held(order.Freeze, "1", s.target(), 700*time.Millisecond)
	require.Equal(t, order.Done, n.send(t, o).Outcome)
	stop()
	n.reopen(t)
	require.True(t, s.frozen(t))
	n.run(t)
	require.Eventually(t, func() bool { return !s.frozen(t) }, 10*time.Second, time.Millisecond)
	require.GreaterOrEqual(t, time.Now(), o.Lease)
}

func TestALeaseThatEndedWhileTheAgentWasAwayEndsAtItsStart(t *testing.T) {
	s := newSandbox(t, "a", 1)
	n := newNode(t, s)
	o := held(order.Freeze, "1", s.target(), 100*time.Millisecond)
	require.Equal(t, order.Done, n.send(t, o).Outcome)
	require.NoError(t, n.Close())
	<-time.After(time.Until(o.Lease)) // the lease itself, not luck
	require.True(t, s.frozen(t), "nobody was there")
	n.Handler = nil
	n.reopen(t)
	n.run(t)
	require.Eventually(t, func() bool { return !s.frozen(t) }, 10*time.Second, time.Millisecond)
	require.NotZero(t, n.send(t, o).LiftedNS)
}

func TestLeasesOfAnotherBootAreForgotten(t *testing.T) {
	s := newSandbox(t, "a", 1)
	n := newNode(t, s)
	require.Equal(t, order.Done, n.send(t, held(order.Freeze, "1", s.target(), time.Minute)).Outcome)
	file := filepath.Join(n.opt.Dir, "leases.json")
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, []byte(strings.Replace(n.leases(t), strings.TrimSpace(string(boot)), "another", 1)), 0o600))
	n.reopen(t)
	require.Equal(t, order.Gone, n.send(t, lift(order.Thaw, "2", s.target(), "1")).Outcome)
	require.True(t, s.frozen(t))
}

func TestDamagedLeasesDoNotStopTheAgent(t *testing.T) {
	s := newSandbox(t, "a", 1)
	n := newNode(t, s)
	for _, text := range []string{"{", "", `{"boot_id":"x","holds":[null,{}]}`, `[]`} {
		require.NoError(t, os.WriteFile(filepath.Join(n.opt.Dir, "leases.json"), []byte(text), 0o600))
		n.reopen(t)
	}
	require.Equal(t, order.Done, n.send(t, held(order.Freeze, "1", s.target(), time.Minute)).Outcome)
	require.True(t, s.frozen(t))
}

func TestHeldOrdersThatAreRefused(t *testing.T) {
	s := newSandbox(t, "a", 1)
	n := newNode(t, s)
	for name, c := range map[string]struct {
		change func(*order.Order)
		want   string
	}{
		"no lease":   {func(o *order.Order) { o.Lease = time.Time{} }, "lease is missing"},
		"over":       {func(o *order.Order) { o.Lease = time.Now() }, "has ended already"},
		"too long":   {func(o *order.Order) { o.Lease = time.Now().Add(order.MaxLease + time.Hour) }, "are allowed"},
		"id":         {func(o *order.Order) { o.ID = order.HoldStanding }, "id is empty"},
		"long of":    {func(o *order.Order) { o.Of = strings.Repeat("x", 200) }, "to lift is longer"},
		"other life": {func(o *order.Order) { o.Target.StartNS += 1 << 40 }, "another life"},
	} {
		o := held(order.Freeze, name, s.target(), time.Minute)
		c.change(&o)
		r := n.send(t, o)
		require.NotEqual(t, order.Done, r.Outcome, name)
		require.Contains(t, r.Message, c.want, name)
		require.False(t, s.frozen(t), name)
	}
	o := held(order.Freeze, "1", s.target(), time.Minute)
	require.Equal(t, order.Done, n.send(t, o).Outcome)
	o.Kind = order.Cut
	require.Contains(t, n.send(t, o).Message, "of another kind", "an id stands for one kind of order")
}

// TestHoldsAreBounded fills the table with containers that have gone, which make
// room, and then with ones that are there.
func TestHoldsAreBounded(t *testing.T) {
	n := newNode(t)
	boxes := make([]*sandbox, 0, 258)
	freeze := func() order.Receipt {
		s := newSandbox(t, fmt.Sprint("box", len(boxes)), 1)
		boxes = append(boxes, s)
		n.k.all[s.ID] = s.Container
		return n.send(t, held(order.Freeze, s.ID, s.target(), time.Hour))
	}
	for range 256 {
		require.Equal(t, order.Done, freeze().Outcome)
	}
	r := freeze()
	require.Equal(t, order.Failed, r.Outcome)
	require.Contains(t, r.Message, "held already")
	require.False(t, boxes[256].frozen(t))
	require.Equal(t, uint64(1), n.Counts()["contain_hold_over_limit"])

	gone := boxes[7]
	require.Equal(t, order.Done, n.send(t, kill("kill", gone.target())).Outcome)
	require.NoError(t, os.Remove(gone.dir))
	require.Equal(t, order.Done, n.send(t, held(order.Freeze, "again", boxes[256].target(), time.Hour)).Outcome)
}
