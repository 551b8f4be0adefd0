package enrich

import (
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/agent/enrich/user"
	"riposte/agent/event"
)

// usersFunc is a Users.
type usersFunc func(container string, p *event.Process) user.Names

func (f usersFunc) Names(container string, p *event.Process) user.Names { return f(container, p) }

// family is a table with a shell in a container, its child and its grandchild.
type family struct {
	*Table
	runtimes          *asked
	podName, userName string

	shell, child, grand event.Task
	p, c, g             *event.Process
	state               event.State
}

// asked is a Runtimes that notes what it was asked for.
type asked struct {
	ids     []string
	patient []bool
	nobody  bool
}

func (a *asked) Ask(id string, patient bool) bool {
	a.ids, a.patient = append(a.ids, id), append(a.patient, patient)
	return !a.nobody
}

func newFamily(t *testing.T) *family {
	f := &family{runtimes: &asked{}}
	f.Table = testTable(t, Options{
		Runtimes: f.runtimes,
		Pods: podsFunc(func(string) (event.Pod, bool) {
			return event.Pod{Name: f.podName, Namespace: "shop"}, f.podName != ""
		}),
		Users: usersFunc(func(string, *event.Process) user.Names { return user.Names{User: f.userName} }),
	})
	f.shell = task(40, 10, 9*second, podGroup, "sh")
	f.do(forkOf(task(10, 1, 5*second, hostGroup, "runtime"), 40, 9*second, podGroup))
	f.do(forkOf(f.shell, 41, 9*second+1, podGroup))
	f.child = task(41, 40, 9*second+1, podGroup, "sh")
	f.do(forkOf(f.child, 42, 9*second+2, podGroup))
	f.grand = task(42, 41, 9*second+2, podGroup, "sh")
	f.p, f.c, f.g = f.look(f.shell), f.look(f.child), f.look(f.grand)
	f.state = event.State{CWD: "/", Root: "/", SID: 40, PGID: 40, VPID: 1, VPGID: 1}
	f.changeTo(f.shell, event.Setsid)
	return f
}

// look is an event that changes nothing.
func (f *family) look(task event.Task) *event.Process {
	return f.do(event.Event{Type: event.Close, KernelNS: 10 * second, Task: task}).Proc
}

// changeTo is a call of the state set after which f.state holds.
func (f *family) changeTo(task event.Task, typ event.Type) {
	state := f.state
	f.do(event.Event{Type: typ, KernelNS: 10 * second, Task: task, Change: &state})
}

// TestChangesAreNoticed: after each of them, whatever was found out about the shell and
// those below it is found out anew.
func TestChangesAreNoticed(t *testing.T) {
	for name, change := range map[string]func(f *family){
		"exec": func(f *family) {
			f.do(event.Event{Type: event.Execve, KernelNS: 10 * second, Task: f.shell, Exec: &event.Exec{Path: "/bin/x"}})
		},
		"name":       func(f *family) { f.shell.Comm = "new"; f.look(f.shell) },
		"user":       func(f *family) { f.shell.UID = 7; f.look(f.shell) },
		"group":      func(f *family) { f.shell.GID = 7; f.look(f.shell) },
		"setuid":     func(f *family) { f.state.EUID = 7; f.changeTo(f.shell, event.Setresuid) },
		"setgid":     func(f *family) { f.state.EGID = 7; f.changeTo(f.shell, event.Setgid) },
		"capset":     func(f *family) { f.state.Caps.Known = true; f.changeTo(f.shell, event.Capset) },
		"chdir":      func(f *family) { f.state.CWD = "/tmp"; f.changeTo(f.shell, event.Chdir) },
		"chroot":     func(f *family) { f.state.Root = "/jail"; f.changeTo(f.shell, event.Chroot) },
		"setsid":     func(f *family) { f.state.SID = 7; f.changeTo(f.shell, event.Setsid) },
		"setpgid":    func(f *family) { f.state.PGID = 7; f.changeTo(f.shell, event.Setpgid) },
		"unshare":    func(f *family) { f.state.Namespaces.Mount = 7; f.changeTo(f.shell, event.Unshare) },
		"terminal":   func(f *family) { f.state.TTY = 7; f.changeTo(f.shell, event.Setsid) },
		"login":      func(f *family) { f.state.LoginUID = 7; f.changeTo(f.shell, event.Setsid) },
		"cgroup":     func(f *family) { f.shell.CgroupID = boxGroup; f.look(f.shell) },
		"user names": func(f *family) { f.userName = "alice"; f.UsersChanged(other) },
		"reparented": func(f *family) {
			f.do(event.Event{Type: event.ProcExit, KernelNS: 10 * second, Task: task(10, 1, 5*second, hostGroup, "runtime")})
		},
		"ancestor's exec": func(f *family) {
			f.do(event.Event{Type: event.Execve, KernelNS: 10 * second, Task: task(10, 1, 5*second, hostGroup, "new"), Exec: &event.Exec{Path: "/bin/x"}})
		},
		"moved by another": func(f *family) {
			f.do(event.Event{KernelNS: 10 * second, Task: task(1, 0, 1*second, hostGroup, "init"), Move: &event.Move{PID: 40, StartNS: 9 * second}, Cgroup: &event.Cgroup{ID: boxGroup}})
		},
		"a thread's chdir": func(f *family) {
			f.state.CWD = "/tmp"
			thread := f.shell
			thread.TID = 49
			f.changeTo(thread, event.Chdir)
		},
		"cwd seen at an open": func(f *family) {
			f.do(event.Event{Type: event.Open, KernelNS: 10 * second, Task: f.shell, Ret: 3, File: event.File{Kind: 'f', NameRaw: "x", Base: "/srv"}})
		},
		"exit": func(f *family) { f.do(event.Event{Type: event.ProcExit, KernelNS: 10 * second, Task: f.shell}) },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFamily(t)
			then := f.clock.Now()
			f.look(f.shell)
			f.look(f.grand)
			require.Equal(t, then, f.clock.Now(), "nothing has changed yet")
			change(f)
			require.True(t, f.clock.Since(f.p, then))
			require.True(t, f.clock.Since(f.c, then), "its child")
			require.True(t, f.clock.Since(f.g, then), "its grandchild")
			then = f.clock.Now()
			again := f.byPID[1]
			require.False(t, f.clock.Since(&again.Process, then))
		})
	}
	for name, change := range map[string]func(f *family){
		"metadata": func(f *family) { f.Learn(other, &event.Container{Name: "web"}, false) },
		"no such":  func(f *family) { f.Learn(other, nil, false) },
		"pod": func(f *family) {
			f.podName = "web-1"
			f.do(event.Event{Type: event.Close, KernelNS: 11 * second, Task: f.shell})
		},
	} {
		t.Run("container's "+name, func(t *testing.T) {
			f := newFamily(t)
			then := f.clock.Now()
			change(f)
			require.True(t, f.clock.Since(f.p, then))
			require.True(t, f.clock.Since(f.g, then))
		})
	}
}

