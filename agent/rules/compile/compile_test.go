package compile_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/agent/event"
	"riposte/agent/rules/compile"
	"riposte/agent/rules/syntax"
)

// aShell is an open of /etc/shadow by a shell in a pod's container.
func aShell() *event.Event {
	pod := &event.Pod{UID: "u-1", Namespace: "shop", Name: "cart-1", Labels: map[string]string{"app": "cart"}}
	c := &event.Container{ID: "0123456789abcdef0123", Name: "cart", Image: "r.io/cart:1", Repository: "r.io/cart", Tag: "1", Pod: pod, StartNS: 10}
	runtime := &event.Process{PID: 50, Comm: "containerd-shim", Exe: "/usr/bin/containerd-shim", Container: event.Host}
	parent := &event.Process{PID: 100, PPID: 50, VPID: 1, VPGID: 1, SID: 100, PGID: 100, Comm: "nginx", Exe: "nginx:", ExePath: "/usr/sbin/nginx", Container: c, Parent: runtime}
	p := &event.Process{
		PID: 101, PPID: 100, VPID: 7, VPGID: 1, SID: 100, PGID: 100, Comm: "sh", Exe: "/bin/sh", ExePath: "/bin/busybox", Args: []string{"-c", "Cat /etc/shadow"},
		CWD: "/", UID: 1000, EUID: 0, GID: 5, LoginUID: 4294967295, TTY: 34816, StartNS: 1_000, StartKnown: true, Container: c, Parent: parent,
	}
	return &event.Event{
		Num: 7, Type: event.Openat, TimeNS: 1_700_000_000_123_456_789, KernelNS: 5_000, Ret: 3, Proc: p, Task: event.Task{PID: 101, TID: 102},
		Args: []event.Arg{{Name: "fd", Int: 3, IsInt: true}, {Name: "name", Text: "/etc/shadow"}, {Name: "flags", Text: "O_RDONLY|O_CLOEXEC", Int: 1, IsInt: true}},
		File: event.File{Kind: event.KindFile, Num: 3, Name: "/etc/shadow", NameRaw: "/etc/../etc/shadow", RealPath: "/etc/shadow", Ino: 9},
	}
}

// aConnect is a connect by the same process.
func aConnect() *event.Event {
	e := aShell()
	e.Type, e.Args, e.Ret = event.Connect, nil, 0
	e.File = event.File{Kind: event.KindIPv4, Num: 4, Name: "10.0.0.5:40000->93.184.216.34:443", Socket: event.Socket{
		Local: netip.MustParseAddrPort("10.0.0.5:40000"), Remote: netip.MustParseAddrPort("93.184.216.34:443"), L4: 6, Role: event.RoleClient,
	}}
	return e
}

func program(t testing.TB, condition string) *compile.Program {
	t.Helper()
	n, err := syntax.Parse(condition)
	require.NoError(t, err, condition)
	p, err := compile.New(nil).Compile(n)
	require.NoError(t, err, condition)
	return p
}

