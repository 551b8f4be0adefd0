package agent_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/agent/alert"
	"riposte/agent/order"
)

func (b *box) steal(t testing.TB) {
	t.Helper()
	b.run(t, "read line </etc/shadow; echo done")
}

func (b *box) frozen(t testing.TB) bool {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(b.dir, "cgroup.events"))
	require.NoError(t, err)
	return strings.Contains(string(text), "frozen 1")
}

// stand sends standing orders until the agent contains by them: its subscription may
// still be on its way.
func (l *lab) stand(t testing.TB, serial uint64) {
	t.Helper()
	critical := alert.Critical
	message, err := order.SignStanding(l.key, order.Standing{
		Cluster: cluster, Serial: serial, Expires: time.Now().Add(time.Hour),
		Triggers: []order.Trigger{{Playbook: "shadow", Contain: order.Freeze, Priority: &critical}},
	})
	require.NoError(t, err)
	require.NoError(t, l.nc.Publish(order.StandingSubject(cluster), message))
	require.NoError(t, l.nc.Flush())
	file := filepath.Join(l.opt.DataDir, "orders", "standing.json")
	require.Eventually(t, func() bool {
		got, err := os.ReadFile(file)
		if err == nil && string(got) == string(message) {
			return true
		}
		return l.nc.Publish(order.StandingSubject(cluster), message) != nil
	}, 20*time.Second, 10*time.Millisecond)
}

func (l *lab) shadowRules(t testing.TB) {
	t.Helper()
	rules := filepath.Join(t.TempDir(), "rules.yaml")
	require.NoError(t, os.WriteFile(rules, []byte(shadowRule), 0o600))
	l.opt.RuleFiles = []string{rules}
}

// TestARuleThatFiresFreezesItsContainerAtOnce needs the bus only once: for the
// standing orders.
func TestARuleThatFiresFreezesItsContainerAtOnce(t *testing.T) {
	root := live(t)
	l := newLab(t)
	l.shadowRules(t)
	stop := start(t, l.opt)
	b := newBox(t, root)
	l.stand(t, 1)
	b.steal(t)
	mine := func(b *box) func(a *alert.Alert) bool {
		return func(a *alert.Alert) bool { return a.Riposte.Container != nil && a.Riposte.Container.ID == b.id }
	}
	a := l.next(t, mine(b))
	require.NotNil(t, a.Riposte.Contained)
	require.Equal(t, "freeze", a.Riposte.Contained.Kind)
	require.Equal(t, "shadow", a.Riposte.Contained.Playbook)
	require.Positive(t, a.Riposte.Contained.LeaseNS)
	require.Eventually(t, func() bool { return b.frozen(t) }, 10*time.Second, time.Millisecond)

	c := a.Riposte.Container
	r := l.order(t, order.Order{
		ID: "thaw", Kind: order.Thaw, Of: order.HoldStanding, Cluster: cluster, Node: node, Issued: time.Now(), Expires: time.Now().Add(time.Minute),
		Target: order.Target{ContainerID: c.ID, CgroupID: c.CgroupID, StartNS: c.StartNS},
	})
	require.Equal(t, order.Done, r.Outcome, r.Message)
	require.False(t, b.frozen(t))
	require.True(t, b.out.Scan())
	require.Equal(t, "done", b.out.Text(), "the process goes on where it was")
	stop()

	other := newBox(t, root)
	start(t, l.opt) // knows its standing orders from its disk
	other.steal(t)
	require.Eventually(t, func() bool { return other.frozen(t) }, 20*time.Second, time.Millisecond)
	require.NotNil(t, l.next(t, mine(other)).Riposte.Contained)
}

// BenchmarkImmediateFreeze takes the time from a system call's return, by the kernel's
// clock, until every process of the container has stopped.
func BenchmarkImmediateFreeze(b *testing.B) {
	root := live(b)
	l := newLab(b)
	l.shadowRules(b)
	start(b, l.opt)
	l.stand(b, 1)
	var all []time.Duration
	for b.Loop() {
		b.StopTimer()
		x := newBox(b, root)
		b.StartTimer()
		x.steal(b)
		at := time.Now()
		for deadline := at.Add(10 * time.Second); !x.frozen(b); at = time.Now() {
			require.Less(b, at, deadline)
			time.Sleep(50 * time.Microsecond) // the agent may need this processor
		}
		b.StopTimer()
		a := l.next(b, func(a *alert.Alert) bool { return a.Riposte.Container != nil && a.Riposte.Container.ID == x.id })
		all = append(all, at.Sub(time.Unix(0, a.Riposte.KernelTimeNS)))
		x.end()
		b.StartTimer()
	}
	slices.Sort(all)
	for _, p := range []int{50, 99} {
		b.ReportMetric(float64(all[(len(all)-1)*p/100].Microseconds())/1000, fmt.Sprintf("p%d-ms", p))
	}
}
