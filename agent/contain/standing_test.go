package contain_test

import (
	"crypto/ed25519"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/agent/alert"
	"riposte/agent/contain"
	"riposte/agent/event"
	"riposte/agent/order"
)

func standing(serial uint64, triggers ...order.Trigger) order.Standing {
	return order.Standing{Cluster: "c", Serial: serial, Expires: time.Now().Add(time.Hour), Triggers: triggers}
}

func onShell(kind order.Kind) order.Trigger {
	return order.Trigger{Playbook: "shell", Contain: kind, Rules: []string{"Shell"}}
}

var shell = contain.Firing{Rule: "Shell", Source: "syscall", Priority: alert.Critical, Tags: []string{"container"}}

func (n *node) stand(t testing.TB, s order.Standing) error {
	t.Helper()
	message, err := order.SignStanding(n.key, s)
	require.NoError(t, err)
	return n.TakeStanding(message)
}

func (n *node) turn(t testing.TB, serial uint64, on bool) error {
	t.Helper()
	message, err := order.SignSwitch(n.key, order.Switch{Cluster: "c", Serial: serial, On: on, Reason: "drill", Actor: "me", At: time.Now()})
	require.NoError(t, err)
	return n.TakeSwitch(message)
}

func TestImmediateFreeze(t *testing.T) {
	s := newSandbox(t, "a", 2)
	n := newNode(t, s)
	require.Nil(t, n.Immediate(s.Container, shell), "without standing orders nothing is contained")
	tr := onShell(order.Freeze)
	require.NoError(t, n.stand(t, standing(1, onShell(order.Cut), tr)))
	c := n.Immediate(s.Container, shell)
	require.NotNil(t, c)
	require.Equal(t, "freeze", c.Kind, "a freeze before a cut")
	require.Equal(t, "shell", c.Playbook)
	require.NotZero(t, c.AtNS)
	require.InDelta(t, order.DefaultImmediate, c.LeaseNS, float64(order.DefaultImmediate))
	require.Eventually(t, func() bool { return s.frozen(t) }, 10*time.Second, time.Millisecond)

	again := n.Immediate(s.Container, shell)
	require.Equal(t, c.AtNS, again.AtNS)
	require.LessOrEqual(t, again.LeaseNS, c.LeaseNS, "no firing makes the lease longer")
	require.Nil(t, n.Immediate(s.Container, contain.Firing{Rule: "Other"}))
	require.Nil(t, n.Immediate(*event.Host, shell))
}

func TestImmediateContainmentEndsByItself(t *testing.T) {
	s := newSandbox(t, "a", 1)
	n := newNode(t, s)
	n.run(t)
	tr := onShell(order.Freeze)
	tr.LeaseNS = int64(200 * time.Millisecond)
	require.NoError(t, n.stand(t, standing(1, tr)))
	require.NotNil(t, n.Immediate(s.Container, shell))
	require.Eventually(t, func() bool { return !s.frozen(t) }, 10*time.Second, time.Millisecond)
}

func TestAnOrderConfirmsImmediateContainment(t *testing.T) {
	s := newSandbox(t, "a", 1)
	n := newNode(t, s)
	n.run(t)
	tr := onShell(order.Freeze)
	tr.LeaseNS = int64(300 * time.Millisecond)
	require.NoError(t, n.stand(t, standing(1, tr)))
	require.NotNil(t, n.Immediate(s.Container, shell))
	require.Equal(t, order.Done, n.send(t, held(order.Freeze, "1", s.target(), time.Minute)).Outcome)
	require.NotContains(t, n.leases(t), order.HoldStanding)
	require.Equal(t, order.Gone, n.send(t, lift(order.Thaw, "2", s.target(), order.HoldStanding)).Outcome)
	require.True(t, s.frozen(t))
	require.Equal(t, order.Done, n.send(t, lift(order.Thaw, "3", s.target(), "1")).Outcome)
	require.False(t, s.frozen(t))
}

