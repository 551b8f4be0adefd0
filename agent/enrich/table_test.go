package enrich

import (
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/agent/event"
)

const second = uint64(1e9)

// The cgroups of the tests' machine.
const (
	hostGroup  = 1
	podGroup   = 50
	boxGroup   = 60
	childGroup = 61
)

func testRecording() *Recording {
	return &Recording{
		Cgroups: map[uint64]string{
			hostGroup: "/", podGroup: "/kubepods/pod" + uid + "/" + other,
			boxGroup: "/riposte/" + hex64, childGroup: "/riposte/" + hex64 + "/child",
		},
		Processes: []Seed{
			{CgroupID: hostGroup, Process: event.Process{PID: 1, StartNS: 1 * second, Comm: "init", CWD: "/"}},
			{CgroupID: boxGroup, Process: event.Process{PID: 20, PPID: 10, StartNS: 8 * second, Comm: "sh"}},
			{CgroupID: hostGroup, Process: event.Process{PID: 10, PPID: 1, StartNS: 5 * second, Comm: "runtime"}},
		},
	}
}

func testTable(t testing.TB, o Options) *Table {
	if o.Recording == nil {
		o.Recording = testRecording()
	}
	table, err := New(o)
	require.NoError(t, err)
	require.NoError(t, table.Snapshot())
	return table
}

func task(pid, ppid int32, start, cgroup uint64, comm string) event.Task {
	return event.Task{PID: pid, TID: pid, PPID: ppid, StartNS: start, CgroupID: cgroup, Comm: comm}
}

func (t *Table) do(e event.Event) *event.Event {
	t.Apply(&e)
	return &e
}

func forkOf(parent event.Task, pid int32, at, cgroup uint64) event.Event {
	return event.Event{
		Type: event.Clone, KernelNS: at, Task: parent, Ret: int64(pid),
		Fork: &event.Fork{PID: pid, PPID: parent.PID, VPID: pid, StartNS: at, CgroupID: cgroup},
	}
}

func TestSnapshot(t *testing.T) {
	table := testTable(t, Options{})
	e := table.do(event.Event{Type: event.Open, KernelNS: 9 * second, Task: task(20, 10, 8*second, boxGroup, "sh")})
	p := e.Proc
	require.False(t, p.StartKnown)
	require.Equal(t, []string{"runtime", "init"}, []string{p.Parent.Comm, p.Parent.Parent.Comm})
	require.Nil(t, p.Parent.Parent.Parent)
	require.Same(t, event.Host, p.Parent.Container)
	require.Equal(t, &event.Container{ID: hex64, CgroupID: boxGroup, Cgroup: "/riposte/" + hex64, StartNS: 8 * second}, p.Container)
}

func TestLifeOfAProcess(t *testing.T) {
	table := testTable(t, Options{})
	sh := task(20, 10, 8*second, boxGroup, "sh")
	e := table.do(forkOf(sh, 30, 9*second, childGroup))
	require.Equal(t, int32(20), e.Proc.PID)

	child := task(30, 20, 9*second, childGroup, "sh")
	e = table.do(event.Event{Type: event.Open, KernelNS: 9*second + 1, Task: child})
	require.True(t, e.Proc.StartKnown)
	require.Equal(t, "sh", e.Proc.Parent.Comm)
	require.Equal(t, hex64, e.Proc.Container.ID)
	require.Equal(t, uint64(boxGroup), e.Proc.Container.CgroupID)
	require.Equal(t, 8*second, e.Proc.Container.StartNS)

	child.Comm = "cat"
	e = table.do(event.Event{Type: event.Execve, KernelNS: 9*second + 2, Task: child, Ret: -2})
	require.Empty(t, e.Proc.ExePath, "a failed exec changes nothing")
	e = table.do(event.Event{
		Type: event.Execve, KernelNS: 9*second + 2, Task: child,
		Exec: &event.Exec{
			State: event.State{CWD: "/w", TTY: 7, SID: 2, PGID: 3, VPID: 4, VPGID: 5, LoginUID: 6, Credentials: event.Credentials{EUID: 8}},
			Path:  "/usr/bin/cat", Args: []string{"cat", "x"}, UpperLayer: true, Memfd: true, Writable: true, Ino: 9, Truncated: true,
		},
	})
	want := event.Process{
		PID: 30, PPID: 20, StartNS: 9 * second, StartKnown: true, VPID: 4, VPGID: 5, SID: 2, PGID: 3, Comm: "cat", Exe: "cat", ExePath: "/usr/bin/cat",
		Args: []string{"x"}, ArgsTruncated: true, CWD: "/w", LoginUID: 6, EUID: 8, TTY: 7, ExeUpperLayer: true, ExeMemfd: true, ExeWritable: true, ExeIno: 9,
		Parent: e.Proc.Parent, Container: e.Proc.Container,
	}
	require.EqualExportedValues(t, want, *e.Proc)

	// A thread's name is not the process's.
	thread := child
	thread.TID, thread.Comm = 31, "worker"
	require.Equal(t, "cat", table.do(event.Event{Type: event.Open, Task: thread, KernelNS: 9*second + 3}).Proc.Comm)

	e = table.do(event.Event{Type: event.ProcExit, KernelNS: 10 * second, Task: child})
	require.True(t, e.Proc.Exited)
	late := table.do(event.Event{Type: event.Open, KernelNS: 9*second + 9, Task: child})
	require.Same(t, e.Proc, late.Proc)
	require.Equal(t, "sh", late.Proc.Parent.Comm)

	// Long after, it is forgotten, and the pid's next owner is someone else.
	table.do(event.Event{Type: event.Open, KernelNS: 60 * second, Task: sh})
	require.Empty(t, table.exited)
	next := table.do(event.Event{Type: event.Open, KernelNS: 61 * second, Task: task(30, 1, 60*second, hostGroup, "new")})
	require.Equal(t, "new", next.Proc.Comm)
	require.Empty(t, next.Proc.ExePath)
}

