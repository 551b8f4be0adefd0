package contain

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// Kernels before 6.6 have no tcx. There the programs are filters of the device's
// clsact qdisc, which others may use as well: ours run before those that were there,
// and the qdisc stays when they go.
const (
	clsactHandle = 0xffff0000
	clsactParent = 0xfffffff1
	// filterPriority is the first that there is. Within it the newest runs first.
	filterPriority = 1
	// sizeofTcMsg is family, padding, ifindex, handle, parent and info.
	sizeofTcMsg = 20
	// directAction takes the program's answer as the verdict (TCA_BPF_FLAG_ACT_DIRECT).
	directAction = 1
)

// Attributes of a bpf filter, from the kernel's pkt_cls.h.
const (
	bpfFD    = 6
	bpfName  = 7
	bpfFlags = 8
	bpfID    = 11
)

// filterParents are where a device's filters are, in the order of deviceHooks.
var filterParents = []uint32{0xfffffff2, 0xfffffff3}

func tcMsg(ifindex int, handle, parent, info uint32) []byte {
	b := make([]byte, sizeofTcMsg)
	binary.NativeEndian.PutUint32(b[4:], uint32(ifindex))
	binary.NativeEndian.PutUint32(b[8:], handle)
	binary.NativeEndian.PutUint32(b[12:], parent)
	binary.NativeEndian.PutUint32(b[16:], info)
	return b
}

// everyProtocol is ETH_P_ALL in network order, as the low half of a filter's info.
const everyProtocol = 0x0300

func addQdisc(ifindex int) error {
	m := append(tcMsg(ifindex, clsactHandle, clsactParent, 0), attr(unix.TCA_KIND, []byte("clsact\x00"))...)
	_, err := request(unix.RTM_NEWQDISC, unix.NLM_F_ACK|unix.NLM_F_CREATE|unix.NLM_F_EXCL, m)
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("add the clsact qdisc: %w", err)
	}
	return nil
}

func addFilter(ifindex int, parent uint32, p *ebpf.Program) error {
	options := append(attr(bpfFD, u32(uint32(p.FD()))), attr(bpfName, []byte("riposte_cut\x00"))...)
	options = append(options, attr(bpfFlags, u32(directAction))...)
	m := append(tcMsg(ifindex, 0, parent, filterPriority<<16|everyProtocol), attr(unix.TCA_KIND, []byte("bpf\x00"))...)
	m = append(m, attr(unix.TCA_OPTIONS|unix.NLA_F_NESTED, options)...)
	if _, err := request(unix.RTM_NEWTFILTER, unix.NLM_F_ACK|unix.NLM_F_CREATE|unix.NLM_F_EXCL, m); err != nil {
		return fmt.Errorf("add a filter: %w", err)
	}
	return nil
}

// filter is one bpf filter of a device.
type filter struct {
	handle, info uint32
	program      ebpf.ProgramID
}

func filters(ifindex int, parent uint32) ([]filter, error) {
	replies, err := request(unix.RTM_GETTFILTER, unix.NLM_F_DUMP, tcMsg(ifindex, 0, parent, 0))
	if err != nil {
		return nil, fmt.Errorf("list the filters: %w", err)
	}
	var all []filter
	for _, b := range replies {
		if len(b) < sizeofTcMsg {
			continue
		}
		options, ok := attribute(b[sizeofTcMsg:], unix.TCA_OPTIONS)
		if !ok {
			continue
		}
		if id, ok := attribute(options, bpfID); ok && len(id) >= 4 {
			all = append(all, filter{
				handle: binary.NativeEndian.Uint32(b[8:]), info: binary.NativeEndian.Uint32(b[16:]), program: ebpf.ProgramID(binary.NativeEndian.Uint32(id)),
			})
		}
	}
	return all, nil
}

func (f filter) remove(ifindex int, parent uint32) error {
	m := append(tcMsg(ifindex, f.handle, parent, f.info), attr(unix.TCA_KIND, []byte("bpf\x00"))...)
	if _, err := request(unix.RTM_DELTFILTER, unix.NLM_F_ACK, m); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("remove a filter: %w", err)
	}
	return nil
}
