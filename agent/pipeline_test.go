package agent

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/agent/alert"
	"riposte/agent/event"
	"riposte/agent/rules"
)

// kept is an output that keeps the alerts.
type kept struct{ all []*alert.Alert }

func (k *kept) Put(a *alert.Alert) error { k.all = append(k.all, a); return nil }

func (k *kept) rules() (names []string) {
	for _, a := range k.all {
		names = append(names, a.Rule)
	}
	return names
}

// still is a table that has nothing to add.
type still struct{}

func (still) Apply(*event.Event) {}
func (still) GiveUp(c *event.Container) {
	if c.Metadata == event.MetadataAwaited {
		c.Metadata = event.MetadataLate
	}
}
func (still) ContainerAt(string) (event.Container, bool) { return event.Container{}, false }
func (still) Container(string) (event.Container, bool)   { return event.Container{}, false }
func (still) Counts() map[string]uint64                  { return nil }

const testRules = `
- rule: Shadow by name
  desc: the name that was given
  condition: evt.type = openat and fd.name = /etc/shadow
  output: shadow (file=%fd.name command=%proc.cmdline)
  priority: CRITICAL
  tags: [container, T1555]
- rule: Anything in tmp
  desc: where a symbolic link may stand
  condition: evt.type = openat and fd.directory = /tmp
  output: tmp (file=%fd.name)
  priority: NOTICE
`

func newPipeline(t testing.TB) (*pipeline, *kept) {
	t.Helper()
	set, err := rules.Load(rules.File{Name: "test.yaml", Content: []byte(testRules)})
	require.NoError(t, err)
	out := &kept{}
	p := &pipeline{
		log: slog.New(slog.DiscardHandler), table: still{}, self: 7,
		stamp: stamp{cluster: "lab", node: "n1", hostname: "h", boot: "b"},
	}
	p.current.Store(&settings{rules: set, outputs: []output{out}})
	return p, out
}

func opened(name, realPath string) *event.Event {
	at := time.Date(2026, 1, 2, 3, 4, 5, 600, time.Local)
	parent := &event.Process{PID: 1, Comm: "init", Container: event.Host}
	c := &event.Container{
		ID: strings.Repeat("ab", 32), CgroupID: 99, StartNS: 5, Name: "web", Image: "nginx:1",
		Pod: &event.Pod{UID: "u-1", Namespace: "shop", Name: "web-0", Labels: map[string]string{"app": "web"}, Owner: "StatefulSet/web"},
	}
	p := &event.Process{PID: 42, StartNS: 17, Comm: "cat", Exe: "cat", ExePath: "/bin/cat", Args: []string{"/tmp/x"}, UID: 33, Parent: parent, Container: c}
	return &event.Event{
		Type: event.Openat, TimeNS: at.UnixNano(), KernelNS: 1, Proc: p, Task: event.Task{PID: 42, TID: 42},
		File: event.File{Kind: event.KindFile, Num: 3, Name: name, RealPath: realPath},
	}
}

