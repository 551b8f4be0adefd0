package field_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/agent/event"
	"riposte/agent/rules/field"
	"riposte/agent/rules/syntax"
)

func resolve(t *testing.T, name string) field.Ref {
	t.Helper()
	o, n, err := syntax.ParseField(name)
	require.NoError(t, err)
	require.Equal(t, len(name), n)
	ref, err := field.Resolve(o.(*syntax.Field))
	require.NoError(t, err)
	return ref
}

func TestCatalogueIsWhole(t *testing.T) {
	for _, f := range field.All() {
		require.NotEmpty(t, f.Desc, f.Name)
		require.Regexp(t, `^[a-z0-9]+(\.[a-zA-Z0-9_]+)+$`, f.Name)
		arg := field.Argument{}
		if f.Arg == field.RequiredText || f.Arg == field.RequiredIndex {
			arg = field.Argument{Set: true, Text: "x", Index: -1}
		}
		// An event about which nothing is known: no panic, and no value from a process.
		v := f.Get(&event.Event{}, arg, 0)
		if f.Scope == field.Process || f.Scope == field.Container || f.Scope == field.File {
			require.False(t, v.OK, f.Name)
		}
		require.False(t, f.Get(&event.Event{Proc: &event.Process{Container: event.Host}}, arg, 1000).OK, "%s does not end", f.Name)
	}
}

func TestValues(t *testing.T) {
	c := &event.Container{ID: "0123456789abcdef", Repository: "r/x", StartNS: 100}
	shell := &event.Process{PID: 10, VPID: 1, Comm: "bash", Exe: "-bash", ExePath: "/bin/bash", Container: c, StartNS: 50, StartKnown: true}
	p := &event.Process{
		PID: 11, PPID: 10, VPID: 2, VPGID: 1, SID: 10, PGID: 11, Comm: "cat", Exe: "cat", ExePath: "/bin/cat", Args: []string{"/etc/x", "-v"}, CWD: "/root",
		UID: 1000, EUID: 33, GID: 44, LoginUID: 4294967295, TTY: 1, Container: c, Parent: shell, StartNS: 400, StartKnown: true,
	}
	e := &event.Event{
		Num: 3, Type: event.Open, TimeNS: 1_700_000_000_000_000_900, KernelNS: 900, Ret: -2, Proc: p, Task: event.Task{PID: 11, TID: 12},
		Args: []event.Arg{{Name: "fd", Int: -1, IsInt: true, Text: "ENOENT"}, {Name: "name", Text: "/etc/x"}, {Name: "dev", Int: 8, IsInt: true}},
		File: event.File{Kind: 'f', Num: -1, Name: "/etc/x", NameRaw: "x", Flags: 0o102, Mode: 0o755},
	}
	for name, want := range map[string]any{
		"evt.num": uint64(3), "evt.type": "open", "evt.dir": "<", "evt.res": "ENOENT", "evt.rawres": int64(-2), "evt.failed": true,
		"evt.args": "fd=-1(ENOENT) name=/etc/x dev=8", "evt.arg.name": "/etc/x", "evt.arg[2]": "8", "evt.arg[9]": nil, "evt.arg.uid": nil, "evt.arg.fd": "ENOENT",
		"evt.is_open_read": true, "evt.is_open_write": true, "evt.is_open_exec": true, "evt.is_open_create": false,
		"evt.time.iso8601": "2023-11-14T22:13:20.000000900+0000", "evt.rawtime": uint64(1_700_000_000_000_000_900), "evt.rawtime.ns": uint64(900),
		"fd.num": int64(-1), "fd.name": "/etc/x", "fd.nameraw": "x", "fd.typechar": "f", "fd.type": "file", "fd.directory": "/etc", "fd.filename": "x",
		"fd.sip": nil, "evt.category": "file", "evt.is_io": false, "evt.count": int64(1), "evt.count.error.file": int64(1), "evt.type.is.open": int64(1),
		"evt.type.is.openat": int64(0), "evt.rawarg.fd": int64(-1), "evt.rawarg.name": "/etc/x", "evt.rawarg.uid": nil, "evt.latency": nil, "syscall.type": "open",
		"evt.around[1700000000000000000]": uint64(1), "fd.uid": "12-1", "proc.loginshellid": int64(10), "k8smeta.pod.name": nil, "ka.verb": nil, "fd.l4proto": nil, "fd.connected": nil, "fd.realpath": nil, "fd.name_differs": false, "fs.path.name": "/etc/x",
		"proc.name": "cat", "proc.args": "/etc/x -v", "proc.cmdline": "cat /etc/x -v", "proc.exeline": "cat /etc/x -v", "proc.cmdnargs": uint64(2), "proc.cmdlenargs": uint64(8), "proc.args[1]": "-v", "proc.args[2]": nil, "proc.cwd": "/root",
		"proc.pid": int64(11), "proc.ppid": int64(10), "proc.vpid": int64(2), "proc.pvpid": int64(1), "proc.tty": int64(1),
		"proc.pname": "bash", "proc.pexe": "-bash", "proc.pexepath": "/bin/bash", "proc.pcmdline": "bash", "proc.aname": "bash", "proc.aname[0]": "cat", "proc.aname[2]": nil,
		"proc.duration": int64(500), "proc.ppid.duration": int64(850), "proc.pid.ts": int64(1_700_000_000_000_000_400),
		"proc.sname": "bash", "proc.vpgid.name": "bash", "proc.pgid.name": "cat", "proc.is_vpgid_leader": false, "proc.is_pgid_leader": true,
		"user.uid": int64(33), "user.loginuid": int64(-1), "user.name": nil, "group.gid": int64(44), "thread.tid": int64(12), "thread.ismain": false,
		"container.id": "0123456789ab", "container.full_id": "0123456789abcdef", "container.name": nil, "container.image.repository": "r/x",
		"container.start_ts": uint64(1_700_000_000_000_000_100), "container.duration": uint64(800), "k8s.ns.name": nil,
	} {
		ref := resolve(t, name)
		require.Equal(t, want, ref.Type.JSON(ref.Read(e)), name)
	}

	p.StartKnown = false
	require.False(t, resolve(t, "proc.duration").Read(e).OK, "the age of a process older than the agent is not known")
	p.Container = event.Host
	require.Equal(t, "host", resolve(t, "container.id").Read(e).Text)
	require.Equal(t, "host", resolve(t, "container.name").Read(e).Text)
	require.False(t, resolve(t, "container.image.repository").Read(e).OK)
	e.Type, e.File.Flags = event.Creat, 0o1101
	require.Zero(t, resolve(t, "evt.is_open_write").Read(e).Int, "creat is not an open here")
	require.NotZero(t, resolve(t, "evt.is_open_exec").Read(e).Int)
}

