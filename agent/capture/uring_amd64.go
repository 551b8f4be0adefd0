//go:build linux

package capture

import (
	"bytes"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"

	"riposte/agent/event"
	"riposte/bpf"
)

// tableUring is where the kernel's table has io_uring's requests.
const tableUring = int(bpf.SyscallWireTableTABLE_URING)

// requests are io_uring's operations by the call that does the same.
var requests = []struct {
	op  int
	typ event.Type
}{
	{9, event.Sendmsg},
	{10, event.Recvmsg},
	{13, event.Accept4},
	{16, event.Connect},
	{18, event.Openat},
	{26, event.Sendto},
	{27, event.Recvfrom},
	{28, event.Openat2},
	{35, event.Renameat2},
	{36, event.Unlinkat},
	{37, event.Mkdirat},
	{38, event.Symlinkat},
	{39, event.Linkat},
	{45, event.SocketCall},
	{47, event.Sendto}, // without copying
	{48, event.Sendmsg},
	{57, event.Listen},
}

const (
	// requestTimeout is how long a request may take before it is told without a result.
	requestTimeout = uint64(1e9)
	maxRequests    = 4096
)

// pending are the requests that have been submitted and are not done, so that an event
// has its name from the one and its result from the other.
type pending struct {
	byID map[uint64]*request
	// all lists them from the oldest on, young those that have not been looked at for
	// being late. Both may hold requests that are done.
	all, young []*request
	// unmatched counts requests whose submission or end was not seen.
	unmatched uint64
}

type request struct {
	id   uint64
	typ  event.Type
	raw  []byte // of the submission; nil when it is done
	at   uint64
	told bool
}

// submitted keeps a request until it is done. A kernel's address that comes again is a
// new request: the old one's end was not seen.
func (p *pending) submitted(raw []byte, h *bpf.SyscallWireHeader) {
	if p.byID == nil {
		p.byID = map[uint64]*request{}
	}
	id := uint64(h.Ret)
	if old := p.byID[id]; old != nil {
		p.forget(old)
	}
	if len(p.all) >= 2*maxRequests {
		p.all = slices.DeleteFunc(p.all, func(r *request) bool { return r.raw == nil })
	}
	if len(p.byID) >= maxRequests {
		p.all = slices.DeleteFunc(p.all, func(r *request) bool { return r.raw == nil })
		p.forget(p.all[0])
	}
	if len(p.young) >= 2*maxRequests {
		p.young = slices.DeleteFunc(p.young, func(r *request) bool { return r.raw == nil })
	}
	r := &request{id: id, typ: event.Type(h.Call), raw: bytes.Clone(raw), at: h.Ktime}
	p.byID[id] = r
	p.all = append(p.all, r)
	p.young = append(p.young, r)
}

// forget gives a request up. One that has not been told of is a loss.
func (p *pending) forget(r *request) {
	if !r.told {
		p.unmatched++
	}
	p.drop(r)
}

func (p *pending) drop(r *request) {
	delete(p.byID, r.id)
	r.raw = nil
}

// take ends a request.
func (p *pending) take(id uint64) []byte {
	r := p.byID[id]
	if r == nil {
		p.unmatched++
		return nil
	}
	raw := r.raw
	p.drop(r)
	return raw
}

// late gives the record of a request that has taken long, as it is to be told now: as
// done where only a failure would have been reported, else as under way. A told one
// stays, for its end is told too. To wait for a peer is no news.
func (p *pending) late(now uint64) []byte {
	for len(p.young) > 0 {
		r := p.young[0]
		if r.raw != nil && now < r.at+requestTimeout {
			return nil
		}
		p.young = p.young[1:]
		if r.raw == nil || r.typ == event.Accept4 || r.typ == event.Recvfrom || r.typ == event.Recvmsg {
			continue
		}
		raw := bytes.Clone(r.raw)
		ret := -int64(unix.EINPROGRESS)
		r.told = true
		if c, _, ok := fixed[bpf.SyscallWireCall](raw); ok && has(c.Marks, bpf.SyscallWireMarkMARK_SKIPPED) {
			ret = 0
			p.drop(r)
		}
		setResult(raw, ret)
		return raw
	}
	return nil
}

func setResult(raw []byte, ret int64) {
	(*bpf.SyscallWireHeader)(unsafe.Pointer(&raw[0])).Ret = ret
}

// done fills e from the end of a request and its submission. Without the submission
// there is no name but the file's own.
func (d *decoder) done(raw []byte, e *event.Event) error {
	end, tail, ok := fixed[bpf.SyscallWireSocket](raw)
	c := callTypes[e.Type]
	if !ok || c == nil {
		return errShort
	}
	t := textsOf(tail)
	path := t.bytes(end.Object.PathLen + end.Object.OriginLen)
	own, peer := t.bytes(end.OwnLen), t.bytes(end.PeerLen)
	if t.short {
		return errShort
	}
	begun := d.pending.take(end.Call.Args[0])
	if begun == nil {
		return d.endOnly(c, &end, path, own, peer, e)
	}
	setResult(begun, e.Ret)
	switch begun[unsafe.Offsetof(end.Call.Header.Kind)] {
	case uint8(bpf.SyscallWireKindWIRE_FILE):
		f, texts, ok := fixed[bpf.SyscallWireFile](begun)
		if !ok {
			return errShort
		}
		f.Object = end.Object
		f.Call.Marks |= end.Call.Marks
		begun = joined(&f, texts, path)
	case uint8(bpf.SyscallWireKindWIRE_SOCKET):
		s, texts, ok := fixed[bpf.SyscallWireSocket](begun)
		if !ok {
			return errShort
		}
		end.Call.Header, end.Call.Args, end.AddrLen = s.Call.Header, s.Call.Args, s.AddrLen
		end.Call.Marks |= s.Call.Marks
		end.Size = s.Size
		begun = joined(&end, texts, path, own, peer)
	}
	e.Reset()
	return d.decode(begun, e)
}

// endOnly tells of a request whose submission was lost.
func (d *decoder) endOnly(c *callType, end *bpf.SyscallWireSocket, path, own, peer []byte, e *event.Event) error {
	end.Call.Args = [6]uint64{}
	h := &end.Call.Header
	var raw []byte
	switch c.handler {
	case onFile:
		h.Kind = uint8(bpf.SyscallWireKindWIRE_FILE)
		raw = joined(&bpf.SyscallWireFile{Call: end.Call, Object: end.Object}, path)
	case onSock:
		h.Kind = uint8(bpf.SyscallWireKindWIRE_SOCKET)
		raw = joined(end, path, own, peer)
	default:
		h.Kind = uint8(bpf.SyscallWireKindWIRE_CALL)
		raw = joined(&end.Call)
	}
	e.Reset()
	return d.decode(raw, e)
}

// joined is a record of a fixed part, which begins with a header, and texts.
func joined[T any](v *T, texts ...[]byte) []byte {
	raw := bytes.Clone(unsafe.Slice((*byte)(unsafe.Pointer(v)), unsafe.Sizeof(*v)))
	for _, t := range texts {
		raw = append(raw, t...)
	}
	(*bpf.SyscallWireHeader)(unsafe.Pointer(&raw[0])).Size = uint32(len(raw))
	return raw
}