func TestAnOrderLiftsImmediateContainment(t *testing.T) {
	s := newSandbox(t, "a", 1)
	n := newNode(t, s)
	require.NoError(t, n.stand(t, standing(1, onShell(order.Freeze))))
	require.NotNil(t, n.Immediate(s.Container, shell))
	require.Equal(t, order.Done, n.send(t, lift(order.Thaw, "1", s.target(), order.HoldStanding)).Outcome)
	require.False(t, s.frozen(t))
}

func TestImmediateCut(t *testing.T) {
	w := newNetwork(t, true)
	n := newNode(t, w.sandbox)
	require.Equal(t, "ok", w.do("packet"))
	require.NoError(t, n.stand(t, standing(1, onShell(order.Cut))))
	c := n.Immediate(w.Container, shell)
	require.NotNil(t, c)
	require.Equal(t, "cut", c.Kind)
	o := held(order.Cut, "1", w.target(), time.Minute)
	require.Equal(t, order.Done, n.send(t, o).Outcome)
	w.dropped(n, o, "cut")
}

func TestProtectionBindsTheAgent(t *testing.T) {
	s := newSandbox(t, "a", 1)
	n := newNode(t, s)
	protect := order.Protect{Namespaces: []string{"kube-system"}, Names: []string{"shop/db-*", "vault"}, Labels: map[string]string{"keep": "true"}}
	st := standing(1, onShell(order.Freeze))
	st.Protect = protect
	require.NoError(t, n.stand(t, st))
	for name, change := range map[string]func(*event.Container){
		"namespace": func(c *event.Container) { c.Pod = &event.Pod{Namespace: "kube-system", Name: "x"} },
		"pod":       func(c *event.Container) { c.Pod = &event.Pod{Namespace: "shop", Name: "db-0"} },
		"container": func(c *event.Container) { c.Name = "vault" },
		"owner": func(c *event.Container) {
			c.Pod = &event.Pod{Namespace: "apps", Name: "x-0", Owner: "StatefulSet/vault"}
		},
		"label": func(c *event.Container) {
			c.Pod = &event.Pod{Namespace: "shop", Name: "web", Labels: map[string]string{"keep": "True"}}
		},
		"unknown": func(c *event.Container) { c.Pod = &event.Pod{UID: "u"} },
	} {
		c := s.Container
		change(&c)
		n.k.all["a"] = c
		require.Nil(t, n.Immediate(c, shell), name)
		require.False(t, s.frozen(t), name)
		if name == "unknown" {
			continue // the responder knows pods that an agent does not, and its guard has judged
		}
		for _, o := range []order.Order{kill(name+"k", s.target()), held(order.Freeze, name+"f", s.target(), time.Minute), killProcess(t, name+"p", s.pid[0])} {
			r := n.send(t, o)
			require.Equal(t, order.Refused, r.Outcome, name)
			require.Contains(t, r.Message, "protect", name)
		}
	}
	require.Equal(t, uint64(6), n.Counts()["contain_immediate_withheld"])
	st.Serial, st.Expires = 2, time.Now().Add(-time.Hour)
	require.NoError(t, n.stand(t, st))
	n.k.all["a"] = s.Container
	require.Nil(t, n.Immediate(s.Container, shell), "what has expired lets nothing be contained")
	protected := s.Container
	protected.Name = "vault"
	n.k.all["a"] = protected
	require.Equal(t, order.Refused, n.send(t, kill("late", s.target())).Outcome, "but what it protects stays protected")
}

func TestTheKillSwitchStopsAllButLifting(t *testing.T) {
	s := newSandbox(t, "a", 1)
	n := newNode(t, s)
	require.NoError(t, n.stand(t, standing(1, onShell(order.Freeze))))
	frozen := held(order.Freeze, "1", s.target(), time.Minute)
	require.Equal(t, order.Done, n.send(t, frozen).Outcome)
	require.NoError(t, n.turn(t, 5, true))
	for range 2 { // after a restart too
		for _, o := range []order.Order{kill("k", s.target()), held(order.Cut, "c", s.target(), time.Minute), killProcess(t, "p", s.pid[0])} {
			r := n.send(t, o)
			require.Equal(t, order.Failed, r.Outcome, "it may be tried again")
			require.Contains(t, r.Message, "the kill switch is on: drill")
		}
		longer := frozen
		longer.Lease = frozen.Lease.Add(time.Hour)
		require.Equal(t, frozen.Lease.UnixNano(), n.send(t, longer).UntilNS, "nor is a lease renewed")
		n.reopen(t)
	}
	require.Equal(t, order.Done, n.send(t, lift(order.Thaw, "t", s.target(), "1")).Outcome)
	require.Nil(t, n.Immediate(s.Container, shell))
	require.ErrorIs(t, n.turn(t, 5, false), contain.ErrOlder)
	require.ErrorIs(t, n.turn(t, 4, false), contain.ErrOlder)
	require.Nil(t, n.Immediate(s.Container, shell))
	require.NoError(t, n.turn(t, 6, false))
	require.NotNil(t, n.Immediate(s.Container, shell))
	require.Equal(t, order.Done, n.send(t, kill("k", s.target())).Outcome)
}

