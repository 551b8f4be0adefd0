//go:build linux

package capture

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"riposte/agent/event"
	"riposte/bpf"
)

// socketRecord is the part of a record that is about a socket.
type socketRecord struct {
	bpf.SyscallWireSocket
	asked     sockaddr
	own, peer string
	control   []byte
}

// socket takes a record of a call on a socket; dup has one for any descriptor.
func (c *record) socket(tail []byte, e *event.Event) error {
	s := &c.sock
	size := unsafe.Sizeof(s.SyscallWireSocket)
	head := unsafe.Sizeof(s.Call)
	if uintptr(len(tail)) < size-head {
		return errShort
	}
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&s.SyscallWireSocket)), size)[head:], tail)
	s.Call = c.SyscallWireCall
	t := textsOf(tail[size-head:])
	s.asked = parseSockaddr(t.bytes(s.AddrLen))
	c.data = t.bytes(c.DataLen)
	s.control = t.bytes(s.ControlLen)
	c.path, c.origin = t.text(s.Object.PathLen), t.text(s.Object.OriginLen)
	s.own = unixPath(t.bytes(s.OwnLen))
	s.peer = unixPath(t.bytes(s.PeerLen))
	c.object = s.Object
	switch {
	case t.short:
		return errShort
	case has(c.Marks, bpf.SyscallWireMarkMARK_SOCKET):
		c.used(e)
		s.describe(c, e)
	case s.Object.Imode != 0:
		c.used(e)
	case e.Type == event.Connect || e.Type == event.Sendto || e.Type == event.Sendmsg || e.Type == event.Sendmmsg:
		// No such descriptor: what was asked for is all there is.
		s.Family = uint16(s.asked.family)
		e.File.Num = int64(int32(c.Args[0]))
		s.describe(c, e)
	}
	return nil
}

// describe fills in the socket as the event shows it.
func (s *socketRecord) describe(c *record, e *event.Event) {
	f := &e.File
	f.RealPath, f.Name = "", ""
	f.Socket = event.Socket{
		L4: uint8(s.Protocol), Role: event.Role(s.Role),
		Connected: has(c.Marks, bpf.SyscallWireMarkMARK_CONNECTED),
		Renamed:   has(c.Marks, bpf.SyscallWireMarkMARK_RENAMED) || e.Type == event.Connect,
	}
	if e.Type == event.Connect {
		f.Socket.Role = event.RoleClient
	}
	switch s.Family {
	case unix.AF_INET, unix.AF_INET6:
		s.internet(e)
	case unix.AF_UNIX:
		s.local(e)
	case unix.AF_NETLINK:
		f.Kind = event.KindNetlink
	case unix.AF_UNSPEC:
		f.Kind = 0
		if e.Type == event.Connect {
			f.Kind = event.KindOther
		}
	default:
		f.Kind = event.KindOther
	}
}

// settled says that a connect has changed its socket. The kernel clears the peer of a
// socket whose connect failed, so then the argument is all there is. A connect under
// way (EINPROGRESS) has its peer.
func settled(e *event.Event) bool {
	return e.Type != event.Connect || e.Ret >= 0 || e.Ret == -int64(unix.EINPROGRESS)
}

func (s *socketRecord) internet(e *event.Event) {
	f := &e.File
	local, remote := s.tuple()
	if s.asked.addr.IsValid() && (!settled(e) || !f.Socket.Connected && remote.Port() == 0) {
		remote = s.asked.addr
	}
	if remote.Port() == 0 && remote.Addr().IsUnspecified() {
		remote = netip.AddrPort{}
	}
	f.Kind = event.KindIPv6
	if s.Family == unix.AF_INET || remote.Addr().Is4() {
		f.Kind = event.KindIPv4
	}
	if f.Kind == event.KindIPv4 && local.IsValid() && local.Addr().Is6() { // :: of a socket that is not connected
		local = netip.AddrPortFrom(netip.IPv4Unspecified(), local.Port())
	}
	f.Socket.Local, f.Socket.Remote = local, remote
	switch {
	case !remote.IsValid() && local.Port() == 0:
		f.Socket.Local = netip.AddrPort{} // neither bound nor connected
	case !remote.IsValid():
		f.Name = endpoint(local)
	case f.Socket.Role == event.RoleServer:
		f.Name = endpoint(remote) + "->" + endpoint(local)
	default:
		f.Name = endpoint(local) + "->" + endpoint(remote)
	}
}

