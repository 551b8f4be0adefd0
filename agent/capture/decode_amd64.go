//go:build linux

package capture

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"riposte/agent/event"
	"riposte/bpf"
)

// wireVersion is the version of headers/wire.h that this file reads.
const wireVersion = uint16(bpf.SyscallWireVersionWIRE_VERSION)

var errShort = errors.New("record is shorter than it says")

// decoder turns records into events. It remembers short texts that come again and
// again (names, flags), so that a usual event costs one allocation for its texts.
type decoder struct {
	clock *clock
	comms memory[[16]byte]
	flags memory[uint32]
}

func newDecoder(c *clock) *decoder { return &decoder{clock: c} }

// record fills e from one record. On an error e is undefined.
func (d *decoder) record(raw []byte, e *event.Event) error {
	e.Reset()
	h, _, ok := fixed[bpf.SyscallWireHeader](raw)
	switch {
	case !ok || int(h.Size) > len(raw) || h.Size < uint32(unsafe.Sizeof(h)):
		return errShort
	case h.Version != wireVersion:
		return fmt.Errorf("record of version %d, this is %d", h.Version, wireVersion)
	}
	d.header(&h, e)
	raw = raw[:h.Size]
	kind := bpf.SyscallWireKind(h.Kind)
	switch {
	case kind == bpf.SyscallWireKindWIRE_OPEN && opens(e.Type):
		return d.open(raw, e)
	case kind == bpf.SyscallWireKindWIRE_EXEC && (e.Type == event.Execve || e.Type == event.Execveat):
		return d.exec(raw, e)
	case kind == bpf.SyscallWireKindWIRE_CONNECT && e.Type == event.Connect:
		return d.connect(raw, e)
	case kind == bpf.SyscallWireKindWIRE_FORK:
		return d.fork(raw, e)
	case kind == bpf.SyscallWireKindWIRE_EXIT:
		d.exit(e)
		return nil
	case kind == bpf.SyscallWireKindWIRE_CGROUP:
		return d.cgroup(raw, e)
	}
	return fmt.Errorf("record of unknown kind %d, call %d", h.Kind, h.Call)
}

func opens(t event.Type) bool {
	return t == event.Open || t == event.Openat || t == event.Openat2 || t == event.Creat
}

var typeOf = [...]event.Type{
	bpf.SyscallWireCallCALL_EXECVE:   event.Execve,
	bpf.SyscallWireCallCALL_EXECVEAT: event.Execveat,
	bpf.SyscallWireCallCALL_OPEN:     event.Open,
	bpf.SyscallWireCallCALL_OPENAT:   event.Openat,
	bpf.SyscallWireCallCALL_OPENAT2:  event.Openat2,
	bpf.SyscallWireCallCALL_CREAT:    event.Creat,
	bpf.SyscallWireCallCALL_CONNECT:  event.Connect,
}

func (d *decoder) header(h *bpf.SyscallWireHeader, e *event.Event) {
	if int(h.Call) < len(typeOf) {
		e.Type = typeOf[h.Call]
	}
	e.KernelNS = h.Ktime
	e.TimeNS = d.clock.unix(h.Ktime)
	e.CPU = h.Cpu
	e.Compat = h.Compat != 0
	e.Ret = h.Ret
	e.Task = event.Task{
		PID: int32(h.Pid), TID: int32(h.Tid), PPID: int32(h.Ppid),
		StartNS: h.Start, UID: h.Uid, GID: h.Gid, CgroupID: h.Cgroup,
		Comm: d.comm(&h.Comm),
	}
}

// comm is the task's name up to its first NUL.
func (d *decoder) comm(c *[16]int8) string {
	key := *(*[16]byte)(unsafe.Pointer(c)) // bytes either way
	return d.comms.get(key, func() string { return cString(key[:]) })
}

// fixed copies the fixed part off the front of a record.
func fixed[T any](raw []byte) (v T, rest []byte, ok bool) {
	size := int(unsafe.Sizeof(v))
	if len(raw) < size {
		return v, nil, false
	}
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&v)), size), raw)
	return v, raw[size:], true
}

// take cuts the next text of n bytes.
func take(rest *string, n uint16) (string, bool) {
	if int(n) > len(*rest) {
		return "", false
	}
	text := (*rest)[:n]
	*rest = (*rest)[n:]
	return text, true
}

func cString(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}

// arguments splits what the kernel keeps as one block, each text ending in NUL. A
// process may write into the block, so the last NUL may be missing.
func arguments(block string) []string {
	if block == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(block, "\x00"), "\x00")
}

func number(e *event.Event, name string, n int64) {
	e.Args = append(e.Args, event.Arg{Name: name, Int: n, IsInt: true})
}

func text(e *event.Event, name, s string) {
	e.Args = append(e.Args, event.Arg{Name: name, Text: s})
}

func both(e *event.Event, name string, n int64, s string) {
	e.Args = append(e.Args, event.Arg{Name: name, Int: n, IsInt: true, Text: s})
}

// result is a parameter that is an error number when negative: Falco shows its name.
func result(e *event.Event, name string, ret int64) {
	if ret < 0 {
		both(e, name, ret, unix.ErrnoName(unix.Errno(-ret)))
		return
	}
	number(e, name, ret)
}

// memory maps small values to their texts, up to a limit: then it starts anew, for
// a process can make up any number of them.
type memory[K comparable] struct{ known map[K]string }

const memoryLimit = 1024

func (m *memory[K]) get(key K, make func() string) string {
	if s, ok := m.known[key]; ok {
		return s
	}
	if m.known == nil || len(m.known) >= memoryLimit {
		m.known = map[K]string{}
	}
	s := make()
	m.known[key] = s
	return s
}
