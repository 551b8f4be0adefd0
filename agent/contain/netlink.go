package contain

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// enter runs do on a thread in the network namespace. The thread ends afterwards, so
// that no other goroutine ever runs there.
func (n *netns) enter(do func() error) error {
	result := make(chan error)
	go func() {
		runtime.LockOSThread()
		if err := unix.Setns(int(n.Fd()), unix.CLONE_NEWNET); err != nil {
			result <- fmt.Errorf("enter the network namespace: %w", err)
			return
		}
		result <- do()
	}()
	return <-result
}

func (n *netns) links() (all []netLink, err error) {
	err = n.enter(func() error {
		all, err = links()
		return err
	})
	return all, err
}

// netLink is a network device as rtnetlink describes it.
type netLink struct {
	name, kind string
	index      int
	loopback   bool
	// peer is the index of the other end of a pair, in the namespace that this one
	// calls peerNetns; -1 if that is the same one.
	peer, peerNetns int
}

// paired says whether the peer is the other end of a cable, and not the device that
// this one is built on.
func (l netLink) paired() bool { return l.kind == "veth" || l.kind == "netkit" }

// links lists the devices of the current thread's namespace.
func links() ([]netLink, error) {
	b, err := syscall.NetlinkRIB(unix.RTM_GETLINK, unix.AF_UNSPEC)
	if err != nil {
		return nil, fmt.Errorf("list the network devices: %w", err)
	}
	messages, err := syscall.ParseNetlinkMessage(b)
	if err != nil {
		return nil, fmt.Errorf("list the network devices: %w", err)
	}
	var all []netLink
	for i := range messages {
		m := &messages[i]
		if m.Header.Type != unix.RTM_NEWLINK || len(m.Data) < unix.SizeofIfInfomsg {
			continue
		}
		l := netLink{
			index: int(int32(binary.NativeEndian.Uint32(m.Data[4:]))), loopback: binary.NativeEndian.Uint32(m.Data[8:])&unix.IFF_LOOPBACK != 0, peerNetns: -1,
		}
		attrs, err := syscall.ParseNetlinkRouteAttr(m)
		if err != nil {
			return nil, fmt.Errorf("read a network device: %w", err)
		}
		for _, a := range attrs {
			l.take(a)
		}
		all = append(all, l)
	}
	return all, nil
}

// typeMask removes the flags of an attribute's type.
const typeMask = ^uint16(unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER)

func (l *netLink) take(a syscall.NetlinkRouteAttr) {
	switch kind := a.Attr.Type & typeMask; {
	case kind == unix.IFLA_IFNAME:
		l.name = text(a.Value)
	case kind == unix.IFLA_LINK && len(a.Value) >= 4:
		l.peer = int(int32(binary.NativeEndian.Uint32(a.Value)))
	case kind == unix.IFLA_LINK_NETNSID && len(a.Value) >= 4:
		l.peerNetns = int(int32(binary.NativeEndian.Uint32(a.Value)))
	case kind == unix.IFLA_LINKINFO:
		if kind, ok := attribute(a.Value, unix.IFLA_INFO_KIND); ok {
			l.kind = text(kind)
		}
	}
}

func text(b []byte) string { return strings.TrimRight(string(b), "\x00") }

// attribute finds one among attributes that are packed one behind the other.
func attribute(b []byte, want uint16) ([]byte, bool) {
	for len(b) >= unix.SizeofRtAttr {
		size := int(binary.NativeEndian.Uint16(b))
		if size < unix.SizeofRtAttr || size > len(b) {
			return nil, false
		}
		if binary.NativeEndian.Uint16(b[2:])&typeMask == want {
			return b[unix.SizeofRtAttr:size], true
		}
		b = b[min(len(b), (size+3)&^3):]
	}
	return nil, false
}

// netnsID is the number by which the current thread's namespace calls another one,
// -1 if it has none for it.
func netnsID(other *os.File) (int, error) {
	// The family, padded to 4 bytes, stands before the attribute.
	replies, err := request(unix.RTM_GETNSID, 0, append(make([]byte, 4), attr(unix.NETNSA_FD, u32(uint32(other.Fd())))...))
	if err != nil {
		return -1, fmt.Errorf("ask for the namespace's id: %w", err)
	}
	for _, b := range replies {
		if id, ok := attribute(b[min(4, len(b)):], unix.NETNSA_NSID); ok && len(id) >= 4 {
			return int(int32(binary.NativeEndian.Uint32(id))), nil
		}
	}
	return -1, errors.New("ask for the namespace's id: the kernel's answer has none")
}