func TestAnAlertSaysAllOfItsEvent(t *testing.T) {
	p, out := newPipeline(t)
	e := opened("/etc/shadow", "/etc/shadow")
	e.Recorded = true
	p.handle(e)
	require.Len(t, out.all, 1)
	a := out.all[0]
	require.NoError(t, a.Validate())
	require.True(t, strings.HasPrefix(a.Output, "03:04:05.000000600: Critical shadow (file=/etc/shadow command=cat /tmp/x)"), a.Output)
	require.Equal(t, e.TimeNS, a.Time.UnixNano())
	require.Equal(t, e.TimeNS, a.OutputFields["evt.time"])
	require.NotContains(t, a.OutputFields, "fd.name_differs")
	require.ElementsMatch(t, []string{"container", "T1555"}, a.Tags)
	require.Equal(t, "h", a.Hostname)
	require.Equal(t, "syscall", a.Source)
	require.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-7`, a.UUID)
	r := *a.Riposte
	require.NotZero(t, r.AlertTimeNS)
	r.AlertTimeNS = 0
	require.Equal(t, alert.Riposte{
		Schema: 1, Cluster: "lab", Node: "n1", BootID: "b", Seq: 1, KernelTimeNS: e.TimeNS, Ruleset: p.current.Load().rules.Hash(), Recorded: true,
		Process:   &alert.Process{PID: 42, StartNS: 17, Name: "cat", Exe: "cat", ExePath: "/bin/cat", Args: []string{"/tmp/x"}, UID: 33, Ancestors: []string{"init"}},
		Container: &alert.Container{ID: strings.Repeat("ab", 32), Name: "web", Image: "nginx:1", CgroupID: 99, StartNS: 5},
		Pod:       &alert.Pod{Namespace: "shop", Name: "web-0", UID: "u-1", Labels: map[string]string{"app": "web"}, Owner: "StatefulSet/web"},
	}, r)
}

func TestHostProcessesHaveNoContainer(t *testing.T) {
	p, out := newPipeline(t)
	e := opened("/etc/shadow", "")
	e.Proc.Container = event.Host
	p.handle(e)
	require.Len(t, out.all, 1)
	require.Nil(t, out.all[0].Riposte.Container)
	require.Nil(t, out.all[0].Riposte.Pod)
}

func TestTwoViewsOfAName(t *testing.T) {
	p, out := newPipeline(t)
	for _, c := range []struct{ name, real, rule, shown string }{
		{"/etc/shadow", "/etc/shadow", "Shadow by name", "/etc/shadow"},
		{"/home/x/link", "/etc/shadow", "Shadow by name", "/etc/shadow"},
		{"/proc/self/root/etc/shadow", "/etc/shadow", "Shadow by name", "/etc/shadow"},
		{"/tmp/x", "/etc/passwd", "Anything in tmp", "/tmp/x"},
		{"/home/x/link", "/tmp/y", "Anything in tmp", "/tmp/y"},
		{"/etc/shadow", "", "Shadow by name", "/etc/shadow"},
	} {
		out.all = nil
		e := opened(c.name, c.real)
		p.handle(e)
		require.Equal(t, []string{c.rule}, out.rules(), "%s -> %s", c.name, c.real)
		f := out.all[0].OutputFields
		require.Equal(t, c.shown, f["fd.name"], "the view that fired is shown")
		require.False(t, e.RealView)
		if c.real != "" && c.real != c.name {
			require.Equal(t, c.real, f["fd.realpath"])
			require.Equal(t, true, f["fd.name_differs"])
		} else {
			require.NotContains(t, f, "fd.realpath")
		}
	}
	out.all = nil
	p.handle(opened("/home/a", "/home/b"))
	require.Empty(t, out.all)
}

func TestSeqHasNoGapsAndTheAgentIsSilentAboutItself(t *testing.T) {
	p, out := newPipeline(t)
	for i := range 10 {
		e := opened("/etc/shadow", "")
		if i%2 == 1 {
			e.Task.PID = 7
		}
		p.handle(e)
		p.handle(opened("/nothing", ""))
	}
	require.Len(t, out.all, 5)
	for i, a := range out.all {
		require.Equal(t, uint64(i+1), a.Riposte.Seq)
	}
	require.Equal(t, uint64(5), p.seq.Load())
}

func TestAnAlertIsBounded(t *testing.T) {
	p, out := newPipeline(t)
	e := opened("/etc/shadow", "")
	e.Proc.Parent.Parent = e.Proc.Parent // what must not happen, and must not hang
	for _, worst := range []string{"ä", "\x01", "\xff", "\\", "<"} {
		out.all = nil
		huge := strings.Repeat(worst, 1<<17)
		e.Proc.Args = append([]string{huge}, make([]string, 1000)...)
		e.Proc.Exe, e.Proc.ExePath = huge, huge
		e.File.Name, e.File.RealPath = huge, "/etc/shadow"
		e.Proc.Container.Name, e.Proc.Container.Image = huge, huge
		e.Proc.Container.Pod.Labels = map[string]string{}
		for i := range 200 {
			e.Proc.Container.Pod.Labels[strings.Repeat("x", i)] = strings.Repeat("y", 500)
		}
		p.handle(e)
		require.Len(t, out.all, 1)
		b, err := out.all[0].MarshalJSON()
		require.NoError(t, err)
		require.LessOrEqual(t, len(b), alert.MaxBytes, "%q", worst)
	}
	require.Len(t, out.all[0].Riposte.Process.Ancestors, maxAncestors)
	require.LessOrEqual(t, len(out.all[0].Riposte.Pod.Labels), maxLabels)
	require.Equal(t, "ä…", shorten("ää", 3), "no character is cut in two")
}

// BenchmarkAlert is the whole way of an event that fires: match, build, encode.
func BenchmarkAlert(b *testing.B) {
	p, out := newPipeline(b)
	e := opened("/etc/shadow", "/etc/shadow")
	b.ReportAllocs()
	for b.Loop() {
		out.all = out.all[:0]
		p.handle(e)
		if _, err := out.all[0].MarshalJSON(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSilence is an event that no rule fires on.
func BenchmarkSilence(b *testing.B) {
	p, _ := newPipeline(b)
	e := opened("/usr/lib/libc.so.6", "/usr/lib/libc.so.6")
	b.ReportAllocs()
	for b.Loop() {
		p.handle(e)
	}
}