func TestOperators(t *testing.T) {
	open, connect := aShell(), aConnect()
	for _, tc := range []struct {
		condition string
		want      bool
	}{
		// text
		{"proc.name = sh", true},
		{"proc.name == sh", true},
		{"proc.name = Sh", false},
		{"proc.name != sh", false},
		{"proc.name != zsh", true},
		{"proc.name in (bash, sh)", true},
		{"proc.name in (a, b, c, d, e, sh)", true},
		{"proc.name in (a, b, c, d, e)", false},
		{"proc.name in ()", false},
		{"proc.name intersects (sh, x)", true},
		{"proc.cmdline contains Cat", true},
		{"proc.cmdline contains cat", false},
		{"proc.cmdline icontains CAT", true},
		{"proc.cmdline icontains dog", false},
		{"proc.cmdline = 'sh -c Cat /etc/shadow'", true},
		{"proc.args = '-c Cat /etc/shadow'", true},
		{"fd.name startswith /etc/", true},
		{"fd.name startswith etc", false},
		{"fd.name endswith ow", true},
		{"fd.name endswith x", false},
		{"fd.name glob '/*/sh?dow'", true},
		{"fd.name glob '/etc*'", true},
		{"fd.name glob '/etc'", false},
		{"fd.name glob '/etc/[!a-r]hadow'", true},
		{"fd.name iglob '/ETC/SH[A-B]DOW'", true},
		{"fd.name glob '/ETC/*'", false},
		{"fd.name regex '/etc/(shadow|passwd)'", true},
		{"fd.name regex 'shadow'", false},
		{"fd.name regex '/etc/shado'", false},
		{"fd.name regex '/etc.*'", true},
		{"fd.name pmatch (/var, /etc)", true},
		{"fd.name pmatch (/etc/shadow)", true},
		{"fd.name pmatch (/etc/sha)", false},
		{"fd.name pmatch (/e*)", true},
		{"fd.name pmatch (/etc/shadow/x)", false},
		{"fd.name pmatch (/)", true},
		{"fd.name pmatch (/etc/)", true},
		{"fd.name > 1", false},
		{"proc.name > 1", true},
		{"fd.name < 5", true},
		{"fd.name startswith anyof (/usr, /etc)", true},
		{"fd.name startswith oneof (/etc, /e)", false},
		{"fd.name startswith oneof (/etc, /x)", true},
		{"fd.name startswith allof (/etc, /e)", true},
		{"fd.name startswith allof (/etc, /x)", false},
		{"proc.name != allof (bash, zsh)", true},
		{"proc.name != allof (bash, sh)", false},
		// numbers
		{"fd.num = 3", true},
		{"fd.num = 0x3", true},
		{"fd.num >= 3", true},
		{"fd.num > 3", false},
		{"fd.num < 4", true},
		{"fd.num <= 2", false},
		{"fd.num != 3", false},
		{"fd.num in (1, 3)", true},
		{"fd.num = -1", false},
		{"proc.tty != 0", true},
		{"user.loginuid = -1", true},
		{"user.uid = 0", true},
		{"user.uid = -1", false},
		{"proc.duration = 4000", true},
		{"proc.duration < 1000", false},
		{"evt.rawres >= 0", true},
		{"evt.cpu = 0", true},
		// bool
		{"evt.is_open_read = true", true},
		{"evt.is_open_write = true", false},
		{"evt.is_open_write = false", true},
		{"evt.is_open_write != true", true},
		{"proc.is_exe_upper_layer in (true)", false},
		// several values
		{"proc.aname = nginx", true},
		{"proc.aname = containerd-shim", true},
		{"proc.aname = sh", false},
		{"proc.aname[0] = sh", true},
		{"proc.aname[1] = nginx", true},
		{"proc.aname[2] startswith containerd", true},
		{"proc.aname[3] = x", false},
		{"proc.aname[3] exists", false},
		{"proc.aname exists", true},
		{"proc.aname in (nginx)", true},
		// parameters
		{"evt.arg.flags contains O_CLOEXEC", true},
		{"evt.arg[0] = 3", true},
		{"evt.arg.fd = 3", true},
		{"evt.arg.uid exists", false},
		{"evt.res = SUCCESS", true},
		// container
		{"container.id = 0123456789ab", true},
		{"k8s.ns.name = shop", true},
		{"k8s.pod.label[app] = cart", true},
		{"k8s.pod.label[x] exists", false},
		{"container.image.repository endswith /cart", true},
		// NULL is false whatever the operator
		{"user.name = root", false},
		{"user.name != root", false},
		{"not user.name = root", true},
		{"not user.name != root", true},
		{"user.name exists", false},
		{"fd.sip = 1.2.3.4", false},
		{"fd.sip != 1.2.3.4", false},
		{"not fd.net in ('10.0.0.0/8')", true},
		{"fd.ip != 1.2.3.4", false},
		{"fd.port != 3", false},
		// transformers and fields on both sides
		{"tolower(proc.args) contains cat", true},
		{"toupper(proc.name) = SH", true},
		{"basename(proc.exepath) = busybox", true},
		{"len(proc.name) = 2", true},
		{"concat(proc.name, '-', proc.pname) = sh-nginx", true},
		{"join(',', (proc.name, 'x')) = 'sh,x'", true},
		{"b64(proc.name) = x", false},
		{"fd.nameraw = val(fd.name)", false},
		{"fd.realpath = val(fd.name)", true},
		{"proc.name = basename(proc.exe)", true},
		{"fd.name endswith val(user.name)", false},
		{"proc.pid > val(proc.ppid)", true},
		{"proc.exe endswith val(proc.name)", true},
		// logic
		{"proc.name = x or proc.name = sh and not fd.num = 4", true},
		{"not (proc.name = sh and fd.num = 3)", false},
		{"proc.name = a or proc.name = b or proc.name = c or proc.name = sh", true},
		{"fd.num = 3 and fd.num > 0 and fd.num < 9 and fd.num != 4", true},
		{"evt.num = 0", false},
		{"evt.num > 0", true},
		{"evt.num >= 0", true},
		{"evt.num = 7", true},
		{"evt.dir = <", true},
		{"evt.dir = >", false},
		{"evt.type = openat", true},
		{"evt.type in (open, openat)", true},
		{"evt.type != openat", false},
		{"evt.type startswith open", true},
		{"evt.type = ptrace", false},
	} {
		require.Equal(t, tc.want, program(t, tc.condition).Match(open), tc.condition)
	}
	for condition, want := range map[string]bool{
		"fd.ip = 93.184.216.34": true, "fd.ip = 10.0.0.5": true, "fd.ip = 1.1.1.1": false, "fd.ip != 93.184.216.34": false, "fd.ip != 1.1.1.1": true,
		"fd.sip = 93.184.216.34": true, "fd.cip = 10.0.0.5": true, "fd.lip = 10.0.0.5": true, "fd.rip in (93.184.216.34)": true,
		"fd.net in ('93.184.0.0/16')": true, "fd.net = '10.0.0.0/8'": true, "fd.net != '10.0.0.0/8'": false, "fd.net != '127.0.0.0/8'": true,
		"fd.snet in ('10.0.0.0/8', '93.0.0.0/8')": true, "fd.snet = '10.0.0.0/8'": false, "fd.sip != '::1'": true, "fd.sip = '::1'": false,
		"fd.sport = 443": true, "fd.sport = https": true, "fd.port in (443, 80)": true, "fd.port = 40000": true, "fd.port != 443": false, "fd.port != 22": true, "fd.sport >= 1024": false,
		"fd.l4proto = tcp": true, "fd.typechar = 4": true, "fd.sockfamily = ip": true, "fd.type = ipv4": true, "fd.connected = true": true, "fd.is_server = false": true,
		"fd.directory exists": false, "fd.filename exists": false,
	} {
		require.Equal(t, want, program(t, condition).Match(connect), condition)
	}
}

