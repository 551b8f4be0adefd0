package scap

import (
	"encoding/binary"
	"net/netip"
	"strconv"

	"riposte/agent/event"
)

// Families of a socket address in the capture format.
const (
	familyUnix = 1
	familyIPv4 = 2
	familyIPv6 = 10
	familyLink = 16
)

// ends are the two addresses of a tuple, or the one of a socket address.
type ends struct {
	family       byte
	source, dest netip.AddrPort
	path         string
}

// addrBytes is the size of an address of a family.
func addrBytes(family byte) int {
	if family == familyIPv4 {
		return 4
	}
	return 16
}

// tuple reads both ends; what is too short for its family has none.
func tuple(b []byte) ends {
	if len(b) == 0 {
		return ends{}
	}
	t := ends{family: b[0]}
	b = b[1:]
	switch t.family {
	case familyIPv4, familyIPv6:
		n := addrBytes(t.family) + 2
		if len(b) >= 2*n {
			t.source, t.dest = endOf(b[:n]), endOf(b[n:2*n])
		}
	case familyUnix:
		if len(b) > 16 {
			t.path = cString(b[16:])
		}
	}
	return t
}

// address reads one end, as dest.
func address(b []byte) ends {
	if len(b) == 0 {
		return ends{}
	}
	t := ends{family: b[0]}
	b = b[1:]
	switch t.family {
	case familyIPv4, familyIPv6:
		if n := addrBytes(t.family) + 2; len(b) >= n {
			t.dest = endOf(b[:n])
		}
	case familyUnix:
		t.path = cString(b)
	}
	return t
}

// endOf is an address and a port behind it.
func endOf(b []byte) netip.AddrPort {
	n := len(b) - 2
	return addrPort(b[:n], binary.LittleEndian.Uint16(b[n:]))
}

func (t *ends) kind() byte {
	switch t.family {
	case familyIPv4:
		return event.KindIPv4
	case familyIPv6:
		if t.dest.Addr().Is4() {
			return event.KindIPv4 // an IPv4 peer of an IPv6 socket
		}
		return event.KindIPv6
	case familyUnix:
		return event.KindUnix
	}
	return 0
}

// String is Falco's form of a tuple: client->server as the recorder put it.
func (t *ends) String() string {
	switch {
	case t.family == familyUnix:
		return t.path
	case t.source.IsValid():
		return pair(t.source, t.dest)
	}
	return endpoint(t.dest)
}

// endpoint has no brackets around an IPv6 address.
func endpoint(a netip.AddrPort) string {
	var buf [maxEndpoint]byte
	return string(appendEndpoint(buf[:0], a))
}

// maxEndpoint is enough for an address and a port.
const maxEndpoint = 64

func appendEndpoint(b []byte, a netip.AddrPort) []byte {
	if !a.IsValid() {
		return b
	}
	b = append(a.Addr().AppendTo(b), ':')
	return strconv.AppendUint(b, uint64(a.Port()), 10)
}

// pair is client->server.
func pair(client, server netip.AddrPort) string {
	var buf [2 * maxEndpoint]byte
	b := append(appendEndpoint(buf[:0], client), "->"...)
	return string(appendEndpoint(b, server))
}

// tuple is the socket's name: the client's end first.
func (o *object) tuple() string {
	if o.Socket.Role != event.RoleServer {
		return pair(o.Socket.Local, o.Socket.Remote)
	}
	if !o.Socket.Remote.IsValid() {
		return endpoint(o.Socket.Local)
	}
	return pair(o.Socket.Remote, o.Socket.Local)
}

// bySocket gives a new socket its kind and protocol.
func (o *object) bySocket(domain, typ, proto int64) {
	switch domain {
	case familyIPv4:
		o.Kind = event.KindIPv4
	case familyIPv6:
		o.Kind = event.KindIPv6
	case familyUnix:
		o.Kind = event.KindUnix
		return
	case familyLink:
		o.Kind = event.KindNetlink
		return
	default:
		o.Kind = event.KindOther
		return
	}
	const stream, datagram, raw = 1, 2, 255
	switch typ & 0xf {
	case stream:
		o.Socket.L4 = 6
	case datagram:
		o.Socket.L4 = 17
	default:
		o.Socket.L4 = raw
	}
	if proto == 1 || proto == 58 {
		o.Socket.L4 = uint8(proto)
	}
}

// socketCloses is SOCK_CLOEXEC in a socket's type.
const socketCloses = 0o2000000

// joinEnds puts a tuple into a socket. The source is this side unless the event
// received something.
func (o *object) joinEnds(t *ends, received bool, role event.Role) {
	if k := t.kind(); k != 0 {
		o.Kind = k
	}
	if o.Socket.Role == event.RoleUnknown {
		o.Socket.Role = role
	}
	if t.family == familyUnix {
		if t.path != "" {
			o.Name, o.NameRaw, o.unnamed = t.path, t.path, false
		}
		return
	}
	local, remote := t.source, t.dest
	if received {
		local, remote = remote, local
	}
	if local.IsValid() {
		o.Socket.Local = local
	}
	if remote.IsValid() {
		o.Socket.Remote = remote
	}
	o.unnamed = true
}
