//go:build linux

package capture

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"riposte/agent/event"
	"riposte/bpf"
)

func (d *decoder) connect(raw []byte, e *event.Event) error {
	r, tail, ok := fixed[bpf.SyscallWireConnect](raw)
	if !ok || len(tail) < int(r.AddrLen)+int(r.PeerLen) {
		return errShort
	}
	asked := parseSockaddr(tail[:r.AddrLen])
	peer := unixPath(tail[r.AddrLen:][:r.PeerLen])
	f := &e.File
	f.Num = int64(r.Fd)
	// The kernel clears the peer of a socket whose connect failed, so then the
	// argument is all there is. A connect under way (EINPROGRESS) has its peer.
	settled := e.Ret == 0 || e.Ret == -int64(unix.EINPROGRESS)
	local, remote := tuple(&r)
	if !settled || !remote.IsValid() || remote.Port() == 0 && asked.addr.IsValid() {
		remote = asked.addr
	}
	family := int(r.Family)
	if !has(r.Marks, bpf.SyscallWireMarkMARK_SOCKET) {
		family = asked.family
	}
	switch family {
	case unix.AF_INET, unix.AF_INET6:
		f.Kind = event.KindIPv6
		if remote.Addr().Is4() || !remote.IsValid() && family == unix.AF_INET {
			f.Kind = event.KindIPv4
		}
		if f.Kind == event.KindIPv4 && local.IsValid() && local.Addr().Is6() { // :: of a socket that is not connected
			local = netip.AddrPortFrom(netip.IPv4Unspecified(), local.Port())
		}
		f.Socket = event.Socket{Local: local, Remote: remote, L4: uint8(r.Protocol), Role: event.RoleClient}
		f.Name = endpoint(local) + "->" + endpoint(remote)
	case unix.AF_UNIX:
		f.Kind = event.KindUnix
		f.NameRaw = asked.path
		f.Name = asked.path
		if settled && peer != asked.path && strings.HasPrefix(peer, "/") {
			f.RealPath = peer
		}
		f.Socket.Role = event.RoleClient
	case unix.AF_NETLINK:
		f.Kind = event.KindNetlink
	default:
		f.Kind = event.KindOther
	}
	result(e, "res", e.Ret)
	text(e, "tuple", f.Name)
	number(e, "fd", f.Num)
	text(e, "addr", asked.text())
	return nil
}

// tuple is what the socket itself says; an IPv4 peer of an IPv6 socket is IPv4.
func tuple(r *bpf.SyscallWireConnect) (local, remote netip.AddrPort) {
	switch r.Family {
	case unix.AF_INET:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(r.Local[:4])), r.LocalPort),
			netip.AddrPortFrom(netip.AddrFrom4([4]byte(r.Remote[:4])), r.RemotePort)
	case unix.AF_INET6:
		return netip.AddrPortFrom(netip.AddrFrom16(r.Local).Unmap(), r.LocalPort),
			netip.AddrPortFrom(netip.AddrFrom16(r.Remote).Unmap(), r.RemotePort)
	}
	return
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
