package compile_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/agent/event"
	"riposte/agent/rules/compile"
	"riposte/agent/rules/field"
	"riposte/agent/rules/syntax"
)

// town is a process table in which things happen at random and the clock is told.
type town struct {
	r     *rand.Rand
	clock event.Clock
	boxes []*event.Container
	procs []*event.Process
}

func newTown(r *rand.Rand) *town {
	w := &town{r: r, boxes: []*event.Container{event.Host, {ID: "0123456789abcdef"}, {ID: "fedcba98765432100"}}}
	for range 6 {
		w.fork()
	}
	return w
}

func (w *town) fork() {
	p := &event.Process{PID: int32(100 + len(w.procs)), Comm: pick(w.r, []string{"sh", "bash", "nginx"}), Container: pick(w.r, w.boxes), StartKnown: w.r.IntN(2) == 0}
	var parent *event.Process
	if len(w.procs) > 0 {
		parent = pick(w.r, w.procs)
		// As a fork does: a copy of everything.
		*p = *parent
		p.PID = int32(100 + len(w.procs))
	}
	w.clock.Adopt(p, parent)
	w.procs = append(w.procs, p)
}

// happen changes one thing that conditions of processes read.
func (w *town) happen() {
	p := pick(w.r, w.procs)
	switch w.r.IntN(9) {
	case 0:
		w.fork()
		return
	case 1:
		p.Comm = pick(w.r, []string{"sh", "bash", "nginx"})
	case 2:
		p.Args = []string{pick(w.r, textValues)}
	case 3:
		p.EUID, p.TTY = uint32(w.r.IntN(2)), uint32(w.r.IntN(2))*34816
	case 4:
		p.User = pick(w.r, []string{"", "c", "host"})
	case 5:
		p.Container = pick(w.r, w.boxes)
	case 6:
		box := w.boxes[1+w.r.IntN(2)]
		box.Name, box.Pod = pick(w.r, textValues), &event.Pod{Name: pick(w.r, textValues)}
		w.clock.ContainerChanged(box)
		return
	case 7:
		// Only a younger one has an older parent: no rings.
		if i := w.r.IntN(len(w.procs)); i > 0 {
			w.clock.Adopt(w.procs[i], w.procs[w.r.IntN(i)])
		}
		return
	case 8:
		p.Exe, p.ExePath = pick(w.r, textValues), pick(w.r, textValues)
	}
	w.clock.Changed(p)
}

// TestMatcherEqualsTreeWalk compares many random conditions, evaluated together over
// a changing process table, with the tree walk of each.
func TestMatcherEqualsTreeWalk(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 2))
	rounds := 150
	if testing.Short() {
		rounds = 30
	}
	hits := 0
	for range rounds {
		var list []compile.Macro
		var names []string
		bodies := map[string]syntax.Node{}
		for i := range 4 {
			n, err := syntax.Parse(expression(r, 2, names))
			require.NoError(t, err)
			name := "macro" + strconv.Itoa(i)
			names, bodies[name] = append(names, name), n
			list = append(list, compile.Macro{Name: name, Body: n, Index: i, Visibility: i})
		}
		compiler := compile.New(list)
		var trees []syntax.Node
		var programs []*compile.Program
		for range 12 {
			condition := expression(r, 3, names)
			n, err := syntax.Parse(condition)
			require.NoError(t, err, condition)
			p, err := compiler.Compile(n)
			require.NoError(t, err, condition)
			trees, programs = append(trees, n), append(programs, p)
		}
		m := compiler.Matcher(programs)
		w := newTown(r)
		for range 150 {
			for range r.IntN(3) {
				w.happen()
			}
			e := someEvent(r)
			e.Proc, e.Clock = pick(r, w.procs), &w.clock
			switch r.IntN(10) {
			case 0:
				e.Clock = nil
			case 1:
				e.Proc, e.Clock = nil, nil
			}
			var want, got []int
			for i, n := range trees {
				if walk(n, bodies, e) {
					want = append(want, i)
				}
			}
			if e.Proc != nil && len(want) > 0 {
				require.True(t, m.Possible(e.Proc, e.Clock, e.Type), "seed %d", seed)
			}
			m.Match(e, func(i int) bool { got = append(got, i); return true })
			require.Equal(t, want, got, "seed %d", seed)
			if len(want) == 0 {
				continue
			}
			hits++
			var first []int
			m.Match(e, func(i int) bool { first = append(first, i); return false })
			require.Equal(t, want[:1], first, "seed %d", seed)
		}
	}
	require.Greater(t, hits, rounds*10, "the generated conditions hardly ever match")
}

// files are the descriptors of a process that has one.
type files struct{}