func TestBytesThatAreNotText(t *testing.T) {
	e := aShell()
	e.File.Name = "/tmp/\xff\xfeA"
	for condition, want := range map[string]bool{
		"fd.name regex '/tmp/.*A'": true, `fd.name contains "\xff\xfe"`: true, "fd.name glob '/tmp/??A'": true, `fd.name endswith "\xfeA"`: true,
	} {
		require.Equal(t, want, program(t, condition).Match(e), condition)
	}
}

func TestRealView(t *testing.T) {
	e := aShell()
	e.File.Name, e.File.RealPath = "/tmp/link", "/etc/shadow"
	p := program(t, "fd.name = /etc/shadow and fd.filename = shadow and fd.directory = /etc")
	require.False(t, p.Match(e))
	e.RealView = true
	require.True(t, p.Match(e))
}

func TestEventTypes(t *testing.T) {
	for condition, want := range map[string]string{
		"evt.type = open": "open",
		"evt.type in (open, ptrace) and proc.name = x":                  "open ptrace",
		"evt.type = open or evt.type = connect":                         "connect open",
		"evt.type = open and evt.type = connect":                        "",
		"evt.num = 0":                                                   "",
		"evt.type = open and not evt.num = 0":                           "open",
		"evt.type = open or evt.num = 0":                                "open",
		"not (evt.type != open)":                                        "open",
		"not (evt.type != open or proc.name = x)":                       "open",
		"not (not evt.type in (open, creat) or evt.type = creat)":       "open",
		"(evt.type = open and proc.name = a) or (evt.type = creat)":     "creat open",
		"not (proc.name = a and proc.name = b) and (evt.type in (bpf))": "bpf",
	} {
		require.Equal(t, want, strings.Join(program(t, condition).Types.Names(), " "), condition)
	}
	for _, condition := range []string{"proc.name = a", "not proc.name = a", "evt.type = open or proc.name = a", "evt.type exists", "evt.num > 0", "not (evt.type = open and proc.name = a)"} {
		require.True(t, program(t, condition).Types.All(), condition)
	}
	require.False(t, program(t, "evt.type != open").Types.Has("open"))
	require.Equal(t, []event.Type{event.Execve, event.Syscall}, program(t, "evt.type in (execve, gettid)").Types.Captured())
	require.NotContains(t, program(t, "evt.type in (execve, open)").Types.Captured(), event.Syscall)
}