func TestADamagedKillSwitchIsOn(t *testing.T) {
	s := newSandbox(t, "a", 1)
	n := newNode(t, s)
	file := filepath.Join(n.opt.Dir, "switch.json")
	require.NoError(t, os.WriteFile(file, []byte("{"), 0o600))
	n.reopen(t)
	require.Contains(t, n.send(t, kill("1", s.target())).Message, "damaged")
	require.NoError(t, n.turn(t, 1, false))
	require.Equal(t, order.Done, n.send(t, kill("1", s.target())).Outcome)
}

func TestOldAndForgedStandingOrders(t *testing.T) {
	s := newSandbox(t, "a", 1)
	n := newNode(t, s)
	require.NoError(t, n.stand(t, standing(9)))
	require.ErrorIs(t, n.stand(t, standing(9, onShell(order.Freeze))), contain.ErrOlder)
	require.ErrorIs(t, n.stand(t, standing(8, onShell(order.Freeze))), contain.ErrOlder)
	_, stranger, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	forged, err := order.SignStanding(stranger, standing(10, onShell(order.Freeze)))
	require.NoError(t, err)
	require.ErrorIs(t, n.TakeStanding(forged), order.ErrSignature)
	require.Error(t, n.TakeStanding([]byte("{")))
	other := standing(10, onShell(order.Freeze))
	other.Cluster = "d"
	require.ErrorIs(t, n.stand(t, other), order.ErrNotMine)
	// A message signed for something else is none of these.
	asSwitch, err := order.SignSwitch(n.key, order.Switch{Cluster: "c", Serial: 99})
	require.NoError(t, err)
	require.ErrorIs(t, n.TakeStanding(asSwitch), order.ErrSignature)
	require.Nil(t, n.Immediate(s.Container, shell))
	require.Equal(t, uint64(4), n.Counts()["contain_message_refused"])

	require.NoError(t, n.stand(t, standing(10, onShell(order.Freeze))))
	n.reopen(t)
	require.ErrorIs(t, n.stand(t, standing(10)), contain.ErrOlder, "the serial survives a restart")
	require.NotNil(t, n.Immediate(s.Container, shell), "and so do the orders")
}

// TestRepeatedStandingOrdersDoNotWearTheDisk: the responder repeats itself every few
// seconds.
func TestRepeatedStandingOrdersDoNotWearTheDisk(t *testing.T) {
	n := newNode(t)
	file := filepath.Join(n.opt.Dir, "standing.json")
	written := func() os.FileInfo {
		info, err := os.Stat(file)
		require.NoError(t, err)
		return info
	}
	require.NoError(t, n.stand(t, standing(1, onShell(order.Freeze))))
	first := written()
	require.NoError(t, n.stand(t, standing(2, onShell(order.Freeze))))
	require.True(t, os.SameFile(first, written()))
	require.NoError(t, n.stand(t, standing(3, onShell(order.Cut))))
	require.False(t, os.SameFile(first, written()), "news are written")
	later := standing(4, onShell(order.Cut))
	later.Expires = time.Now().Add(10 * time.Hour)
	second := written()
	require.NoError(t, n.stand(t, later))
	require.False(t, os.SameFile(second, written()), "and so is a much later expiry")
	require.ErrorIs(t, n.stand(t, standing(3)), contain.ErrOlder)
}

