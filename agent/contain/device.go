package contain

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// device is a network device at which a cut drops every packet: the host's end of
// the container's veth pair, which no process of the container can reach, or else
// the container's own device.
type device struct {
	Name  string `json:"name"`
	Index int    `json:"index"`
	// Netns is the network namespace that it is in, by inode; 0 for the host's.
	Netns uint64 `json:"netns,omitempty"`
	// PID was a process in that namespace.
	PID int `json:"pid,omitempty"`
	// Filter says that the programs are filters of a qdisc; see filter.go.
	Filter bool `json:"filter,omitempty"`
}

// Bounds of one container's network.
const (
	maxNetns   = 16
	maxDevices = 64
)

// hostNetns is the network namespace of the machine: process 2 is the parent of the
// kernel's own threads, which are always there. (We may have fewer capabilities than
// process 1, and may not look at it then.) Capture needs the host's pid namespace.
const hostNetns = "/proc/2/ns/net"

// findDevices looks for the way that packets take out of the container's network
// namespaces. A namespace is shared by all containers of a pod, and so is its cut.
// gap says what cannot be stopped there.
func findDevices(c *target) (all []device, gap string, err error) {
	host, err := netnsOf(hostNetns)
	if err != nil {
		return nil, "", fmt.Errorf("find the host's network namespace: %w", err)
	}
	defer host.Close()
	spaces, gap, err := netnsIn(c, host.ino)
	defer func() {
		for _, s := range spaces {
			s.Close()
		}
	}()
	if err != nil {
		return nil, "", err
	}
	for _, ino := range slices.Sorted(maps.Keys(spaces)) {
		n := spaces[ino]
		found, err := n.devices(host)
		if err != nil {
			return nil, "", err
		}
		all = append(all, found...)
		inside := slices.IndexFunc(found, func(d device) bool { return d.Netns != 0 })
		if inside >= 0 && slices.ContainsFunc(n.members, mayOpenRaw) {
			gap = fmt.Sprintf("device %s is no veth pair's end: packet sockets that skip its queue may not be stopped", found[inside].Name)
		}
	}
	if len(all) > maxDevices || len(spaces) == maxNetns {
		all, gap = all[:min(len(all), maxDevices)], "the container has more networks than are looked at: packet sockets may not be stopped"
	}
	return all, gap, nil
}

// netns is an open network namespace.
type netns struct {
	*os.File
	ino uint64
	// members are the container's processes in it, pid is one of them.
	members []int
	pid     int
}

func netnsOf(name string) (*netns, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &netns{File: f, ino: st.Ino}, nil
}

// netnsIn opens the namespaces of the container's processes but the host's, at which
// nothing may be dropped: gap says so if a process that is there may open packet
// sockets.
func netnsIn(c *target, host uint64) (spaces map[uint64]*netns, gap string, err error) {
	spaces = map[uint64]*netns{}
	for pid := range c.inside {
		n, err := netnsOf(fmt.Sprintf("/proc/%d/ns/net", pid))
		if err != nil {
			if ignoreGone(err) != nil && !errors.Is(err, unix.ESRCH) {
				gap = fmt.Sprintf("packet sockets of process %d may not be stopped: %v", pid, err)
			}
			continue // else it ended meanwhile
		}
		if n.ino == host && mayOpenRaw(pid) {
			gap = "the container shares the host's network and may have packet sockets: they are not stopped"
		}
		known := spaces[n.ino]
		if known != nil {
			known.members = append(known.members, pid)
		}
		if known != nil || n.ino == host || len(spaces) == maxNetns {
			n.Close()
			continue
		}
		n.pid, n.members = pid, []int{pid}
		spaces[n.ino] = n
	}
	// Who has taken a pid meanwhile is not in the container.
	still, err := c.processes()
	if err != nil {
		return spaces, gap, fmt.Errorf("list the container's processes: %w", err)
	}
	for ino, n := range spaces {
		if !still[n.pid] {
			n.Close()
			delete(spaces, ino)
		}
	}
	return spaces, gap, nil
}

// mayOpenRaw says whether a process has, or can get, the capability for raw and
// packet sockets. In doubt it may.
func mayOpenRaw(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return false // ended
	}
	for text := range strings.Lines(string(b)) {
		if hex, ok := strings.CutPrefix(text, "CapBnd:"); ok {
			set, err := strconv.ParseUint(strings.TrimSpace(hex), 16, 64)
			return err != nil || set&(1<<unix.CAP_NET_RAW) != 0
		}
	}
	return true
}

