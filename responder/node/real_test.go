package node_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/agent/contain"
	"riposte/agent/event"
	"riposte/agent/order"
	"riposte/responder/action"
	"riposte/responder/action/cutnetwork"
	"riposte/responder/action/freezecontainer"
	"riposte/responder/action/killcontainer"
	"riposte/responder/action/killprocess"
)

// lab is a node's real half, and a container on it with one process.
type lab struct {
	*contain.Handler
	key  ed25519.PrivateKey
	c    event.Container
	dir  string
	proc *exec.Cmd
	done chan struct{}
}

func (l *lab) Container(id string) (event.Container, bool) { return l.c, id == l.c.ID }

func (l *lab) ContainerAt(path string) (event.Container, bool) {
	return l.c, path == l.c.Cgroup || strings.HasPrefix(path, l.c.Cgroup+"/")
}

// SendOrder is the bus without the network.
func (l *lab) SendOrder(ctx context.Context, o order.Order) (r order.Receipt, err error) {
	message, err := order.Sign(l.key, o)
	if err != nil {
		return r, err
	}
	err = json.Unmarshal(l.Answer(ctx, message), &r)
	return r, err
}

func newLab(t *testing.T) *lab {
	t.Helper()
	root := ""
	for _, dir := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		var st syscall.Statfs_t
		if syscall.Statfs(dir, &st) == nil && st.Type == 0x63677270 && os.Geteuid() == 0 {
			root = dir
		}
	}
	if root == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("needs root and a cgroup v2 tree")
		}
		t.Skip("needs root and a cgroup v2 tree")
	}
	l := &lab{dir: filepath.Join(root, fmt.Sprintf("riposte-node-test-%d-%d", os.Getpid(), time.Now().UnixNano())), done: make(chan struct{})}
	require.NoError(t, os.Mkdir(l.dir, 0o755))
	info, err := os.Stat(l.dir)
	require.NoError(t, err)
	l.c = event.Container{ID: strings.Repeat("ab", 32), CgroupID: info.Sys().(*syscall.Stat_t).Ino, StartNS: 1_234_567_890, Cgroup: strings.TrimPrefix(l.dir, root)}
	l.proc = exec.Command("sleep", "1000")
	l.proc.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	require.NoError(t, l.proc.Start())
	go func() { l.proc.Wait(); close(l.done) }()
	require.NoError(t, os.WriteFile(filepath.Join(l.dir, "cgroup.procs"), fmt.Appendf(nil, "%d", l.proc.Process.Pid), 0))
	t.Cleanup(func() {
		l.proc.Process.Kill()
		<-l.done
		require.Eventually(t, func() bool { return os.Remove(l.dir) == nil }, 10*time.Second, 5*time.Millisecond)
	})
	public, private, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	l.key = private
	l.Handler, err = contain.Open(contain.Options{Cluster: "c", Node: "n", Keys: contain.Keys{public}, CgroupRoot: root, Dir: t.TempDir(), Containers: l})
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}

func (l *lab) request(kind string) action.Request {
	return action.Request{
		ID: kind, Type: kind, Reason: "test", Expires: time.Now().Add(time.Minute), Attempt: 1,
		Target: action.Target{Kind: action.KindContainer, Cluster: "c", Node: "n", ContainerID: l.c.ID, CgroupID: l.c.CgroupID, StartNS: l.c.StartNS},
	}
}

func (l *lab) process(t *testing.T) action.Request {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", l.proc.Process.Pid))
	require.NoError(t, err)
	var ticks uint64
	_, err = fmt.Sscan(strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))[19], &ticks)
	require.NoError(t, err)
	r := l.request(killprocess.Type)
	r.Target = action.Target{Kind: action.KindProcess, Cluster: "c", Node: "n", PID: int32(l.proc.Process.Pid), ProcessNS: ticks * 10_000_000}
	return r
}

func (l *lab) frozen(t *testing.T) bool {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(l.dir, "cgroup.events"))
	require.NoError(t, err)
	return strings.Contains(string(b), "frozen 1")
}

func TestFreezeAndUndo(t *testing.T) {
	l := newLab(t)
	a, r := freezecontainer.New(l), l.request(freezecontainer.Type)
	require.NoError(t, a.Check(r.Target, r.Params))
	text, err := a.Preview(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, "Every process of container abababababab on n would be frozen for 1h0m0s, unless it is lifted before.", text)
	require.False(t, l.frozen(t), "a preview changes nothing")

	for attempt := range 2 { // after a crash it is executed again
		got, err := a.Execute(t.Context(), r)
		require.NoError(t, err)
		require.Contains(t, got.Note, "1 process frozen until ")
		require.Equal(t, attempt == 1, strings.HasSuffix(got.Note, ", at an earlier attempt"), got.Note)
		require.False(t, got.ExecutedAt.IsZero())
		require.True(t, l.frozen(t))
	}
	seen, err := a.Verify(t.Context(), r)
	require.NoError(t, err)
	require.False(t, seen.IsZero())

	r.Expires = time.Now().Add(-time.Hour)
	got, err := a.Undo(t.Context(), r)
	require.NoError(t, err, "long after the action itself has expired")
	require.Equal(t, "lifted", got.Note)
	require.False(t, l.frozen(t))
	got, err = a.Undo(t.Context(), r)
	require.NoError(t, err)
	require.Contains(t, got.Note, "lifted, at an earlier attempt")
	r.Expires = time.Now().Add(time.Minute)
	_, err = a.Verify(t.Context(), r)
	require.ErrorContains(t, err, "its lease on node n ended at")
	require.Equal(t, action.Permanent, action.KindOf(err))
	_, err = a.Execute(t.Context(), r)
	require.ErrorContains(t, err, "decide anew")
}

