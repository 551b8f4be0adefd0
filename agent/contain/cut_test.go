package contain_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/stretchr/testify/require"

	"riposte/agent/contain"
	"riposte/agent/order"
)

// passes sends each way and waits until all have arrived.
func (w *network) passes(mark string) {
	w.t.Helper()
	for way, send := range ways {
		text := mark + "-" + way
		require.Equal(w.t, "ok", send(w, text), way)
		require.Equal(w.t, text, w.next())
	}
}

// dropped sends each way and proves that nothing arrives: the counters of the cut
// say that each packet was dropped, and what is sent after the cut arrives first.
func (w *network) dropped(n *node, o order.Order, mark string) {
	w.t.Helper()
	for way, send := range ways {
		before := n.send(w.t, o).Dropped
		send(w, mark+"-"+way)
		require.Eventually(w.t, func() bool { return n.send(w.t, o).Dropped > before }, 10*time.Second, time.Millisecond, way)
	}
	require.Empty(w.t, w.arrived)
}

// TestCutStopsEveryWayOut sends by packet sockets that were opened before and after
// the cut, which go around the cgroup.
func TestCutStopsEveryWayOut(t *testing.T) {
	for name, kind := range map[string]string{"packet socket": "", "packet socket without queueing": "bypass", "kernel before 6.6": "bypass"} {
		t.Run(name, func(t *testing.T) {
			if strings.HasPrefix(name, "kernel") {
				contain.WithoutTCX(t)
			}
			w := newNetwork(t, true)
			n := newNode(t, w.sandbox)
			require.Equal(t, "ok", w.do("packet %s", kind))
			w.passes("before")

			o := held(order.Cut, "1", w.target(), time.Minute)
			r := n.send(t, o)
			require.Equal(t, order.Done, r.Outcome, r.Message)
			require.NotZero(t, r.VerifiedNS, r.Message)
			w.dropped(n, o, "old socket")
			require.Equal(t, "ok", w.do("packet %s", kind))
			w.dropped(n, o, "new socket")

			r = n.send(t, lift(order.Reconnect, "2", w.target(), "1"))
			require.Equal(t, order.Done, r.Outcome, r.Message)
			require.NotZero(t, r.VerifiedNS)
			w.passes("after") // and so nothing of what was sent meanwhile arrives late
			require.Zero(t, attachedTo(t, w.host))
			require.Empty(t, filtersOf(t, w.host))
		})
	}
}

// attachedTo counts the programs at a device.
func attachedTo(t *testing.T, device string) (n int) {
	t.Helper()
	dev, err := net.InterfaceByName(device)
	require.NoError(t, err)
	for _, hook := range []ebpf.AttachType{ebpf.AttachTCXIngress, ebpf.AttachTCXEgress} {
		found, err := link.QueryPrograms(link.QueryOptions{Target: dev.Index, Attach: hook})
		require.NoError(t, err)
		n += len(found.Programs)
	}
	return n
}

// filtersOf shows the filters of a device.
func filtersOf(t *testing.T, device string) string {
	t.Helper()
	var all strings.Builder
	for _, way := range []string{"ingress", "egress"} {
		out, err := exec.Command("tc", "filter", "show", "dev", device, way).CombinedOutput()
		require.NoError(t, err, "%s", out)
		all.Write(out)
	}
	return all.String()
}