// TestCalls has system calls without a type of their own: they are told apart by name.
func TestCalls(t *testing.T) {
	for condition, want := range map[string]bool{
		"evt.type = gettid": true, "evt.type in (execve, gettid)": true, "evt.type = getpgid": false, "evt.type = syscall": false, "evt.type != gettid": false,
		"evt.type != getpgid": true, "evt.type contains tti": true, "evt.type = execve": false, "not evt.type = execve": true, "syscall.type = gettid": true,
	} {
		p := program(t, condition)
		require.Equal(t, want, p.Match(&event.Event{Type: event.Syscall, Call: "gettid"}), condition)
		if want {
			require.Contains(t, p.Types.Captured(), event.Syscall, condition)
		}
	}
	require.True(t, program(t, "evt.type = syscall").Match(&event.Event{Type: event.Syscall}))
}

func TestCompileErrors(t *testing.T) {
	for condition, want := range map[string]string{
		"proc.nam = x":                          "1:1: unknown field proc.nam: did you mean proc.name?",
		"a.bcd = x":                             "1:1: unknown field a.bcd",
		"evt.arg.flgs = x":                      "1:1: unknown event argument flgs: did you mean flags?",
		"evt.arg = x":                           "1:1: field evt.arg needs an argument, as in evt.arg[x]",
		"proc.name[1] = x":                      "1:1: field proc.name takes no argument",
		"proc.aname[x] = x":                     `1:1: field proc.aname needs a number from 0 to 1000 in its brackets, not "x"`,
		"evt.type = opn":                        "1:12: unknown event type opn: did you mean open?",
		"evt.type in (open, zzzzzzzzz)":         "1:20: unknown event type zzzzzzzzz",
		"evt.type = val(proc.name)":             "1:12: evt.type cannot be compared with a field",
		"tolower(evt.type) = open":              "1:9: evt.type cannot be used in a transformer",
		"fd.num contains 3":                     "1:8: operator contains cannot be used with fd.num, which is of type int",
		"fd.num = x":                            `1:10: "x" is not a whole number`,
		"fd.num > 1.5":                          `1:10: "1.5" is not a whole number`,
		"fd.num = 99999999999999999999":         `1:10: "99999999999999999999" is too large a number`,
		"fd.num = 0xffffffffffffffff":           `1:10: "0xffffffffffffffff" is too large a number`,
		"evt.is_open_read = yes":                `1:20: "yes" is not true or false`,
		"evt.is_open_read > 1":                  "1:18: operator > cannot be used with evt.is_open_read, which is of type bool",
		"fd.sip = 300.1.1.1":                    `1:10: "300.1.1.1" is not an IP address`,
		"fd.snet = '10.0.0.1'":                  `1:11: "10.0.0.1" is not a network: write it with its prefix, as in "10.0.0.1/32"`,
		"fd.snet in ('10.0.0.0/33')":            `1:13: "10.0.0.0/33" is not a network such as 10.0.0.0/8`,
		"fd.sport = 70000":                      `1:12: "70000" is not a port: use a number from 0 to 65535, or a service's name such as https`,
		"fd.types = x":                          "1:10: operator = cannot be used with fd.types, which is of type list",
		"fd.name regex '('":                     "1:15: regular expression: missing closing ): `(`",
		`fd.name regex '\\d'`:                   "1:15: regular expression: invalid escape sequence: `\\d`",
		"evt.buffer bcontains xyz":              "1:22: operator bcontains needs bytes as hexadecimal digits, as in 7f454c46",
		"evt.buffer glob x":                     "1:12: operator glob cannot be used with evt.buffer, which is of type bytes",
		"proc.name = val(proc.pid)":             "1:13: proc.name is of type text, but val(proc.pid) of type int",
		"proc.name = val(proc.aname)":           "1:17: proc.aname cannot stand on the right side",
		"proc.aname = val(proc.name)":           "1:1: proc.aname cannot be compared with a field",
		"proc.name pmatch val(proc.pname)":      "1:18: operator pmatch needs literals on its right side",
		"proc.name regex val(proc.pname)":       "1:17: operator regex needs literals on its right side",
		"tolower(proc.pid) = 3":                 "1:9: proc.pid is of type int, tolower() needs text here",
		"tolower(proc.name, proc.name) = 3":     "1:1: tolower() takes 1 argument(s), not 2",
		"shell":                                 "1:1: undefined macro shell",
		"fd.name = val(proc.name, proc.pname)":  "1:11: val() takes one field",
		"fd.name = val(tolower(proc.name))":     "1:15: val() takes a field",
		"fd.num in (1, x)":                      `1:15: "x" is not a whole number`,
		"user.uid = 4294967296":                 `1:12: "4294967296" is too large for a 32-bit number`,
		"fd.sip startswith 10":                  "1:8: operator startswith cannot be used with fd.sip, which is of type ip",
		"fd.name = /x and\n(fd.snum = 3)":       "2:2: unknown field fd.snum: did you mean fd.num?",
		"fd.ip = val(fd.sip)":                   "1:1: fd.ip cannot be compared with a field",
		"container.mount.dest = /":              "1:1: field container.mount.dest needs an argument, as in container.mount.dest[x]",
		"fd.name startswith anyof (/a, 'b', c)": "",
	} {
		n, err := syntax.Parse(condition)
		require.NoError(t, err, condition)
		_, err = compile.New(nil).Compile(n)
		if want == "" {
			require.NoError(t, err)
			continue
		}
		var ce *compile.Error
		require.ErrorAs(t, err, &ce, condition)
		require.Equal(t, want, ce.Error(), condition)
	}
}

