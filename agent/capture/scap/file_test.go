package scap_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/agent/capture/scap"
	"riposte/agent/event"
)

// file makes capture files, in today's layout or in that of 2016.
type file struct {
	bytes.Buffer
	old  bool
	time uint64
	cpu  uint16
}

func le[T any](b []byte, v T) []byte {
	b, err := binary.Append(b, binary.LittleEndian, v)
	if err != nil {
		panic(err)
	}
	return b
}

func str(b []byte, s string) []byte { return append(le(b, uint16(len(s))), s...) }

func (f *file) block(kind uint32, body []byte) {
	for len(body)%4 != 0 {
		body = append(body, 0)
	}
	size := uint32(len(body) + 12)
	f.Write(le(le(nil, kind), size))
	f.Write(body)
	f.Write(le(nil, size))
}

const bootNS = 1_700_000_000_000_000_000

func newFile(old bool) *file {
	f := &file{old: old, time: bootNS + 5_000_000_000}
	f.section()
	return f
}

func (f *file) section() {
	f.block(0x0A0D0D0A, le(le(le(le(nil, uint32(0x1A2B3C4D)), uint16(1)), uint16(2)), ^uint64(0)))
	machine := le(le(le(nil, uint32(2)), uint64(1<<30)), uint64(32768))
	machine = append(machine, make([]byte, 128)...)
	f.block(0x201, le(append(le(machine, uint64(bootNS)), make([]byte, 16)...), uint64(0)))
}

// task is an entry of the process list.
type task struct {
	tid, pid, ptid   int64
	comm, exe, cwd   string
	args, env, group string
	uid              uint32
}

func (f *file) tasks(list ...task) {
	var body []byte
	for _, t := range list {
		e := le(le(le(nil, t.tid), t.pid), t.ptid)
		if !f.old {
			e = le(le(e, int64(1)), t.pid) // sid, vpgid
		}
		e = str(str(e, t.comm), t.exe)
		if !f.old {
			e = str(e, t.exe)
		}
		e = str(str(e, t.args), t.cwd)
		e = le(le(le(le(e, uint64(1024)), uint32(0)), t.uid), t.uid)
		e = append(e, make([]byte, 28)...)
		e = str(e, t.env)
		e = str(le(le(e, t.tid), t.pid), t.group)
		e = str(e, "/")
		if !f.old {
			e = le(le(le(le(e, uint64(0)), uint32(34816)), uint32(1000)), uint8(1)) // namespace, tty, login, writable
			e = le(le(le(e, uint64(0)), uint64(1<<21)), uint64(1<<21))
			e = le(le(le(le(e, uint8(1)), uint64(77)), uint64(0)), uint64(0))
			e = le(le(le(e, uint8(0)), uint8(0)), t.pid)
			e = append(le(nil, uint32(len(e)+4)), e...)
		}
		body = append(body, e...)
	}
	kind := uint32(0x215)
	if f.old {
		kind = 0x211
	}
	f.block(kind, body)
}

// descriptor is an entry of the descriptor list, its body as it is.
func (f *file) descriptors(tid int64, entries ...[]byte) {
	body := le(nil, tid)
	for _, e := range entries {
		if !f.old {
			body = le(body, uint32(len(e)+4))
		}
		body = append(body, e...)
	}
	kind := uint32(0x218)
	if f.old {
		kind = 0x203
	}
	f.block(kind, body)
}

func listedFile(fd int64, name string) []byte {
	return str(le(le(le(le(nil, fd), uint64(9)), uint8(16)), uint32(1)), name)
}

func (f *file) users(names map[uint32]string) {
	var body []byte
	for uid, name := range names {
		e := str(str(str(le(le(le(nil, uint8(0)), uid), uid), name), "/home"), "/bin/sh")
		if !f.old {
			body = le(body, uint32(len(e)+4))
		}
		body = append(body, e...)
	}
	kind := uint32(0x220)
	if f.old {
		kind = 0x206
	}
	f.block(kind, body)
}

// interfaces lists addresses with their networks.
func (f *file) interfaces(prefixes ...string) {
	var body []byte
	for _, s := range prefixes {
		p := netip.MustParsePrefix(s)
		kind, all := uint16(1), []byte{0xff, 0xff, 0xff, 0xff}
		if p.Addr().Is6() {
			kind, all = 2, bytes.Repeat([]byte{0xff}, 16)
		}
		mask, _ := netip.AddrFrom4([4]byte(all)).Prefix(p.Bits() % 33)
		bits := mask.Addr().AsSlice()
		if p.Addr().Is6() {
			whole, _ := netip.AddrFrom16([16]byte(all)).Prefix(p.Bits())
			bits = whole.Addr().AsSlice()
		}
		e := le(le(nil, kind), uint16(4))
		e = append(append(append(e, p.Addr().AsSlice()...), bits...), bits...)
		e = append(le(e, uint64(1000)), "eth0"...)
		if !f.old {
			body = le(body, uint32(len(e))) // does not count itself
		}
		body = append(body, e...)
	}
	kind := uint32(0x219)
	if f.old {
		kind = 0x205
	}
	f.block(kind, body)
}

// event writes one event. A parameter is a number of the right width, text, or bytes
// as they are.
func (f *file) event(tid int64, num uint16, params ...any) {
	width := 2
	if num == 324 || num == 402 {
		width = 4
	}
	var lens, data []byte
	for _, p := range params {
		var v []byte
		switch p := p.(type) {
		case string:
			v = append([]byte(p), 0)
		case []byte:
			v = p
		default:
			v = le(nil, p)
		}
		if width == 4 {
			lens = le(lens, uint32(len(v)))
		} else {
			lens = le(lens, uint16(len(v)))
		}
		data = append(data, v...)
	}
	f.time += 1_000_000
	body := le(le(le(nil, f.cpu), f.time), tid)
	kind, head := uint32(0x216), 26
	if f.old {
		kind, head = 0x204, 22
	}
	body = le(le(body, uint32(head+len(lens)+len(data))), num)
	if !f.old {
		body = le(body, uint32(len(params)))
	}
	f.block(kind, append(append(body, lens...), data...))
}

func inet(family byte, ends ...string) []byte {
	b := []byte{family}
	for _, s := range ends {
		a := netip.MustParseAddrPort(s)
		b = le(append(b, a.Addr().AsSlice()...), a.Port())
	}
	return b
}

func packed(t testing.TB, b []byte) []byte {
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	_, err := w.Write(b)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return z.Bytes()
}

// seen is what is left of an event after the source has gone on.
type seen struct {
	event.Event
	proc   event.Process
	parent string
}

func (s seen) arg(name string) string {
	a, _ := s.Arg(name)
	return a.Text
}

func replay(t testing.TB, b []byte) (all []seen, s *scap.Source, err error) {
	s, err = scap.Open(bytes.NewReader(b), scap.Options{})
	if err != nil {
		return nil, nil, err
	}
	err = s.Run(t.Context(), func(e *event.Event) {
		args := append([]event.Arg(nil), e.Params()...)
		c := seen{Event: *e, proc: *e.Proc}
		c.Args = args
		if e.Proc.Parent != nil {
			c.parent = e.Proc.Parent.Comm
		}
		all = append(all, c)
	})
	return all, s, err
}

func events(t testing.TB, f *file) []seen {
	all, s, err := replay(t, f.Bytes())
	require.NoError(t, err)
	for place, n := range s.Lost() {
		require.Zero(t, n, place)
	}
	return all
}
