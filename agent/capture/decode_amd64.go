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

var (
	errShort = errors.New("shorter than it says")
	errKind  = errors.New("unknown")
)

// decoder turns records into events. It remembers short texts that come again and
// again (names, flags), so that a usual event costs one allocation for its texts.
type decoder struct {
	clock *clock
	comms memory[[16]byte]
	flags memory[flagKey]

	pending pending
	// call is the record in work, kept so that it costs no allocation.
	call record
}

func newDecoder(c *clock) *decoder { return &decoder{clock: c} }

// errKept says that the record is kept for another that completes it.
var errKept = errors.New("kept")

// record fills e from one record. On an error e is undefined.
func (d *decoder) record(raw []byte, e *event.Event) error {
	e.Reset()
	h, _, ok := fixed[bpf.SyscallWireHeader](raw)
	if ok && h.Uring != 0 && h.Kind != uint8(bpf.SyscallWireKindWIRE_DONE) && h.Version == wireVersion && int(h.Size) == len(raw) {
		d.pending.submitted(raw, &h)
		return errKept
	}
	return d.decode(raw, e)
}

// late tells of a request of io_uring that has no result after a time.
func (d *decoder) late(now uint64, e *event.Event) bool {
	raw := d.pending.late(now)
	if raw == nil {
		return false
	}
	e.Reset()
	if d.decode(raw, e) != nil {
		return false
	}
	e.Pending = e.Ret < 0
	return true
}

// decode fills e from one record as it is.
func (d *decoder) decode(raw []byte, e *event.Event) error {
	h, _, ok := fixed[bpf.SyscallWireHeader](raw)
	switch {
	case !ok || int(h.Size) > len(raw) || h.Size < uint32(unsafe.Sizeof(h)):
		return errShort
	case h.Version != wireVersion:
		return fmt.Errorf("record of version %d, this is %d", h.Version, wireVersion)
	}
	d.header(&h, e)
	raw = raw[:h.Size]
	var err error
	switch kind := bpf.SyscallWireKind(h.Kind); kind {
	case bpf.SyscallWireKindWIRE_CALL, bpf.SyscallWireKindWIRE_FILE, bpf.SyscallWireKindWIRE_SOCKET, bpf.SyscallWireKindWIRE_CHANGE:
		err = d.syscall(raw, kind, e)
	case bpf.SyscallWireKindWIRE_EXEC:
		err = d.exec(raw, e)
	case bpf.SyscallWireKindWIRE_FORK:
		err = d.fork(raw, e)
	case bpf.SyscallWireKindWIRE_EXIT:
		d.exit(e)
	case bpf.SyscallWireKindWIRE_CGROUP:
		err = d.cgroup(raw, e)
	case bpf.SyscallWireKindWIRE_DONE:
		err = d.done(raw, e)
	default:
		err = errKind
	}
	if err == nil && e.Type == event.Unknown && e.Cgroup == nil {
		err = errKind
	}
	if err != nil {
		return fmt.Errorf("record of kind %d, call %s: %w", h.Kind, e.Type, err)
	}
	return nil
}

func (d *decoder) header(h *bpf.SyscallWireHeader, e *event.Event) {
	e.Type = event.Type(h.Call)
	e.KernelNS = h.Ktime
	e.TimeNS = d.clock.unix(h.Ktime)
	e.CPU = h.Cpu
	e.Compat = h.Compat != 0
	e.Ret = h.Ret
	e.Gen, e.Epoch = h.Gen, h.Epoch
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
