package enrich

import (
	"path"
	"strings"

	"riposte/agent/event"
)

// unknownDir stands for the directory of a descriptor that nobody knows, as in Falco.
const unknownDir = "<UNKNOWN>"

// atCWD is the descriptor that stands for the working directory.
const atCWD = -100

// name completes the names in an event: absolute, with "." and ".." resolved by their
// text alone and no symlink followed. That is what Falco calls fd.name.
func (t *Table) name(e *event.Event, p *entry) {
	switch e.Type {
	case event.Open, event.Openat, event.Openat2, event.Creat:
		t.opened(e, p)
	case event.Connect:
		if e.Ret >= 0 {
			describe(e, "fd", kindOf(&e.File), e.File.Name)
		}
	case event.Execve:
		if a := arg(e, "filename"); a != nil && a.Text != "" {
			a.Text = absolute(a.Text, p.CWD)
		}
	}
}

func (t *Table) opened(e *event.Event, p *entry) {
	f := &e.File
	base := f.Base
	dirfd := int64(atCWD)
	if a := arg(e, "dirfd"); a != nil {
		dirfd = a.Int
	}
	switch {
	case dirfd == atCWD && base != "":
		t.cwd(p, base) // news where a change of directory was lost
	case dirfd == atCWD:
		base = p.CWD
	case base == "":
		base = unknownDir
	default:
		describe(e, "dirfd", "d", base)
	}
	switch {
	case f.NameRaw != "":
		f.Name = absolute(f.NameRaw, base)
	default:
		f.Name = f.RealPath // the argument could not be read
	}
	if a := arg(e, "name"); a != nil {
		a.Text = f.Name
	}
	if e.Ret >= 0 {
		describe(e, "fd", kindOf(f), f.Name)
	}
}

// absolute joins and cleans.
func absolute(name, base string) string {
	if strings.HasPrefix(name, "/") {
		return path.Clean(name)
	}
	if base == unknownDir || base == "" {
		return unknownDir + "/" + name
	}
	return path.Join(base, name)
}

// describe gives a descriptor's parameter Falco's text: <kind>name.
func describe(e *event.Event, param, kind, name string) {
	if a := arg(e, param); a != nil {
		a.Text = "<" + kind + ">" + name
	}
}

func arg(e *event.Event, name string) *event.Arg {
	for i := range e.Args {
		if e.Args[i].Name == name {
			return &e.Args[i]
		}
	}
	return nil
}

func kindOf(f *event.File) string {
	kind := string(rune(f.Kind))
	if f.Kind == event.KindIPv4 || f.Kind == event.KindIPv6 {
		switch f.Socket.L4 {
		case 6:
			kind += "t"
		case 17:
			kind += "u"
		}
	}
	return kind
}
