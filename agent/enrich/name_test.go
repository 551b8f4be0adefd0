package enrich

import (
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/agent/event"
)

func TestNames(t *testing.T) {
	for name, c := range map[string]struct {
		typ        event.Type
		file       event.File
		dirfd      int64
		ret        int64
		want       string
		arg, fdArg string
	}{
		"absolute":         {event.Open, event.File{Kind: 'f', NameRaw: "/etc/../etc//shadow", RealPath: "/etc/shadow"}, atCWD, 3, "/etc/shadow", "/etc/shadow", "<f>/etc/shadow"},
		"above root":       {event.Openat, event.File{Kind: 'f', NameRaw: "/../../etc/shadow"}, atCWD, 3, "/etc/shadow", "/etc/shadow", "<f>/etc/shadow"},
		"cwd":              {event.Openat, event.File{Kind: 'f', NameRaw: "../shadow", Base: "/etc/x"}, atCWD, 3, "/etc/shadow", "/etc/shadow", "<f>/etc/shadow"},
		"cwd of the table": {event.Open, event.File{Kind: 'f', NameRaw: "./a"}, atCWD, -2, "/start/a", "/start/a", ""},
		"dirfd":            {event.Openat2, event.File{Kind: 'd', NameRaw: "b/.", Base: "/mnt"}, 5, 6, "/mnt/b", "/mnt/b", "<d>/mnt/b"},
		"no such dirfd":    {event.Openat, event.File{Kind: 'f', NameRaw: "b"}, 5, -9, "<UNKNOWN>/b", "<UNKNOWN>/b", ""},
		"unreadable":       {event.Openat, event.File{Kind: 'f', RealPath: "/etc/shadow"}, atCWD, 3, "/etc/shadow", "/etc/shadow", "<f>/etc/shadow"},
	} {
		t.Run(name, func(t *testing.T) {
			table := testTable(t, Options{})
			table.byPID[1].CWD = "/start"
			e := event.Event{
				Type: c.typ, KernelNS: 9 * second, Task: task(1, 0, second, hostGroup, "init"), File: c.file, Ret: c.ret,
				Args: []event.Arg{{Name: "fd", Int: c.ret, IsInt: true}, {Name: "name", Text: c.file.NameRaw}},
			}
			if c.typ != event.Open {
				e.Args = append(e.Args, event.Arg{Name: "dirfd", Int: c.dirfd, IsInt: true})
			}
			table.Apply(&e)
			require.Equal(t, c.want, e.File.Name)
			a, _ := e.Arg("name")
			require.Equal(t, c.arg, a.Text)
			a, _ = e.Arg("fd")
			require.Equal(t, c.fdArg, a.Text)
		})
	}
}

func TestRelativeExec(t *testing.T) {
	table := testTable(t, Options{})
	e := event.Event{
		Type: event.Execve, KernelNS: 9 * second, Task: task(1, 0, second, hostGroup, "x"),
		Exec: &event.Exec{Path: "/tmp/x", Args: []string{"./x"}, State: event.State{CWD: "/tmp"}}, Args: []event.Arg{{Name: "filename", Text: "./x"}},
	}
	table.Apply(&e)
	require.Equal(t, "/tmp/x", e.Args[0].Text)
}
