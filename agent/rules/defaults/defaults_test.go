package defaults_test

import (
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/agent/event"
	"riposte/agent/rules"
	"riposte/agent/rules/defaults"
	"riposte/agent/rules/ruletest"
)

// change makes another event out of an ordinary one.
type change func(e *event.Event)

// inContainer is the start of every event here: nginx, the first process of a
// container, has started a shell without a terminal, which has started prog.
func inContainer(prog string, changes ...change) *event.Event {
	c := &event.Container{ID: strings.Repeat("ab", 32), Repository: "registry.example.com/shop"}
	shim := &event.Process{PID: 1, Comm: "containerd-shim", Container: event.Host}
	nginx := &event.Process{PID: 10, VPID: 1, Comm: "nginx", Exe: "nginx", ExePath: "/usr/sbin/nginx", Container: c, Parent: shim}
	p := &event.Process{PID: 11, VPID: 2, PPID: 10, Comm: prog, Exe: prog, ExePath: "/usr/bin/" + prog, Container: c, Parent: nginx}
	e := &event.Event{Num: 1, Proc: p}
	for _, f := range changes {
		f(e)
	}
	return e
}

func onHost(e *event.Event) {
	for p := e.Proc; p != nil; p = p.Parent {
		p.Container = event.Host
	}
}

func terminal(e *event.Event) { e.Proc.TTY = 34816 }

func args(a ...string) change { return func(e *event.Event) { e.Proc.Args = a } }

// parent puts another process between prog and nginx.
func parent(comm string) change {
	return func(e *event.Event) {
		e.Proc.Parent = &event.Process{PID: 12, Comm: comm, Container: e.Proc.Container, Parent: e.Proc.Parent}
	}
}

func image(repository string) change {
	return func(e *event.Event) { e.Proc.Container.Repository = repository }
}

// starts is a successful exec.
func starts(e *event.Event) { e.Type = event.Execve }

func opens(name string, flags uint32) change {
	return func(e *event.Event) {
		e.Type, e.Ret = event.Openat, 3
		e.File = event.File{Kind: event.KindFile, Num: 3, Name: name, NameRaw: name, RealPath: name, Flags: flags}
	}
}

func reads(name string) change { return opens(name, 0) }

func writes(name string) change { return opens(name, 0o1101) }

func connects(remote string) change {
	return func(e *event.Event) {
		e.Type = event.Connect
		to := netip.MustParseAddrPort(remote)
		e.File = event.File{Kind: event.KindIPv4, Num: 4, Name: "10.1.1.1:40000->" + remote, Socket: event.Socket{
			Local: netip.MustParseAddrPort("10.1.1.1:40000"), Remote: to, L4: 6, Role: event.RoleClient,
		}}
		if to.Addr().Is6() {
			e.File.Kind = event.KindIPv6
		}
	}
}

func inProgress(e *event.Event) { e.Ret = -115 }

// fired names the rule that fires in either view of the file's name.
func fired(rs *rules.Ruleset, e *event.Event) (name string) {
	fire := func(r *rules.Rule) { name = r.Name }
	if rs.Match(e, fire); name == "" && e.NameDiffers() {
		e.RealView = true
		rs.Match(e, fire)
	}
	return name
}

const (
	miner    = "Crypto miner started in a container"
	packages = "Package manager started in a container"
	shell    = "Terminal shell in a container"
	token    = "Service account token read by an unexpected program"
)