func macros(t testing.TB, pairs ...string) (list []compile.Macro) {
	for i := 0; i < len(pairs); i += 2 {
		n, err := syntax.Parse(pairs[i+1])
		require.NoError(t, err)
		list = append(list, compile.Macro{Name: pairs[i], Body: n, Index: i, Visibility: i})
	}
	return list
}

func TestMacros(t *testing.T) {
	shell := macros(t, "shell", "proc.name in (sh, bash)", "rooted", "user.uid = 0 and shell", "never", "evt.num = 0", "bad", "proc.nme = x")
	c := compile.New(shell)
	n, err := syntax.Parse("evt.type = openat and rooted and not never")
	require.NoError(t, err)
	p, err := c.Compile(n)
	require.NoError(t, err)
	require.True(t, p.Match(aShell()))
	require.Equal(t, 4, p.Checks)
	require.True(t, c.Used("shell"))
	require.False(t, c.Used("bad"))

	n, err = syntax.Parse("rooted and bad")
	require.NoError(t, err)
	_, err = c.Compile(n)
	require.EqualError(t, err, "macro bad: 1:1: unknown field proc.nme: did you mean proc.name?")

	n, err = syntax.Parse("shel")
	require.NoError(t, err)
	_, err = c.Compile(n)
	require.EqualError(t, err, "1:1: undefined macro shel: did you mean shell?")
}

