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