func TestPIDIsUsedAgain(t *testing.T) {
	table := testTable(t, Options{})
	old := task(20, 10, 8*second, boxGroup, "sh")
	first := table.do(event.Event{Type: event.Open, KernelNS: 9 * second, Task: old}).Proc
	// The exit was lost; a new process has the pid.
	second1 := table.do(event.Event{Type: event.Open, KernelNS: 20 * second, Task: task(20, 1, 19*second, hostGroup, "other")}).Proc
	require.NotSame(t, first, second1)
	require.True(t, first.Exited)
	require.Same(t, event.Host, second1.Container)
	// An event of the first that comes late is still its own.
	require.Same(t, first, table.do(event.Event{Type: event.Open, KernelNS: 19 * second, Task: old}).Proc)
	require.Equal(t, hex64, first.Container.ID)
	// And so is one of a process never seen, older than the present owner.
	ghost := table.do(event.Event{Type: event.Open, KernelNS: 19 * second, Task: task(20, 1, 12*second, boxGroup, "ghost")}).Proc
	require.Equal(t, "ghost", ghost.Comm)
	require.Equal(t, hex64, ghost.Container.ID)
	require.Same(t, second1, &table.byPID[20].Process)
}

func TestReparenting(t *testing.T) {
	table := testTable(t, Options{})
	sh := task(20, 10, 8*second, boxGroup, "sh")
	table.do(forkOf(sh, 30, 9*second, boxGroup))
	table.do(event.Event{Type: event.ProcExit, KernelNS: 10 * second, Task: sh})
	orphan := table.do(event.Event{Type: event.Open, KernelNS: 11 * second, Task: task(30, 1, 9*second, boxGroup, "sh")}).Proc
	require.Equal(t, "init", orphan.Parent.Comm)
	require.Equal(t, int32(1), orphan.PPID)
	// A ring of parents, which no kernel has, does not hang anyone.
	ring := table.do(event.Event{Type: event.Open, KernelNS: 11 * second, Task: task(1, 30, 1*second, hostGroup, "init")}).Proc
	require.Nil(t, ring.Parent)
}