// TestACutLeavesOthersFiltersAlone puts the programs before a filter of somebody else,
// as a network plugin has them.
func TestACutLeavesOthersFiltersAlone(t *testing.T) {
	contain.WithoutTCX(t)
	w := newNetwork(t, true)
	n := newNode(t, w.sandbox)
	require.Equal(t, "ok", w.do("packet"))
	for _, args := range []string{"qdisc add dev %s clsact", "filter add dev %s ingress prio 1 bpf da object-file ../../bpf/contain_bpfel.o section tcx/ingress"} {
		out, err := exec.Command("tc", strings.Fields(fmt.Sprintf(args, w.host))...).CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	before := filtersOf(t, w.host)
	o := held(order.Cut, "1", w.target(), time.Minute)
	r := n.send(t, o)
	require.Equal(t, order.Done, r.Outcome)
	require.NotZero(t, r.VerifiedNS, r.Message)
	w.dropped(n, o, "cut")
	require.Equal(t, order.Done, n.send(t, lift(order.Reconnect, "2", w.target(), "1")).Outcome)
	require.Equal(t, before, filtersOf(t, w.host))
	w.passes("after")
}

func TestCutEndsEstablishedConnections(t *testing.T) {
	w := newNetwork(t, true)
	n := newNode(t, w.sandbox)
	l, err := net.Listen("tcp4", hostAddr+":0")
	require.NoError(t, err)
	defer l.Close()
	require.Equal(t, "ok", w.do("dial %s", l.Addr()))
	c, err := l.Accept()
	require.NoError(t, err)
	defer c.Close()
	b := make([]byte, 5)
	require.Equal(t, "ok", w.do("write hello"))
	_, err = io.ReadFull(c, b)
	require.NoError(t, err)

	o := held(order.Cut, "1", w.target(), time.Minute)
	require.Equal(t, order.Done, n.send(t, o).Outcome)
	before := n.send(t, o).Dropped
	w.do("write world")
	require.Eventually(t, func() bool { return n.send(t, o).Dropped > before }, 10*time.Second, time.Millisecond)
	before = n.send(t, o).Dropped
	_, err = c.Write([]byte("are you there"))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return n.send(t, o).Dropped > before }, 10*time.Second, time.Millisecond, "nothing comes in either")
	require.NoError(t, c.SetReadDeadline(time.Now()))
	_, err = c.Read(b)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)

	require.Equal(t, order.Done, n.send(t, lift(order.Reconnect, "2", w.target(), "1")).Outcome)
	require.NoError(t, c.SetReadDeadline(time.Now().Add(20*time.Second)))
	_, err = io.ReadFull(c, b)
	require.NoError(t, err)
	require.Equal(t, "world", string(b), "TCP repeats what was dropped, once the cut is lifted")
}

func TestCutMayLeaveTheLoopback(t *testing.T) {
	w := newNetwork(t, true)
	n := newNode(t, w.sandbox)
	o := held(order.Cut, "1", w.target(), time.Minute)
	o.Loopback = true
	require.Equal(t, order.Done, n.send(t, o).Outcome)
	before := n.send(t, o).Dropped
	require.Equal(t, "ok", w.do("loop hello"))
	w.do("udp away")
	require.Eventually(t, func() bool { return n.send(t, o).Dropped > before }, 10*time.Second, time.Millisecond)
	require.Empty(t, w.arrived)

	strict := held(order.Cut, "2", w.target(), time.Minute)
	require.Equal(t, order.Done, n.send(t, strict).Outcome)
	before = n.send(t, strict).Dropped
	w.do("loop hello")
	require.Greater(t, n.send(t, strict).Dropped, before, "the stricter order counts")
}

func TestACutSurvivesARestartAndEndsWithItsLease(t *testing.T) {
	w := newNetwork(t, true)
	n := newNode(t, w.sandbox)
	stop := n.run(t)
	o := held(order.Cut, "1", w.target(), 2*time.Second)
	require.Equal(t, order.Done, n.send(t, o).Outcome)
	require.Equal(t, "ok", w.do("packet"))
	stop()
	n.reopen(t)
	w.dropped(n, o, "restarted")
	n.run(t)
	require.Eventually(t, func() bool { return n.send(t, o).LiftedNS != 0 }, 20*time.Second, time.Millisecond)
	w.passes("after")
	// The lease ends by the clock, in the kernel; the agent takes the programs away after it.
	require.Eventually(t, func() bool { return attachedTo(t, w.host) == 0 }, 10*time.Second, time.Millisecond)
}

// TestACutEndsInTimeWithoutAnAgent: the programs stay, and let everything pass.
func TestACutEndsInTimeWithoutAnAgent(t *testing.T) {
	w := newNetwork(t, true)
	n := newNode(t, w.sandbox)
	require.Equal(t, "ok", w.do("packet"))
	o := held(order.Cut, "1", w.target(), time.Second)
	r := n.send(t, o)
	require.Equal(t, order.Done, r.Outcome)
	w.do("udp lost")
	require.Empty(t, w.arrived)
	require.NoError(t, n.Close())
	<-time.After(time.Until(o.Lease)) // the lease itself, not luck
	w.passes("after")
	require.Equal(t, 2, attachedTo(t, w.host))
	n.Handler = nil
	n.reopen(t)
	n.run(t)
	require.Eventually(t, func() bool { return attachedTo(t, w.host) == 0 }, 10*time.Second, 10*time.Millisecond, "and the next run takes them away")
}

