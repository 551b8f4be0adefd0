package scap

import (
	"fmt"
	"math/bits"
	"net/netip"
)

// Kinds of an interface's address in a list; the last two come without a speed.
const (
	ifaceIPv4        = 1
	ifaceIPv6        = 2
	ifaceIPv4Nospeed = 3
	ifaceIPv6Nospeed = 4
)

// maxIfaces bounds the addresses that are kept.
const maxIfaces = 1 << 12

// ifaceList reads the addresses of the machine's interfaces, with their networks.
func (s *state) ifaceList(body []byte, sized bool) error {
	c := &cursor{rest: body}
	for i := 0; len(c.rest) >= minEntry; i++ {
		e := c
		if sized {
			e = &cursor{rest: c.take(int(c.u32()))} // here the length does not count itself
		}
		kind, nameLen, n := e.u16(), int(e.u16()), 0
		switch kind {
		case ifaceIPv4, ifaceIPv4Nospeed:
			n = 4
		case ifaceIPv6, ifaceIPv6Nospeed:
			n = 16
		}
		addr, mask := e.take(n), e.take(n)
		e.take(n) // the broadcast address
		if kind == ifaceIPv4 || kind == ifaceIPv6 {
			e.take(8) // the speed
		}
		e.take(nameLen)
		switch {
		case e.short || c.short:
			return fmt.Errorf("entry %d of the interface list is longer than what is left", i+1)
		case n == 0 && !sized:
			return fmt.Errorf("entry %d of the interface list has the unknown kind %d", i+1, kind)
		case n > 0 && len(s.ifaces) < maxIfaces:
			s.ifaces = append(s.ifaces, netip.PrefixFrom(addrPort(addr, 0).Addr(), maskBits(mask)))
		}
	}
	return nil
}

func maskBits(mask []byte) int {
	n := 0
	for _, b := range mask {
		n += bits.LeadingZeros8(^b)
		if b != 0xff {
			break
		}
	}
	return n
}

// here is this machine's address for talking to another: of the interface in its
// network, else of the first that leads outside. It is zero where none is known.
func (s *state) here(to netip.Addr) netip.Addr {
	var near, first netip.Addr
	for _, p := range s.ifaces {
		switch a := p.Addr(); {
		case a.BitLen() != to.BitLen():
		case a == to:
			return a
		case !near.IsValid() && p.Contains(to):
			near = a
		case !first.IsValid() && !a.IsLoopback():
			first = a
		}
	}
	if near.IsValid() {
		return near
	}
	return first
}

// locate puts an address where a socket's own is left open. As in Falco the name of a
// listed socket has it, that of one which an event named has not.
func (s *state) locate(o *object, listed bool) {
	local, remote := o.Socket.Local, o.Socket.Remote
	if len(s.ifaces) == 0 || !local.IsValid() || !remote.IsValid() || !local.Addr().IsUnspecified() || remote.Addr().IsUnspecified() {
		return
	}
	a := s.here(remote.Addr())
	if !a.IsValid() || a == remote.Addr() && local.Port() == remote.Port() {
		return
	}
	if !listed {
		o.title()
	}
	o.Socket.Local = netip.AddrPortFrom(a, local.Port())
}