func TestContainerKeepsItsStart(t *testing.T) {
	table := testTable(t, Options{})
	runtime := task(10, 1, 5*second, hostGroup, "runtime")
	// The first process comes from the host's cgroup and moves.
	table.do(forkOf(runtime, 40, 11*second, hostGroup))
	first := table.do(event.Event{Type: event.Open, KernelNS: 12 * second, Task: task(40, 10, 11*second, podGroup, "init")}).Proc
	require.Equal(t, 11*second, first.Container.StartNS)
	require.Equal(t, uid, first.Container.Pod.UID)
	table.do(forkOf(task(40, 10, 11*second, podGroup, "init"), 41, 13*second, podGroup))
	table.do(event.Event{Type: event.ProcExit, KernelNS: 14 * second, Task: task(40, 10, 11*second, podGroup, "init")})
	c, ok := table.Container(other)
	require.True(t, ok)
	require.Equal(t, 11*second, c.StartNS)
	require.Equal(t, uint64(podGroup), c.CgroupID)
	require.Equal(t, "/kubepods/pod"+uid+"/"+other, c.Cgroup)

	// It is gone some time after its last process.
	table.do(event.Event{Type: event.ProcExit, KernelNS: 20 * second, Task: task(41, 1, 13*second, podGroup, "init")})
	table.do(forkOf(runtime, 42, 30*second, hostGroup))
	table.do(event.Event{Type: event.ProcExit, KernelNS: 50 * second, Task: task(42, 10, 30*second, hostGroup, "x")})
	_, ok = table.Container(other)
	require.True(t, ok)
	table.do(event.Event{Type: event.Open, KernelNS: 200 * second, Task: runtime})
	_, ok = table.Container(other)
	require.False(t, ok)
	_, ok = table.Container(hex64)
	require.True(t, ok, "its shell still runs")
}

type podsFunc func(string) (event.Pod, bool)

func (f podsFunc) Pod(uid string) (event.Pod, bool) { return f(uid) }

func TestPodArrivesLater(t *testing.T) {
	known := false
	asked := 0
	table := testTable(t, Options{Pods: podsFunc(func(got string) (event.Pod, bool) {
		require.Equal(t, uid, got)
		asked++
		return event.Pod{Namespace: "shop", Name: "web-1", Labels: map[string]string{"app": "web"}, Owner: "ReplicaSet/web"}, known
	})})
	in := task(40, 1, 11*second, podGroup, "nginx")
	at := func(ns uint64) *event.Pod {
		return table.do(event.Event{Type: event.Open, KernelNS: ns, Task: in}).Proc.Container.Pod
	}
	require.Equal(t, &event.Pod{UID: uid}, at(12*second))
	require.Equal(t, &event.Pod{UID: uid}, at(12*second+1))
	require.Equal(t, 1, asked)
	known = true
	require.Equal(t, &event.Pod{UID: uid, Namespace: "shop", Name: "web-1", Labels: map[string]string{"app": "web"}, Owner: "ReplicaSet/web"}, at(13*second))
	c, ok := table.Container(other)
	require.True(t, ok)
	c.Pod.Labels["app"] = "changed"
	require.Equal(t, "web", at(13*second + 1).Labels["app"], "Container returns a copy")
	require.Equal(t, 2, asked)
}

func TestTableIsBounded(t *testing.T) {
	table := testTable(t, Options{MaxProcesses: 5})
	init := task(1, 0, 1*second, hostGroup, "init")
	table.do(forkOf(init, 100, 10*second, hostGroup))
	table.do(event.Event{Type: event.ProcExit, KernelNS: 10*second + 1, Task: task(100, 1, 10*second, hostGroup, "a")})
	for pid := int32(101); pid < 110; pid++ {
		e := table.do(forkOf(init, pid, 11*second, hostGroup))
		require.NotNil(t, e.Proc)
		e = table.do(event.Event{Type: event.Open, KernelNS: 11*second + 1, Task: task(pid, 1, 11*second, hostGroup, "b")})
		require.NotNil(t, e.Proc.Container)
	}
	require.LessOrEqual(t, len(table.byPID)+len(table.exited), 5)
	counts := table.Counts()
	require.NotZero(t, counts["process_forgotten_early"])
	require.NotZero(t, counts["process_not_kept"])
}

func TestUnknownCgroupIsCounted(t *testing.T) {
	table := testTable(t, Options{})
	e := table.do(event.Event{Type: event.Open, KernelNS: 9 * second, Task: task(70, 1, 9*second, 12345, "x")})
	require.Same(t, event.Host, e.Proc.Container)
	require.Equal(t, uint64(1), table.Counts()["cgroup_unknown"])
}

func TestRecordAndReplayTable(t *testing.T) {
	table := testTable(t, Options{})
	again := testTable(t, Options{Recording: table.Record()})
	require.Equal(t, table.Record(), again.Record())
}

func BenchmarkApply(b *testing.B) {
	table := testTable(b, Options{})
	e := event.Event{Type: event.Openat, KernelNS: 9 * second, Task: task(20, 10, 8*second, boxGroup, "sh")}
	b.ReportAllocs()
	for b.Loop() {
		e.File = event.File{Kind: 'f', Num: 3, NameRaw: "/etc/passwd", RealPath: "/etc/passwd"}
		e.Ret = -2
		table.Apply(&e)
	}
}