func TestACutOfAContainerOnTheHostsNetworkSaysWhatItDoesNotStop(t *testing.T) {
	w := newNetwork(t, false)
	n := newNode(t, w.sandbox)
	o := held(order.Cut, "1", w.target(), time.Minute)
	r := n.send(t, o)
	require.Equal(t, order.Done, r.Outcome, r.Message)
	require.Zero(t, r.VerifiedNS)
	require.Contains(t, r.Message, "shares the host's network")
	before := n.send(t, o).Dropped
	require.Contains(t, w.do("loop hello"), "error")
	require.Greater(t, n.send(t, o).Dropped, before)
}

func TestACutThatAnotherRemovedIsNoticed(t *testing.T) {
	w := newNetwork(t, true)
	n := newNode(t, w.sandbox)
	o := held(order.Cut, "1", w.target(), time.Minute)
	require.Equal(t, order.Done, n.send(t, o).Outcome)
	// The device goes, and with it the programs and the way out.
	ip(t, "link", "del", w.host)
	require.Equal(t, order.Done, n.send(t, o).Outcome)
	require.Equal(t, order.Done, n.send(t, lift(order.Reconnect, "2", w.target(), "")).Outcome)
	require.NotContains(t, n.leases(t), "devices")
}

// TestACutAtAContainersOwnDevice has the other end of the cable where the host cannot
// reach it, as with a device that is no veth pair.
func TestACutAtAContainersOwnDevice(t *testing.T) {
	w := newNetwork(t, true)
	far := exec.Command("sleep", "1000")
	far.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	require.NoError(t, far.Start())
	defer func() { far.Process.Kill(); far.Wait() }()
	dev, err := net.InterfaceByName(w.host)
	require.NoError(t, err)
	ip(t, "link", "set", w.host, "netns", strconv.Itoa(far.Process.Pid))
	out, err := exec.Command("nsenter", "-t", strconv.Itoa(far.Process.Pid), "-n", "ip", "link", "set", w.host, "up").CombinedOutput()
	require.NoError(t, err, "%s", out)
	n := newNode(t, w.sandbox)
	o := held(order.Cut, "1", w.target(), time.Minute)
	r := n.send(t, o)
	require.Equal(t, order.Done, r.Outcome, r.Message)
	require.Zero(t, r.VerifiedNS)
	require.Contains(t, r.Message, "device eth0 is no veth pair's end")
	require.Equal(t, "ok", w.do("packet"))
	before := n.send(t, o).Dropped
	w.do("frame %s %s", dev.HardwareAddr, "lost")
	require.Eventually(t, func() bool { return n.send(t, o).Dropped > before }, 10*time.Second, time.Millisecond)
	require.Contains(t, n.leases(t), `"netns"`)
	require.Equal(t, order.Done, n.send(t, lift(order.Reconnect, "2", w.target(), "1")).Outcome)
	require.Equal(t, "ok", w.do("frame %s %s", dev.HardwareAddr, "away"))
}

// TestKilledBetweenLeaseAndCut leaves what an agent leaves that is killed after it
// has written the lease and before it has attached anything.
func TestKilledBetweenLeaseAndCut(t *testing.T) {
	w := newNetwork(t, true)
	n := newNode(t, w.sandbox)
	o := held(order.Cut, "1", w.target(), time.Minute)
	require.Equal(t, order.Done, n.send(t, o).Outcome)
	lease := n.leases(t)
	require.Equal(t, order.Done, n.send(t, lift(order.Reconnect, "2", w.target(), "")).Outcome)

	require.NoError(t, os.WriteFile(filepath.Join(n.opt.Dir, "leases.json"), []byte(lease), 0o600))
	n.ledger(t, begun(o))
	require.Equal(t, "ok", w.do("packet"))
	r := n.send(t, o)
	require.Equal(t, order.Done, r.Outcome, r.Message)
	require.NotZero(t, r.VerifiedNS, r.Message)
	w.dropped(n, o, "cut")
	require.Equal(t, order.Done, n.send(t, lift(order.Reconnect, "3", w.target(), "1")).Outcome)
	require.Zero(t, attachedTo(t, w.host))
}