func (files) Len() int      { return 1 }
func (files) Kinds() []byte { return []byte{event.KindFile} }
func (files) File(int64) (event.File, bool) {
	return event.File{Kind: event.KindFile, Name: "/x"}, true
}

// TestProcessFieldsDependOnTheProcessAlone changes everything about an event but
// its process and the machine: a field that is kept with the process must not notice.
func TestProcessFieldsDependOnTheProcessAlone(t *testing.T) {
	a, b := aShell(), aConnect()
	b.Proc = a.Proc
	b.Num, b.TimeNS, b.KernelNS, b.CPU, b.Compat, b.Ret = 99, a.TimeNS+77, a.KernelNS+5, 3, true, -13
	b.Task = event.Task{PID: 5, TID: 6, PPID: 7, StartNS: 8, UID: 9, GID: 10, CgroupID: 11, Comm: "other"}
	b.Exec, b.Fork = &event.Exec{Path: "/x", Args: []string{"y"}}, &event.Fork{PID: 4}
	b.Data, b.FirstNS, b.LastNS, b.Files = []byte("d"), 1, 2, files{}
	p := a.Proc
	p.Resources = &event.Resources{FDLimit: 9, VMSize: 8, NamespaceStartNS: 7}
	p.Env, p.User, p.Group, p.LoginUser = []string{"A=1"}, "u", "g", "l"
	p.Caps = event.Capabilities{Known: true, Effective: 5}
	for _, f := range field.All() {
		if f.Scope < field.Process || !f.Captured() {
			continue
		}
		var args []field.Argument
		switch f.Arg {
		case field.NoArg:
			args = []field.Argument{{}}
		case field.OptionalIndex, field.RequiredIndex:
			args = []field.Argument{{}, {Set: true, Text: "0"}, {Set: true, Text: "1", Index: 1}}
		default:
			args = []field.Argument{{}, {Set: true, Text: "A"}, {Set: true, Text: "app"}, {Set: true, Text: "0"}}
		}
		for _, arg := range args {
			require.Equal(t, f.Get(a, arg, 0), f.Get(b, arg, 0), "%s %s", f.Name, fmt.Sprint(arg))
		}
	}
}

// TestPossible holds that what a process can never match is known from the process alone.
func TestPossible(t *testing.T) {
	c := compile.New(nil)
	var programs []*compile.Program
	for _, condition := range []string{
		"evt.type = openat and proc.name = sh and fd.name startswith /etc",
		"evt.type = connect and not proc.name = sh and not (fd.sip = 1.1.1.1 or container.id = host)",
		"evt.type in (execve, ptrace) and (proc.pname = nginx or user.name = root)",
	} {
		n, err := syntax.Parse(condition)
		require.NoError(t, err)
		p, err := c.Compile(n)
		require.NoError(t, err)
		programs = append(programs, p)
	}
	m := c.Matcher(programs)
	var clock event.Clock
	p := aShell().Proc
	possible := func() (list []string) {
		for _, typ := range []event.Type{event.Openat, event.Connect, event.Execve, event.Ptrace, event.Open} {
			if m.Possible(p, &clock, typ) {
				list = append(list, typ.String())
			}
		}
		return list
	}
	require.Equal(t, []string{"openat", "execve", "ptrace"}, possible())
	p.Comm = "cat"
	clock.Changed(p)
	require.Equal(t, []string{"connect", "execve", "ptrace"}, possible())
	clock.Adopt(p, &event.Process{Comm: "bash"})
	require.Equal(t, []string{"connect"}, possible())
	p.Container = event.Host
	clock.Changed(p)
	require.Empty(t, possible())
	p.User = "root"
	clock.Changed(p)
	require.Equal(t, []string{"execve", "ptrace"}, possible())
}

func TestMatcherDoesNotAllocateForWhatMatchesNothing(t *testing.T) {
	c := compile.New(nil)
	var programs []*compile.Program
	for _, condition := range []string{
		"evt.type = openat and fd.name startswith /etc and proc.name in (a, b, c, d, e, f)", "evt.type = openat and fd.name startswith /etc and proc.aname = nobody",
		"evt.type = connect and fd.sip = 9.9.9.9 and container.id != host", "evt.type in (openat, connect) and fd.name contains zzz",
	} {
		n, err := syntax.Parse(condition)
		require.NoError(t, err)
		p, err := c.Compile(n)
		require.NoError(t, err)
		programs = append(programs, p)
	}
	m := c.Matcher(programs)
	var clock event.Clock
	open, connect := aShell(), aConnect()
	open.Clock, connect.Clock = &clock, &clock
	match := func() {
		m.Match(open, func(int) bool { t.Error("matched"); return true })
		m.Match(connect, func(int) bool { t.Error("matched"); return true })
	}
	match()
	require.Zero(t, testing.AllocsPerRun(100, func() { match(); clock.Changed(open.Proc) }))
}