// devices are where a namespace's packets can be dropped.
func (n *netns) devices(host *netns) ([]device, error) {
	inside, err := n.links()
	if err != nil {
		return nil, err
	}
	var outside []netLink
	id := -1
	err = host.enter(func() error {
		if outside, err = links(); err != nil {
			return err
		}
		id, err = netnsID(n.File)
		return err
	})
	if err != nil {
		return nil, err
	}
	var all []device
	for _, l := range inside {
		if l.loopback {
			continue
		}
		d := device{Name: l.name, Index: l.index, Netns: n.ino, PID: n.pid}
		for _, peer := range outside {
			if l.paired() && peer.paired() && peer.index == l.peer && peer.peer == l.index && peer.peerNetns == id && id >= 0 {
				d = device{Name: peer.name, Index: peer.index}
			}
		}
		d.Filter = !hasTCX()
		all = append(all, d)
	}
	return all, nil
}

// enter opens the device's namespace and runs do in it.
func (d device) enter(do func() error) error {
	name := hostNetns
	if d.Netns != 0 {
		name = fmt.Sprintf("/proc/%d/ns/net", d.PID)
	}
	n, err := netnsOf(name)
	if err != nil {
		return err
	}
	defer n.Close()
	if d.Netns != 0 && n.ino != d.Netns {
		return os.ErrNotExist // another process has taken the pid
	}
	return n.enter(do)
}

// hasTCX says whether devices take programs without a qdisc, since 6.6; tests say no.
var hasTCX = sync.OnceValue(func() bool {
	_, err := link.QueryPrograms(link.QueryOptions{Target: loopbackIndex, Attach: ebpf.AttachTCXIngress})
	return err == nil
})

// loopbackIndex is the loopback device's in every network namespace.
const loopbackIndex = 1

var deviceHooks = []ebpf.AttachType{ebpf.AttachTCXIngress, ebpf.AttachTCXEgress}

// attach puts the programs before all others of the device.
func (d device) attach(rx, tx *ebpf.Program) error {
	return d.enter(func() error {
		if d.Filter {
			return errors.Join(addQdisc(d.Index), addFilter(d.Index, filterParents[0], rx), addFilter(d.Index, filterParents[1], tx))
		}
		for i, p := range []*ebpf.Program{rx, tx} {
			err := link.RawAttachProgram(link.RawAttachProgramOptions{Target: d.Index, Program: p, Attach: deviceHooks[i], Anchor: link.Head()})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// missing says whether the programs of the cut are not at the device. Where the
// device has gone no packet passes it.
func (d device) missing(k *cut) (why string) {
	err := d.enter(func() error {
		for i := range deviceHooks {
			n, err := d.count(k, i)
			if err != nil {
				return err
			}
			if n == 0 {
				why = fmt.Sprintf("the cut is not in force at device %s", d.Name)
			}
		}
		return nil
	})
	if err = ignoreGone(err); err != nil {
		return fmt.Sprintf("look for the cut at device %s: %v", d.Name, err)
	}
	return why
}

func (d device) count(k *cut, hook int) (n int, err error) {
	if !d.Filter {
		own, err := k.attached(d.Index, deviceHooks[hook])
		closeAll(own)
		return len(own), err
	}
	err = d.eachFilter(k, hook, func(filter) error { n++; return nil })
	return n, err
}

func (d device) eachFilter(k *cut, hook int, do func(filter) error) error {
	all, err := filters(d.Index, filterParents[hook])
	if err != nil {
		return err
	}
	for _, f := range all {
		if p := k.own(f.program); p != nil {
			p.Close()
			if err := do(f); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d device) detach(k *cut) error {
	err := d.enter(func() error {
		var errs []error
		for i, hook := range deviceHooks {
			if d.Filter {
				errs = append(errs, d.eachFilter(k, i, func(f filter) error { return f.remove(d.Index, filterParents[i]) }))
			} else {
				errs = append(errs, k.detachFrom(d.Index, hook))
			}
		}
		return errors.Join(errs...)
	})
	return ignoreGone(err)
}