// TestDefaultRules runs default.ruletest, where each rule has a case of its own with
// events that fire it and events that do not.
func TestDefaultRules(t *testing.T) {
	rs, err := defaults.Load()
	require.NoError(t, err)
	require.Empty(t, rs.Warnings)

	content, err := os.ReadFile("default.ruletest")
	require.NoError(t, err)
	results, err := ruletest.Run(ruletest.Options{Rules: defaults.Files()}, "default.ruletest", content)
	require.NoError(t, err)
	fires, quiet := map[string]int{}, map[string]int{}
	for _, r := range results {
		for _, f := range r.Failures {
			t.Errorf("%s: %s", r.Name, f)
		}
		fires[r.Name] += r.Fired[r.Name]
		quiet[r.Name] += r.Quiet
	}
	for _, r := range rs.Rules() {
		require.NotZero(t, fires[r.Name], "no event of its case fires %q", r.Name)
		require.NotZero(t, quiet[r.Name], "no event of its case leaves %q quiet", r.Name)
		require.NotEmpty(t, r.Tags)
		require.NotEmpty(t, r.Types, "%q asks for events that are not captured", r.Name)
		require.Contains(t, r.Output, "%proc.cmdline", r.Name)
	}
}

// The lists and macros that begin with "known_" are there to be changed.
func TestAllowLists(t *testing.T) {
	change := rules.File{Name: "local.yaml", Content: []byte(`
- list: known_package_manager_images
  items: [registry.example.com/build]
  override: {items: append}
- macro: known_terminal_shell
  condition: (container.image.repository = registry.example.com/debug)
- rule: Crypto miner started in a container
  enabled: false
  override: {enabled: replace}
`)}
	rs, err := defaults.Load(change)
	require.NoError(t, err)
	require.Empty(t, rs.Warnings)
	require.Empty(t, fired(rs, inContainer("apt-get", starts, image("registry.example.com/build"))))
	require.Equal(t, packages, fired(rs, inContainer("apt-get", starts)))
	require.Empty(t, fired(rs, inContainer("bash", starts, terminal, image("registry.example.com/debug"))))
	require.Equal(t, shell, fired(rs, inContainer("bash", starts, terminal)))
	require.Empty(t, fired(rs, inContainer("xmrig", starts)))
}

// stream is a mix of what a node does all day: hardly anything of it matches.
func stream() []*event.Event {
	var all []*event.Event
	for range 50 {
		all = append(all,
			inContainer("nginx", reads("/usr/share/nginx/html/index.html")),
			inContainer("nginx", reads("/etc/nginx/nginx.conf")),
			inContainer("postgres", opens("/var/lib/postgresql/data/base/16384/2619", 2)),
			inContainer("node", reads("/app/node_modules/express/lib/router/index.js")),
			inContainer("node", connects("10.96.0.10:5432")),
			inContainer("nginx", connects("10.1.2.3:8080"), inProgress),
			inContainer("sh", starts, args("-c", "date +%s && test -f /tmp/healthy")),
			inContainer("date", starts, args("+%s"), parent("sh")),
			inContainer("systemd-journal", writes("/var/log/journal/x/system.journal"), onHost),
			inContainer("kubelet", reads("/sys/fs/cgroup/kubepods/cpu.stat"), onHost),
		)
	}
	return all
}

func TestQuietStreamMatchesNothingAndDoesNotAllocate(t *testing.T) {
	rs, err := defaults.Load()
	require.NoError(t, err)
	events := stream()
	count := 0
	fire := func(*rules.Rule) { count++ }
	run := func() {
		for _, e := range events {
			rs.Match(e, fire)
		}
	}
	run()
	require.Zero(t, count)
	require.Zero(t, testing.AllocsPerRun(10, run))
}

func BenchmarkMatchNothing(b *testing.B) {
	rs, err := defaults.Load()
	require.NoError(b, err)
	events := stream()
	fire := func(*rules.Rule) {}
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i++ {
		rs.Match(events[i%len(events)], fire)
	}
}

func BenchmarkMatchAndFormat(b *testing.B) {
	rs, err := defaults.Load()
	require.NoError(b, err)
	e := inContainer("cat", reads("/etc/shadow"), terminal, parent("bash"))
	n := 0
	fire := func(r *rules.Rule) {
		r.Format(e)
		n++
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i++ {
		rs.Match(e, fire)
	}
	require.Equal(b, b.N, n)
}

func BenchmarkLoad(b *testing.B) {
	for i := 0; i < b.N; i++ {
		_, err := defaults.Load()
		require.NoError(b, err)
	}
}