// TestSameAgainIsNoChange: what only repeats what is known costs nobody anything.
func TestSameAgainIsNoChange(t *testing.T) {
	f := newFamily(t)
	then := f.clock.Now()
	f.changeTo(f.shell, event.Chdir)
	f.changeTo(f.shell, event.Setuid)
	f.UsersChanged(other)
	f.podName = ""
	f.do(event.Event{Type: event.Close, KernelNS: 11 * second, Task: f.shell})
	require.Equal(t, then, f.clock.Now())
}

func TestThreadsHaveNamesAndUsersOfTheirOwn(t *testing.T) {
	f := newFamily(t)
	thread := f.shell
	thread.TID, thread.Comm, thread.UID = 49, "worker", 5
	require.Equal(t, "sh", f.look(thread).Comm)
	f.state.EUID, f.state.Caps = 5, event.Capabilities{Known: true, Effective: 1}
	f.changeTo(thread, event.Setresuid)
	require.Equal(t, []uint32{0, 0}, []uint32{f.p.UID, f.p.EUID})
	require.False(t, f.p.Caps.Known)
}

// TestOrphansOfARecording go where the kernel would give them.
func TestOrphansOfARecording(t *testing.T) {
	exit := func(f *family, task event.Task) {
		f.do(event.Event{Type: event.ProcExit, KernelNS: 10 * second, Task: task})
	}
	t.Run("first of the pid namespace", func(t *testing.T) {
		f := newFamily(t)
		exit(f, f.child)
		require.Same(t, f.p, f.g.Parent)
		require.Equal(t, int32(40), f.g.PPID)
	})
	t.Run("subreaper", func(t *testing.T) {
		f := newFamily(t)
		f.state.VPID = 0
		f.changeTo(f.shell, event.Setsid)
		f.do(event.Event{
			Type: event.Prctl, KernelNS: 10 * second, Task: task(10, 1, 5*second, hostGroup, "runtime"),
			Args: []event.Arg{{Name: "option", Int: 36, IsInt: true}, {Name: "arg2_int", Int: 1, IsInt: true}},
		})
		exit(f, f.shell)
		require.Equal(t, "runtime", f.c.Parent.Comm)
	})
	t.Run("process 1", func(t *testing.T) {
		f := newFamily(t)
		exit(f, task(10, 1, 5*second, hostGroup, "runtime"))
		require.Equal(t, "init", f.p.Parent.Comm)
	})
	t.Run("an ended child keeps its parent", func(t *testing.T) {
		f := newFamily(t)
		exit(f, f.grand)
		exit(f, f.child)
		require.Same(t, f.c, f.look(f.grand).Parent)
	})
}

// A call that makes a process somebody else names who that is; one that was refused
// has the number alone.
func TestTheNewUserIsNamed(t *testing.T) {
	for name, c := range map[string]struct {
		typ   event.Type
		param string
		ret   int64
		want  string
	}{
		"setuid":    {event.Setuid, "uid", 0, "web"},
		"setresuid": {event.Setresuid, "euid", 0, "web"},
		"refused":   {event.Setuid, "uid", -1, ""},
	} {
		f := newFamily(t)
		f.userName = "web"
		e := event.Event{Type: c.typ, KernelNS: 10 * second, Task: f.shell, Ret: c.ret, Args: []event.Arg{{Name: c.param, Int: 33, IsInt: true}}}
		if c.ret == 0 {
			state := f.state
			state.EUID = 33
			e.Change = &state
		}
		f.do(e)
		require.Equal(t, c.want, e.Args[0].Text, name)
	}
}