// local is a unix socket: its name is that of the side that listens.
func (s *socketRecord) local(e *event.Event) {
	f := &e.File
	f.Kind = event.KindUnix
	switch {
	case e.Type == event.Connect:
		f.NameRaw, f.Name = s.asked.path, s.asked.path
		if settled(e) && s.peer != s.asked.path && strings.HasPrefix(s.peer, "/") {
			f.RealPath = s.peer
		}
	case s.asked.path != "" && !f.Socket.Connected:
		f.NameRaw, f.Name = s.asked.path, s.asked.path
	case s.peer != "" && s.own == "":
		f.Name = s.peer
	default:
		f.Name = s.own
	}
}

// tuple is what the socket itself says; an IPv4 peer of an IPv6 socket is IPv4.
func (s *socketRecord) tuple() (local, remote netip.AddrPort) {
	if !has(s.Call.Marks, bpf.SyscallWireMarkMARK_SOCKET) {
		return
	}
	if s.Family == unix.AF_INET {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(s.Local[:4])), s.LocalPort),
			netip.AddrPortFrom(netip.AddrFrom4([4]byte(s.Remote[:4])), s.RemotePort)
	}
	return netip.AddrPortFrom(netip.AddrFrom16(s.Local).Unmap(), s.LocalPort),
		netip.AddrPortFrom(netip.AddrFrom16(s.Remote).Unmap(), s.RemotePort)
}

func putTuple(_ *decoder, _ *record, e *event.Event, p *param) { text(e, p.name, e.File.Name) }

func putAddr(_ *decoder, c *record, e *event.Event, p *param) { text(e, p.name, c.sock.asked.text()) }

func putSize(_ *decoder, c *record, e *event.Event, p *param) {
	number(e, p.name, int64(uint32(c.sock.Size)))
}

func putControl(_ *decoder, c *record, e *event.Event, p *param) {
	text(e, p.name, printable(c.sock.control))
}

// putQueue is how full the queue of connections is: in percent, its length, and the
// most that it takes.
func putQueue(_ *decoder, c *record, e *event.Event, p *param) {
	length, most := int64(c.sock.QueueLen), int64(c.sock.QueueMax)
	percent := int64(0)
	if length > 0 && most > 0 {
		percent = length * 100 / most
	}
	number(e, p.name, []int64{percent, length, most}[p.n])
}

// sockaddr is the argument of the call.
type sockaddr struct {
	family int
	addr   netip.AddrPort
	path   string
}

// parseSockaddr reads as much as is there; what is too short for its family gives no
// address.
func parseSockaddr(b []byte) sockaddr {
	if len(b) < 2 {
		return sockaddr{}
	}
	s := sockaddr{family: int(binary.LittleEndian.Uint16(b))}
	switch {
	case s.family == unix.AF_INET && len(b) >= 8:
		s.addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[4:8])), binary.BigEndian.Uint16(b[2:]))
	case s.family == unix.AF_INET6 && len(b) >= 24:
		s.addr = netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[8:24])).Unmap(), binary.BigEndian.Uint16(b[2:]))
	case s.family == unix.AF_UNIX:
		s.path = unixPath(b[2:])
	}
	return s
}

// unixPath is a socket's path; one in the abstract namespace begins with '@'.
func unixPath(b []byte) string {
	if len(b) > 1 && b[0] == 0 {
		return "@" + string(bytes.TrimRight(b[1:], "\x00"))
	}
	return cString(b)
}

func (s sockaddr) text() string {
	if s.family == unix.AF_UNIX {
		return s.path
	}
	return endpoint(s.addr)
}

// endpoint is Falco's form: no brackets around an IPv6 address.
func endpoint(a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	var buf [64]byte
	b := a.Addr().AppendTo(buf[:0])
	b = append(b, ':')
	return string(strconv.AppendUint(b, uint64(a.Port()), 10))
}
