package field

import (
	"path"
	"strings"

	"riposte/agent/event"
)

// pathArgs are the parameters that name what a call works on, by the call.
var pathArgs = map[event.Type]string{
	event.Mkdir: "path", event.Mkdirat: "path", event.Rmdir: "path", event.Unlink: "path", event.Unlinkat: "name", event.Chmod: "filename",
	event.Fchmodat: "filename", event.Chown: "path", event.Lchown: "path", event.Fchownat: "pathname", event.Quotactl: "special",
	event.Umount: "name", event.Umount2: "name",
}

// pair are the parameters of a call with two paths. As in Falco, the source of a link
// is the new name, and its target what that leads to.
type pair struct{ source, target string }

var pathPairs = map[event.Type]pair{
	event.Rename: {"oldpath", "newpath"}, event.Renameat: {"oldpath", "newpath"}, event.Renameat2: {"oldpath", "newpath"}, event.Link: {"newpath", "oldpath"},
	event.Linkat: {"newpath", "oldpath"}, event.Symlink: {"linkpath", "target"}, event.Symlinkat: {"linkpath", "target"}, event.Mount: {"dev", "dir"},
}

func source(p pair) string { return p.source }

func target(p pair) string { return p.target }

// ofPair reads one path of a call with two. A call that failed has none.
func ofPair(which func(pair) string, raw bool) reader {
	return ofEvent(func(e *event.Event) Value {
		p, ok := pathPairs[e.Type]
		if !ok || e.Ret < 0 {
			return Value{}
		}
		return pathArg(e, which(p), raw)
	})
}

// pathName reads the path of a call with one. Opens have it when they fail, too.
func pathName(raw bool) func(*event.Event) Value {
	return func(e *event.Event) Value {
		switch {
		case opens(e) || e.Type == event.Creat:
			if raw {
				return text(e.File.NameRaw)
			}
			return text(e.Name())
		case e.Ret < 0:
			return Value{}
		case e.Type == event.Fchmod || e.Type == event.Fchown:
			return text(e.Name())
		}
		return pathArg(e, pathArgs[e.Type], raw)
	}
}

// pathArg reads a path parameter as it was passed, or made absolute.
func pathArg(e *event.Event, name string, raw bool) Value {
	if name == "" {
		return Value{}
	}
	a, ok := e.Arg(name)
	switch {
	case !ok:
		return Value{}
	case raw && a.Raw != "":
		return text(a.Raw)
	case raw || a.Text == "" || strings.HasPrefix(a.Text, "/") || strings.HasPrefix(a.Text, "<"):
		return text(a.Text)
	case e.Proc == nil || e.Proc.CWD == "":
		return Value{}
	}
	return text(path.Join(e.Proc.CWD, a.Text))
}