func TestSocketRoles(t *testing.T) {
	e := &event.Event{Type: event.Connect, File: event.File{Kind: '6', Socket: event.Socket{
		Local: netip.MustParseAddrPort("[::1]:1000"), Remote: netip.MustParseAddrPort("[::ffff:1.2.3.4]:80"), L4: 6,
	}}}
	text := func(name string, i int) string {
		ref := resolve(t, name)
		return ref.Type.Format(ref.Get(e, ref.Argument, i))
	}
	require.Equal(t, []string{"<NA>", "<NA>", "::1", "1.2.3.4"}, []string{text("fd.cip", 0), text("fd.sport", 0), text("fd.lip", 0), text("fd.rip", 0)})
	e.File.Socket.Role = event.RoleClient
	require.Equal(t, []string{"::1", "1.2.3.4", "1000", "80"}, []string{text("fd.cip", 0), text("fd.sip", 0), text("fd.cport", 0), text("fd.sport", 0)})
	e.File.Socket.Role = event.RoleServer
	require.Equal(t, []string{"1.2.3.4", "::1", "80", "1000"}, []string{text("fd.cip", 0), text("fd.sip", 0), text("fd.cport", 0), text("fd.sport", 0)})
	require.Equal(t, []string{"::1", "1.2.3.4", "<NA>"}, []string{text("fd.ip", 0), text("fd.ip", 1), text("fd.ip", 2)})
	e.File.Socket.Local = netip.AddrPort{}
	require.Equal(t, []string{"1.2.3.4", "<NA>"}, []string{text("fd.ip", 0), text("fd.ip", 1)})
}

func TestDirectory(t *testing.T) {
	for name, want := range map[string][2]string{"/": {"/", "<NA>"}, "/a": {"/", "a"}, "/a/b": {"/a", "b"}} {
		e := &event.Event{File: event.File{Kind: 'f', Name: name}}
		dir, file := resolve(t, "fd.directory"), resolve(t, "fd.filename")
		require.Equal(t, want, [2]string{dir.Type.Format(dir.Read(e)), file.Type.Format(file.Read(e))}, name)
	}
}

// A ring of parents must end.
func TestAncestorsEnd(t *testing.T) {
	a, b := &event.Process{PID: 1, Comm: "a"}, &event.Process{PID: 2, Comm: "b"}
	a.Parent, b.Parent = b, a
	e := &event.Event{Proc: a}
	n := 0
	for ref := resolve(t, "proc.aname"); ref.Get(e, ref.Argument, n).OK; n++ {
	}
	require.Equal(t, 128, n)
	require.True(t, resolve(t, "proc.sname").Read(e).OK)
}

func TestCommandLineFollowsTheProcess(t *testing.T) {
	p := &event.Process{Comm: "sh", Args: []string{"-c", "x"}}
	require.Equal(t, "sh -c x", p.CmdLine())
	p.Args = []string{"-c", "y"}
	require.Equal(t, "sh -c y", p.CmdLine())
	p.Comm = "renamed"
	require.Equal(t, "renamed -c y", p.CmdLine())
	require.Equal(t, "-c y", p.ArgsText())
	p.Args = p.Args[:1]
	require.Equal(t, "renamed -c", p.CmdLine())
	p.Args = nil
	require.Equal(t, "renamed", p.CmdLine())
	require.Empty(t, p.ArgsText())
}

func TestEventNamesAreSorted(t *testing.T) {
	require.IsIncreasing(t, field.EventNames())
	for _, typ := range event.Types() {
		require.Contains(t, field.EventNames(), typ.String())
	}
}
