package contain_test

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/agent/event"
	"riposte/agent/order"
)

// startOf is a process's start since boot, as /proc tells it.
func startOf(t *testing.T, pid int) uint64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	require.NoError(t, err)
	ticks, err := strconv.ParseUint(strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))[19], 10, 64)
	require.NoError(t, err)
	return ticks * 10_000_000
}

func killProcess(t *testing.T, id string, pid int) order.Order {
	t.Helper()
	o := kill(id, order.Target{PID: int32(pid), ProcessNS: startOf(t, pid)})
	o.Kind = order.KillProcess
	return o
}

func TestKillProcessEndsOneProcess(t *testing.T) {
	s := newSandbox(t, "a", 2)
	n := newNode(t, s)
	o := killProcess(t, "1", s.pid[0])
	r := n.send(t, o)
	require.Equal(t, order.Done, r.Outcome, r.Message)
	require.NotZero(t, r.VerifiedNS)
	require.Equal(t, 1, r.Processes)
	require.NoError(t, syscall.Kill(s.pid[1], 0), "the other one lives")
	require.True(t, n.send(t, o).Repeated)

	o = killProcess(t, "2", s.pid[1])
	o.Target.ContainerID, o.Target.CgroupID, o.Target.StartNS = s.ID, s.CgroupID, s.StartNS
	require.Equal(t, order.Done, n.send(t, o).Outcome, "with the container's identity too")
	require.False(t, s.populated(t))
	o.ID = "3"
	r = n.send(t, o)
	require.Equal(t, order.Gone, r.Outcome)
	require.NotZero(t, r.VerifiedNS)
}

// TestKillProcessThatNobodyHasReaped: it has ended, though its pid is still taken.
func TestKillProcessThatNobodyHasReaped(t *testing.T) {
	s := newSandbox(t, "a", 0)
	c := exec.Command("sleep", "1000")
	require.NoError(t, c.Start())
	defer c.Wait()
	require.NoError(t, os.WriteFile(s.dir+"/cgroup.procs", fmt.Appendf(nil, "%d", c.Process.Pid), 0))
	n := newNode(t, s)
	o := killProcess(t, "1", c.Process.Pid)
	require.Equal(t, order.Done, n.send(t, o).Outcome)
	o.ID = "2"
	r := n.send(t, o)
	require.Equal(t, order.Gone, r.Outcome)
	require.NotZero(t, r.VerifiedNS)
}

func TestKillProcessInAFrozenContainer(t *testing.T) {
	s := newSandbox(t, "a", 1)
	n := newNode(t, s)
	require.Equal(t, order.Done, n.send(t, held(order.Freeze, "1", s.target(), 1<<40)).Outcome)
	r := n.send(t, killProcess(t, "2", s.pid[0]))
	require.Equal(t, order.Done, r.Outcome, r.Message)
	require.NotZero(t, r.VerifiedNS)
}

func TestKillProcessRefuses(t *testing.T) {
	s := newSandbox(t, "a", 1)
	outside := exec.Command("sleep", "1000")
	require.NoError(t, outside.Start())
	defer func() { outside.Process.Kill(); outside.Wait() }()
	n := newNode(t, s)
	for name, c := range map[string]struct {
		pid    int
		change func(*order.Order)
		want   order.Outcome
		why    string
	}{
		"first process":     {1, nil, order.Refused, "first process"},
		"agent":             {os.Getpid(), nil, order.Refused, "agent itself"},
		"kernel thread":     {2, nil, order.Refused, "thread of the kernel"},
		"beside the agent":  {outside.Process.Pid, nil, order.Refused, "cgroup"},
		"start":             {s.pid[0], func(o *order.Order) { o.Target.ProcessNS += 20_000_000 }, order.Gone, "another process has the pid"},
		"no start":          {s.pid[0], func(o *order.Order) { o.Target.ProcessNS = 0 }, order.Refused, "lacks its pid"},
		"negative":          {s.pid[0], func(o *order.Order) { o.Target.PID = -1 }, order.Refused, "lacks its pid"},
		"half a container":  {s.pid[0], func(o *order.Order) { o.Target.ContainerID = "a" }, order.Refused, "in part"},
		"another container": {s.pid[0], func(o *order.Order) { o.Target.ContainerID, o.Target.CgroupID, o.Target.StartNS = "b", 1, 1 }, order.Refused, "another container"},
	} {
		o := killProcess(t, name, c.pid)
		if c.change != nil {
			c.change(&o)
		}
		r := n.send(t, o)
		require.Equal(t, c.want, r.Outcome, "%s: %s", name, r.Message)
		require.Contains(t, r.Message, c.why, name)
	}
	require.NoError(t, syscall.Kill(s.pid[0], 0))
	require.NoError(t, syscall.Kill(outside.Process.Pid, 0))
}

// TestKillProcessOutsideOfAnyContainer stands for the kubelet, the container runtime,
// the bus and the database: each has a cgroup, and it is no container's.
func TestKillProcessOutsideOfAnyContainer(t *testing.T) {
	s, service := newSandbox(t, "a", 1), newSandbox(t, "kubelet.service", 1)
	n := newNode(t, s)
	r := n.send(t, killProcess(t, "1", service.pid[0]))
	require.Equal(t, order.Refused, r.Outcome)
	require.Contains(t, r.Message, "in no container")
	require.True(t, service.populated(t))
	n.k.all["b"] = event.Container{ID: "b", Cgroup: service.Cgroup + "-not", CgroupID: 7, StartNS: 7}
	require.Equal(t, order.Refused, n.send(t, killProcess(t, "2", service.pid[0])).Outcome)
}
