package enrich

import "riposte/agent/event"

// atCWD is the descriptor that stands for the working directory.
const atCWD = -100

// name completes the names in an event: absolute, with "." and ".." resolved by their
// text alone and no symlink followed. That is what Falco calls fd.name.
func (t *Table) name(e *event.Event, p *entry) {
	switch e.Type {
	case event.Open, event.Openat, event.Openat2, event.Creat, event.OpenByHandleAt:
		t.opened(e, p)
	case event.Connect:
		if e.Ret >= 0 {
			describe(e, "fd", kindOf(&e.File), e.File.Name)
		}
	case event.Setuid:
		nameUser(e, "uid", p)
	case event.Setreuid, event.Setresuid:
		nameUser(e, "euid", p)
	case event.Clone, event.Clone3, event.ForkCall, event.Vfork, event.Execveat:
		e.Fill = t.fill
	case event.Execve:
		e.Fill = t.fill
		if a := arg(e, "filename"); a != nil && a.Text != "" {
			a.Text = event.Absolute(a.Text, p.CWD)
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
		base = event.UnknownDir
	default:
		describe(e, "dirfd", "d", base)
	}
	switch {
	case f.NameRaw != "":
		f.Name = event.Absolute(f.NameRaw, base)
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

// nameUser gives the parameter of a call that made the process somebody else the new
// name, as Falco does. A number that was refused belongs to nobody here.
func nameUser(e *event.Event, param string, p *entry) {
	if a := arg(e, param); a != nil && e.Ret >= 0 && a.Int == int64(p.EUID) {
		a.Text = p.User
	}
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