func TestARecordingIsNeverContained(t *testing.T) {
	s := newSandbox(t, "a", 1)
	n := newNode(t, s)
	n.opt.Recorded = true
	n.reopen(t)
	require.NoError(t, n.stand(t, standing(1, onShell(order.Freeze))))
	require.Nil(t, n.Immediate(s.Container, shell))
}

func TestACanaryBoundsImmediateContainment(t *testing.T) {
	s := newSandbox(t, "a", 1)
	n := newNode(t, s)
	tr := onShell(order.Freeze)
	tr.Namespaces, tr.Labels = []string{"shop"}, map[string]string{"canary": "yes"}
	require.NoError(t, n.stand(t, standing(1, tr)))
	for _, pod := range []*event.Pod{nil, {Namespace: "shop"}, {Namespace: "other", Labels: map[string]string{"canary": "yes"}}} {
		c := s.Container
		c.Pod = pod
		require.Nil(t, n.Immediate(c, shell), "%+v", pod)
	}
	c := s.Container
	c.Pod = &event.Pod{Namespace: "shop", Labels: map[string]string{"canary": "yes"}}
	require.NotNil(t, n.Immediate(c, shell))
}

func TestAPlaybooksKillSwitch(t *testing.T) {
	s := newSandbox(t, "a", 1)
	n := newNode(t, s)
	require.NoError(t, n.stand(t, standing(1, onShell(order.Freeze))))
	message, err := order.SignSwitch(n.key, order.Switch{Cluster: "c", Serial: 1, Playbooks: []string{"shell"}})
	require.NoError(t, err)
	require.NoError(t, n.TakeSwitch(message))
	require.Nil(t, n.Immediate(s.Container, shell))
	require.Equal(t, order.Done, n.send(t, held(order.Freeze, "1", s.target(), time.Minute)).Outcome, "orders are the responder's own to stop")
}

// BenchmarkImmediate takes the time from a rule's firing until every process of its
// container has stopped, without the way of the event to the rule.
func BenchmarkImmediate(b *testing.B) {
	s := newSandbox(b, "a", 3)
	n := newNode(b, s)
	require.NoError(b, n.stand(b, standing(1, onShell(order.Freeze))))
	var all []time.Duration
	for i := 0; b.Loop(); i++ {
		start := time.Now()
		require.NotNil(b, n.Immediate(s.Container, shell))
		called := time.Now()
		for !s.frozen(b) {
			require.Less(b, time.Since(called), 10*time.Second)
		}
		all = append(all, time.Since(start))
		b.StopTimer()
		require.Equal(b, order.Done, n.send(b, lift(order.Thaw, strconv.Itoa(i), s.target(), order.HoldStanding)).Outcome)
		b.StartTimer()
	}
	slices.Sort(all)
	for _, p := range []int{50, 99} {
		b.ReportMetric(float64(all[(len(all)-1)*p/100].Microseconds())/1000, fmt.Sprintf("p%d-ms", p))
	}
}

// While the responder's key is changed, messages of the old one and of the new one count.
func TestTwoKeysCountWhileOneTakesTheOthersPlace(t *testing.T) {
	s := newSandbox(t, "a", 1)
	n := newNode(t, s)
	before := n.key
	public, after, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	n.key = after
	require.ErrorIs(t, n.turn(t, 1, true), order.ErrSignature, "nobody has told of the new one")

	n.opt.Keys = append(n.opt.Keys, public)
	n.reopen(t)
	require.NoError(t, n.turn(t, 1, true))
	n.key = before
	require.NoError(t, n.turn(t, 2, false))
	require.NoError(t, n.stand(t, standing(1)))
	n.key = after
	require.NoError(t, n.turn(t, 3, true))
	require.Contains(t, n.send(t, kill("k", s.target())).Message, "kill switch")

	n.opt.Keys = contain.Keys{public}
	n.reopen(t)
	require.Contains(t, n.send(t, kill("k2", s.target())).Message, "kill switch")
	n.key = before
	require.ErrorIs(t, n.turn(t, 4, false), order.ErrSignature, "the old one has gone")
	n.key = after
	require.NoError(t, n.turn(t, 4, false))
	require.Equal(t, order.Done, n.send(t, kill("k3", s.target())).Outcome)
}
