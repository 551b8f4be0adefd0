package scap

import (
	"strconv"
	"strings"

	"riposte/agent/capture/flag"
	"riposte/agent/event"
	"riposte/agent/rules/field"
)

// maskKey is a flag parameter and its value. The texts are remembered, for the same
// few come again and again.
type maskKey struct {
	first *flag.Name
	value uint32
	exact bool
}

const maxMasks = 4096

func (d *decoder) mask(t flag.Table, value uint32, exact bool) string {
	if len(t) == 0 {
		return ""
	}
	k := maskKey{&t[0], value, exact}
	if s, ok := d.masks[k]; ok {
		return s
	}
	if len(d.masks) >= maxMasks {
		clear(d.masks)
	}
	s := ""
	if exact {
		s = t.Exact(value)
	} else {
		s = t.Text(value)
	}
	d.masks[k] = s
	return s
}

// args gives the event its parameters as rules see them.
func (d *decoder) args(e *event.Event) {
	for i := range d.typ.params {
		if v := d.at(i); v != nil {
			e.Args = append(e.Args, d.arg(i, v))
		}
	}
}

func (d *decoder) arg(i int, v []byte) event.Arg {
	p := &d.typ.params[i]
	a := event.Arg{Name: p.name}
	switch p.kind {
	case kindText:
		a.Text = cString(v)
	case kindPath, kindRelative:
		if a.Text = d.resolved(i, v); a.Text != string(untilNUL(v)) {
			a.Raw = cString(v)
		}
	case kindBytes, kindOther:
		a.Text = printable(v)
	case kindAddr:
		t := address(v)
		a.Text = t.String()
	case kindTuple:
		t := tuple(v)
		a.Text = t.String()
	case kindDynamic:
		if len(v) > 1 {
			a.Int, a.IsInt = integer(v[1:], kindNumber)
		}
	default:
		a.Int, a.IsInt = integer(v, p.kind)
		if a.IsInt {
			a.Text = d.meaning(p, a.Int)
		}
	}
	if d.texts[i] != "" {
		a.Text = d.texts[i]
	}
	return a
}

// meaning is the text of a number, empty if it has none.
func (d *decoder) meaning(p *param, n int64) string {
	switch p.kind {
	case kindErrno:
		if n < 0 {
			return field.Result(n)
		}
	case kindFD:
		switch o := d.thread.fds.get(n); {
		case o != nil:
			return "<" + letters(o) + ">" + o.title()
		case n == atCWD:
			return "AT_FDCWD"
		case n < 0:
			return field.Result(n)
		}
	case kindPID:
		if t := d.threads.get(n); t != nil && n > 0 {
			return t.proc.Comm
		}
	case kindUID:
		return d.users.name(d.thread.proc.Container.ID, uint32(n), false)
	case kindGID:
		return d.users.name(d.thread.proc.Container.ID, uint32(n), true)
	case kindCall:
		return callName(n)
	case kindFlags:
		return d.mask(p.flags, uint32(n), false)
	case kindEnum:
		return d.mask(p.flags, uint32(n), true)
	case kindOctal:
		if n == 0 {
			return "0"
		}
		return "0" + strconv.FormatInt(n, 8)
	case kindHex:
		return strconv.FormatInt(n, 16)
	}
	return ""
}

// resolved makes a path absolute.
func (d *decoder) resolved(i int, v []byte) string {
	if d.texts[i] != "" {
		return d.texts[i]
	}
	_, full := d.paths.name(v, func() string { return d.base(i) })
	return full
}

// base is the directory that a relative path in a parameter counts from.
func (d *decoder) base(i int) string {
	if d.typ.params[i].kind == kindRelative && i > 0 && d.at(i-1) != nil {
		fd, _ := integer(d.at(i-1), kindFD)
		if fd != atCWD {
			if o := d.thread.fds.get(fd); o != nil {
				return o.title()
			}
			return unknownDir
		}
	}
	return d.thread.proc.CWD
}

// atCWD is the descriptor that stands for the working directory.
const atCWD = -100

// letters is the letter of a descriptor, with one for the protocol of a socket.
func letters(o *object) string {
	s := string(rune(o.Kind))
	if o.Kind == event.KindIPv4 || o.Kind == event.KindIPv6 {
		switch o.Socket.L4 {
		case 6:
			s += "t"
		case 17:
			s += "u"
		}
	}
	return s
}

// maxShown bounds how much of a buffer is shown.
const maxShown = 1024

// printable shows bytes, with a dot for each that cannot be printed.
func printable(b []byte) string {
	b = b[:min(len(b), maxShown)]
	var s strings.Builder
	for _, c := range b {
		if c < ' ' || c > '~' {
			c = '.'
		}
		s.WriteByte(c)
	}
	return s.String()
}
