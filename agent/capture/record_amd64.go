//go:build linux

package capture

import (
	"riposte/agent/event"
	"riposte/bpf"
)

// record is what a system call's record says, taken apart.
type record struct {
	bpf.SyscallWireCall
	typ *callType
	// names are the texts of the arguments and bases the directories that they count
	// from, in the order of the shape.
	names, bases [2]string
	data         []byte
	object       bpf.SyscallWireObject
	path         string
	origin       string // the path without the bind mount that it was reached by
	sock         socketRecord
	state        event.State
}

// callType is a call with what follows from its row.
type callType struct {
	call
	shape  bpf.SyscallWireShape
	fields []param
}

// callTypes are by event type.
var callTypes = func() (all [256]*callType) {
	for _, c := range calls {
		if all[c.typ] == nil {
			all[c.typ] = &callType{call: c, shape: c.shape(), fields: parseParams(c.params)}
		}
	}
	return all
}()

// syscall fills e from a record of any kind that a system call has.
func (d *decoder) syscall(raw []byte, kind bpf.SyscallWireKind, e *event.Event) error {
	c := &d.call
	*c = record{typ: callTypes[e.Type]}
	if c.typ == nil {
		return errKind
	}
	head, tail, ok := fixed[bpf.SyscallWireCall](raw)
	if !ok {
		return errShort
	}
	c.SyscallWireCall = head
	var err error
	switch {
	case kind == bpf.SyscallWireKindWIRE_CALL && c.typ.handler == plain:
		_, err = c.take(tail)
	case kind == bpf.SyscallWireKindWIRE_FILE && c.typ.handler == onFile:
		err = c.file(tail, e)
	case kind == bpf.SyscallWireKindWIRE_SOCKET && c.typ.handler == onSock:
		err = c.socket(tail, e)
	case kind == bpf.SyscallWireKindWIRE_CHANGE && c.typ.handler == changes:
		err = c.change(tail, e)
	default:
		return errKind
	}
	if err != nil {
		return err
	}
	for i := range c.typ.fields {
		p := &c.typ.fields[i]
		p.put(d, c, e, p)
	}
	return nil
}

// take cuts the names off what lies behind the fixed part, and a call's data, which
// follows them at once where there is no object.
func (c *record) take(tail []byte) (texts, error) {
	t := textsOf(tail)
	c.takeNames(&t)
	c.data = t.bytes(c.DataLen)
	return t, t.err()
}

func (c *record) takeNames(t *texts) {
	for i := range c.names {
		c.names[i] = t.text(c.NameLen[i])
		c.bases[i] = t.text(c.BaseLen[i])
	}
}

// texts are the parts behind a record's fixed part, to be cut off in order. They are
// copied at once, so that all of them cost one allocation.
type texts struct {
	raw   []byte
	rest  string
	short bool
}

func textsOf(tail []byte) texts { return texts{raw: tail, rest: string(tail)} }

func (t *texts) text(n uint16) string {
	if int(n) > len(t.rest) {
		t.short = true
		return ""
	}
	s := t.rest[:n]
	t.raw, t.rest = t.raw[n:], t.rest[n:]
	return s
}

// bytes are not copied: they are the record's.
func (t *texts) bytes(n uint16) []byte {
	raw := t.raw
	if s := t.text(n); len(s) > 0 {
		return raw[:n:n]
	}
	return nil
}

func (t *texts) err() error {
	if t.short {
		return errShort
	}
	return nil
}
