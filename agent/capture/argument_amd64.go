//go:build linux

package capture

import (
	"encoding/binary"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"riposte/agent/event"
	"riposte/bpf"
)

// What the words of params do; each appends one parameter.

func putRes(_ *decoder, _ *record, e *event.Event, p *param) { result(e, p.name, e.Ret) }

// putNew is a descriptor that the call has returned.
func putNew(_ *decoder, _ *record, e *event.Event, p *param) {
	result(e, p.name, e.Ret)
	if e.Ret >= 0 && e.File.Kind != 0 && !opens(e.Type) { // an open's name is not known yet
		e.Args[len(e.Args)-1].Text = described(&e.File)
	}
}

func putFD(_ *decoder, c *record, e *event.Event, p *param) {
	number(e, p.name, int64(int32(c.Args[p.n])))
	if e.File.Kind != 0 {
		e.Args[len(e.Args)-1].Text = described(&e.File)
	}
}

// putDir is the descriptor of the directory that the path behind it counts from.
func putDir(_ *decoder, c *record, e *event.Event, p *param) {
	fd := int32(c.Args[p.n])
	if fd == unix.AT_FDCWD {
		both(e, p.name, int64(fd), "AT_FDCWD")
		return
	}
	number(e, p.name, int64(fd))
	for i, base := range c.bases {
		if base != "" && c.typ.shape.Dir[i] == uint8(p.n+1) {
			e.Args[len(e.Args)-1].Text = "<d>" + base
		}
	}
}

// named is the index of the argument among the names that the kernel has read.
func named(c *record, p *param) int {
	if c.typ.shape.Name[0] == uint8(p.n+1) {
		return 0
	}
	return 1
}

func putPath(_ *decoder, c *record, e *event.Event, p *param) {
	i := named(c, p)
	raw := c.names[i]
	a := event.Arg{Name: p.name, Raw: raw}
	if raw != "" {
		a.Text = event.Absolute(raw, c.bases[i])
	}
	e.Args = append(e.Args, a)
}

func putText(_ *decoder, c *record, e *event.Event, p *param) { text(e, p.name, c.names[named(c, p)]) }

func putString(_ *decoder, c *record, e *event.Event, p *param) { text(e, p.name, cString(c.data)) }

func putFlags(d *decoder, c *record, e *event.Event, p *param) {
	bits := uint32(c.Args[p.n])
	if p.convert != nil {
		bits = p.convert(bits)
	}
	both(e, p.name, int64(bits), d.flagText(p.table, bits, false))
}

func putEnum(d *decoder, c *record, e *event.Event, p *param) {
	value := uint32(c.Args[p.n])
	if p.convert != nil {
		value = p.convert(value)
	}
	both(e, p.name, int64(value), d.flagText(p.table, value, true))
}

func putInt(_ *decoder, c *record, e *event.Event, p *param) {
	number(e, p.name, int64(int32(c.Args[p.n])))
}

func putUint(_ *decoder, c *record, e *event.Event, p *param) {
	number(e, p.name, int64(uint32(c.Args[p.n])))
}

func putLong(_ *decoder, c *record, e *event.Event, p *param) { number(e, p.name, int64(c.Args[p.n])) }

func putMode(_ *decoder, c *record, e *event.Event, p *param) {
	mode := int64(uint32(c.Args[p.n]) & 0o7777)
	both(e, p.name, mode, octal(mode))
}

func putSignal(_ *decoder, c *record, e *event.Event, p *param) {
	n := int64(int32(c.Args[p.n]))
	if name := unix.SignalName(unix.Signal(n)); name != "" {
		both(e, p.name, n, name)
		return
	}
	number(e, p.name, n)
}

// putBytes shows what a buffer began with; the bytes themselves are the event's Data.
func putBytes(_ *decoder, c *record, e *event.Event, p *param) {
	e.Data = c.data
	text(e, p.name, printable(c.data))
}

// printable shows bytes, with a dot for each that cannot be printed.
func printable(b []byte) string {
	var s strings.Builder
	for _, c := range b {
		if c < ' ' || c > '~' {
			c = '.'
		}
		s.WriteByte(c)
	}
	return s.String()
}

// uringParams is how much of io_uring_setup's structure is read.
const uringParams = 24

func putUring(d *decoder, c *record, e *event.Event, p *param) {
	if len(c.data) < uringParams {
		return
	}
	value := binary.LittleEndian.Uint32(c.data[p.n:])
	switch p.name {
	case "flags":
		value = value&3 | value>>2<<3
		both(e, p.name, int64(value), d.flagText(uringSetup, value, false))
	case "features":
		both(e, p.name, int64(value), d.flagText(uringFeatures, value, false))
	default:
		number(e, p.name, int64(value))
	}
}

// putCap is one of the capability sets that the task has now, whatever was asked for.
func putCap(_ *decoder, c *record, e *event.Event, p *param) {
	caps := c.state.Caps
	number(e, p.name, int64([]uint64{caps.Inheritable, caps.Permitted, caps.Effective}[p.n]))
}

const prSetName = unix.PR_SET_NAME

// putNewName is the name that prctl gave the task, as the task has it now.
func putNewName(_ *decoder, c *record, e *event.Event, p *param) {
	name := ""
	if c.Args[0] == prSetName && e.Ret >= 0 {
		name = e.Task.Comm
	}
	text(e, p.name, name)
}

func putPrctl(_ *decoder, c *record, e *event.Event, p *param) {
	if c.Args[0] == prSetName { // a pointer
		number(e, p.name, 0)
		return
	}
	number(e, p.name, int64(c.Args[p.n]))
}

// putClone is the flags of a fork; fork and vfork have none.
func putClone(d *decoder, c *record, e *event.Event, p *param) {
	putCloneFlags(d, e, p.name, c.Args[p.n])
}

func putCloneFlags(d *decoder, e *event.Event, name string, kernel uint64) {
	if e.Type == event.ForkCall || e.Type == event.Vfork {
		kernel = 0
	}
	flags := falcoClone(uint32(kernel))
	both(e, name, int64(flags), d.flagText(cloneFlags, flags, false))
}

func putTask(_ *decoder, _ *record, e *event.Event, p *param) {
	switch p.name {
	case "tid":
		number(e, p.name, int64(e.Task.TID))
	case "pid":
		number(e, p.name, int64(e.Task.PID))
	case "ptid":
		number(e, p.name, int64(e.Task.PPID))
	case "comm":
		text(e, p.name, e.Task.Comm)
	case "uid":
		number(e, p.name, int64(e.Task.UID))
	case "gid":
		number(e, p.name, int64(e.Task.GID))
	}
}

func octal(mode int64) string {
	if mode == 0 {
		return "0"
	}
	return "0" + strconv.FormatInt(mode, 8)
}

func has(marks uint32, mark bpf.SyscallWireMark) bool { return marks&uint32(mark) != 0 }