func TestCutAndUndo(t *testing.T) {
	l := newLab(t)
	a, r := cutnetwork.New(l), l.request(cutnetwork.Type)
	r.Params = json.RawMessage(`{"lease":"2h","loopback":true}`)
	require.NoError(t, a.Check(r.Target, r.Params))
	got, err := a.Execute(t.Context(), r)
	require.NoError(t, err)
	require.Contains(t, got.Note, "1 process cut off the network until ")
	seen, err := a.Verify(t.Context(), r)
	require.NoError(t, err)
	require.False(t, seen.IsZero())
	got, err = a.Undo(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, "lifted", got.Note)
}

func TestUndoOfWhatNeverWas(t *testing.T) {
	l := newLab(t)
	got, err := freezecontainer.New(l).Undo(t.Context(), l.request(freezecontainer.Type))
	require.NoError(t, err)
	require.Equal(t, "nothing was left to lift: nothing holds the container", got.Note)
}

func TestKillProcess(t *testing.T) {
	l := newLab(t)
	a, r := killprocess.New(l), l.process(t)
	require.NoError(t, a.Check(r.Target, nil))
	got, err := a.Execute(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, "the process was ended", got.Note)
	<-l.done
	seen, err := a.Verify(t.Context(), r)
	require.NoError(t, err)
	require.False(t, seen.IsZero())
	r.ID = "2"
	got, err = a.Execute(t.Context(), r)
	require.NoError(t, err)
	require.Contains(t, got.Note, "gone already")

	r.ID, r.Target.PID, r.Target.ProcessNS = "3", int32(os.Getpid()), 1
	_, err = a.Execute(t.Context(), r)
	require.ErrorContains(t, err, "node n refused: the target is the agent itself")
	require.Equal(t, action.Refused, action.KindOf(err))
}

func TestKillContainer(t *testing.T) {
	l := newLab(t)
	a, r := killcontainer.New(l), l.request(killcontainer.Type)
	got, err := a.Execute(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, "1 process ended", got.Note)
	<-l.done
	_, err = a.Verify(t.Context(), r)
	require.NoError(t, err)
}

func TestCheck(t *testing.T) {
	freeze, cut, kill := freezecontainer.New(nil), cutnetwork.New(nil), killprocess.New(nil)
	container := (&lab{c: event.Container{ID: "c1", CgroupID: 1, StartNS: 2}}).request("x").Target
	process := action.Target{Kind: action.KindProcess, Cluster: "c", Node: "n", PID: 5, ProcessNS: 6}
	change := func(t action.Target, change func(*action.Target)) action.Target { change(&t); return t }
	for name, c := range map[string]struct {
		a      action.Action
		target action.Target
		params string
		want   string
	}{
		"freeze":         {freeze, container, freeze.Spec().Example, ""},
		"freeze plain":   {freeze, container, "", ""},
		"cut":            {cut, container, cut.Spec().Example, ""},
		"kill":           {kill, process, kill.Spec().Example, ""},
		"short lease":    {freeze, container, `{"lease":"1s"}`, "params.lease: 1s is not from 10s to 168h0m0s"},
		"long lease":     {cut, container, `{"lease":"169h"}`, "params.lease: 169h0m0s is not"},
		"no duration":    {cut, container, `{"lease":"soon"}`, "params.lease"},
		"unknown key":    {freeze, container, `{"loopback":true}`, `unknown key "loopback"`},
		"loopback":       {cut, container, `{"loopback":"yes"}`, "params.loopback"},
		"pod":            {freeze, change(container, func(t *action.Target) { t.Kind = "pod" }), "", "acts on a container"},
		"no cgroup":      {cut, change(container, func(t *action.Target) { t.CgroupID = 0 }), "", "target.cgroup_id"},
		"no node":        {freeze, change(container, func(t *action.Target) { t.Node = "" }), "", "target.node"},
		"a container":    {kill, container, "", "acts on a process"},
		"first process":  {kill, change(process, func(t *action.Target) { t.PID = 1 }), "", "target.pid"},
		"no start":       {kill, change(process, func(t *action.Target) { t.ProcessNS = 0 }), "", "target.process_ns"},
		"half container": {kill, change(process, func(t *action.Target) { t.ContainerID = "c1" }), "", "target.cgroup_id"},
		"kill's params":  {kill, process, `{"signal":9}`, "unknown key"},
		"kill's node":    {kill, change(process, func(t *action.Target) { t.Node = "" }), "", "target.node"},
	} {
		err := c.a.Check(c.target, json.RawMessage(c.params))
		if c.want == "" {
			require.NoError(t, err, name)
			continue
		}
		require.ErrorContains(t, err, c.want, name)
	}
}