func TestMacroLoopsAndBombsEnd(t *testing.T) {
	loop := macros(t, "a", "b", "b", "c or a", "c", "a and proc.name = x")
	for i := range loop {
		loop[i].Visibility = 100
	}
	_, err := compile.New(loop).Compile(loop[0].Body)
	require.ErrorContains(t, err, "macro b refers to itself: b -> c -> a -> b")

	// Each macro doubles the one before: 2^40 checks.
	bomb := []string{"m0", "proc.name = x"}
	name := func(i int) string { return "m" + strings.Repeat("x", i) }
	bomb[0] = name(0)
	for i := 1; i <= 40; i++ {
		bomb = append(bomb, name(i), name(i-1)+" or "+name(i-1))
	}
	list := macros(t, bomb...)
	_, err = compile.New(list).Compile(list[len(list)-1].Body)
	require.ErrorContains(t, err, "more than 100000 checks")

	chain := []string{name(0), "proc.name = x"}
	for i := 1; i <= 1100; i++ {
		chain = append(chain, name(i), "not "+name(i-1))
	}
	list = macros(t, chain...)
	_, err = compile.New(list).Compile(list[len(list)-1].Body)
	require.ErrorContains(t, err, "macros are nested deeper than 1000 levels")
}

// TestGetopt has what Falco's transformer makes of arguments.
func TestGetopt(t *testing.T) {
	for _, tc := range []struct{ args, options, want, selected string }{
		{"-n -t 5 file -x", "nt:x", "n,t,5", "5"},
		{"-nt5 -t 6", "nt:", "n,t,5,t,6", "6"},
		{"--exec -t 5", "t:", "t,5", "5"},
		{"-t 5 -- -t 6", "t:", "t,5", "5"},
		{"file -t 5", "t:", "", ""},
		{"- -t 5", "t:", "", ""},
		{"-zt5", "t:", "?,t,5", "5"},
		{"-t", "t:", "", ""},
		{"-n -t", "nt:", "n,", ""},
		{"-t", "t", "t", "t"},
		{"-t -t", "t:", "t,-t", "-t"},
	} {
		e := aShell()
		e.Proc.Args = strings.Fields(tc.args)
		quoted := `getopt(proc.args, "` + tc.options + `")`
		require.True(t, program(t, `join(",", `+quoted+`) = "`+tc.want+`"`).Match(e), "%+v", tc)
		require.Equal(t, tc.selected != "" || strings.HasSuffix(tc.args, "-t"), program(t, quoted+`[t] = "`+tc.selected+`"`).Match(e), "%+v", tc)
	}
}

func TestMatchDoesNotAllocate(t *testing.T) {
	open, connect := aShell(), aConnect()
	p := program(t, `(proc.cmdline contains nothing or proc.aname = nothing or fd.name glob "*x*y*" or fd.name regex "a(b|c)*" or fd.net in ("1.0.0.0/8")
		or proc.pcmdline icontains nothing or evt.arg.flags = x or container.id = y or fd.directory = z or fd.name pmatch (/u*/x, /v) or proc.args endswith x)`)
	require.False(t, p.Match(open))
	require.Zero(t, testing.AllocsPerRun(100, func() { p.Match(open); p.Match(connect) }))
}
