package scap

import (
	"fmt"
	"net/netip"

	"riposte/agent/event"
)

// procsVersion is the layout of a process list, 0 for no such block.
func procsVersion(block uint32) int {
	switch {
	case block == blockProcs1:
		return 1
	case block == blockProcs2:
		return 2
	case block == blockProcs3:
		return 3
	case block >= blockProcs4 && block <= blockProcs9:
		return int(block-blockProcs4) + 4
	}
	return 0
}

// Lists end where less than an entry's length is left: that is padding.
const minEntry = 4

// limited gives a cursor over one entry. From version 9 on an entry has its length
// first, which counts itself.
func (c *cursor) limited(has bool) (entry *cursor, sized bool) {
	if !has {
		return c, false
	}
	n := int(c.u32())
	return &cursor{rest: c.take(n - minEntry)}, true
}

// procs reads a process list. Each entry has what the version before had, and more.
func (s *state) procs(body []byte, version int) error {
	c := &cursor{rest: body}
	for i := 0; len(c.rest) >= minEntry; i++ {
		e, sized := c.limited(version >= 9)
		s.listed(e, version, sized)
		if e.short || c.short {
			return fmt.Errorf("entry %d of the process list is longer than what is left", i+1)
		}
	}
	return nil
}

// oldTail is the size of an entry's end before the namespace's start and the
// terminal came into its middle.
const oldTail = 29

func (s *state) listed(e *cursor, version int, sized bool) {
	p := &proc{}
	p.Container, p.LoginUID, p.SID, p.VPGID = event.Host, noLogin, -1, -1
	tid, pid, ptid := e.i64(), e.i64(), e.i64()
	if version >= 6 {
		p.SID = int32(e.i64())
	}
	if version >= 8 {
		p.VPGID = int32(e.i64())
	}
	p.Comm, p.Exe = e.string(), e.string()
	if version >= 7 {
		p.ExePath = e.string()
	}
	args := e.text()
	p.CWD = e.string()
	r := &event.Resources{FDLimit: int64(e.u64())}
	e.u32() // flags
	p.UID, p.GID = e.u32(), e.u32()
	p.EUID = p.UID
	vtid, vpid := int64(-1), int64(-1)
	var cgroups, env []byte
	if version >= 2 {
		r.VMSize, r.VMRSS, r.VMSwap = uint64(e.u32()), uint64(e.u32()), uint64(e.u32())
		r.MajorFaults, r.MinorFaults = e.u64(), e.u64()
	}
	if version >= 3 {
		env = e.text()
	}
	if version >= 4 {
		vtid, vpid, cgroups = e.i64(), e.i64(), e.text()
	}
	if version >= 5 {
		e.text() // root directory
	}
	if e.short {
		return
	}
	s.setWords(p, args, env)
	p.Resources = r
	if sized {
		tail(e, p)
	}
	if vpid < 0 {
		vpid = pid
	}
	p.PID, p.VPID, p.PPID = int32(pid), int32(vpid), int32(ptid)
	s.insert(tid, pid, ptid, vtid, p, cgroups)
}

// tail reads what entries with a length of their own may have.
func tail(e *cursor, p *proc) {
	more := func(n int) bool { return len(e.rest) >= n }
	if len(e.rest) > oldTail {
		p.Resources.NamespaceStartNS = e.u64()
		if more(4) {
			p.TTY = e.u32()
		}
	}
	if more(4) {
		p.LoginUID = e.u32()
	}
	if more(1) {
		p.ExeWritable = e.u8() != 0
	}
	if more(24) {
		p.Caps = event.Capabilities{Known: true, Inheritable: e.u64(), Permitted: e.u64(), Effective: e.u64()}
	}
	if more(1) {
		p.ExeUpperLayer = e.u8() != 0
	}
	if more(8) {
		p.ExeIno = e.u64()
	}
	if more(16) {
		p.ExeCtimeNS, p.ExeMtimeNS = e.i64(), e.i64()
	}
	if more(1) {
		p.ExeMemfd = e.u8() != 0
	}
	if more(1) {
		p.ExeLowerLayer = e.u8() != 0
	}
	if more(8) {
		p.PGID = int32(e.i64())
	}
}

// insert takes a listed thread over. The list is in no order: a thread may come
// before its process's first one.
func (s *state) insert(tid, pid, ptid, vtid int64, p *proc, cgroups []byte) {
	if tid != pid {
		if leader := s.threads.get(pid); leader != nil {
			t := s.add(tid, leader.proc)
			t.vtid = vtid
			s.share(t, leader, true)
			s.weight -= p.weight
			return
		}
	}
	t := s.threads.get(tid)
	if t == nil || t.proc.PID != p.PID {
		t = s.add(tid, p)
	} else {
		// Listed twice, or made up for a child that came first.
		above := t.proc.Parent
		s.weight -= t.proc.weight
		t.proc.Process, t.proc.weight = p.Process, p.weight
		t.proc.Parent = above
	}
	t.vtid = vtid
	m := s.containers.of(cgroups, t.proc.StartNS)
	t.proc.Container, t.proc.Resources.Cgroups = m.container, m.cgroups
	t.proc.PPID = int32(ptid)
}

// linked joins the listed processes to their parents, when all are there.
func (s *state) linked() {
	s.threads.all(func(t *thread) {
		if int64(t.proc.PID) == t.tid {
			s.adopt(t.proc, int64(t.proc.PPID))
		}
	})
	s.takeSides()
}

// takeSides finds the listed sockets that were accepted: the list does not say who
// called whom, but a port that somebody listens on is a server's.
func (s *state) takeSides() {
	if len(s.serving) == 0 {
		return
	}
	s.threads.all(func(t *thread) {
		t.fds.each(s.takeSide)
	})
}

func (s *state) takeSide(o *object) {
	if o.Socket.Remote.IsValid() && s.serving[o.Socket.Local.Port()] {
		o.Socket.Role, o.unnamed = event.RoleServer, true
	}
}

// Kinds of descriptor in a list.
const (
	listedFile       = 1
	listedDirectory  = 2
	listedIPv4       = 3
	listedIPv6       = 4
	listedIPv4Server = 5
	listedIPv6Server = 6
	listedUnix       = 8
	listedFile2      = 16
)

// listedKinds are the others, which have a name alone.
var listedKinds = map[uint8]byte{
	7: event.KindPipe, 9: 'e', 10: event.KindOther, 11: 's', 12: 'l', 13: 'i', 14: 't', 15: event.KindNetlink, 17: 'b', 18: 'u', 19: 'r',
	20: event.KindMemfd, 21: 'P',
}

// fds reads one process's descriptors.
func (s *state) fdList(body []byte, sized bool) error {
	c := &cursor{rest: body}
	tid := c.i64()
	t := s.threads.get(tid)
	if t == nil && !c.short {
		s.lost[lostOwner]++
	}
	for i := 0; len(c.rest) >= minEntry; i++ {
		e, _ := c.limited(sized)
		o := s.object()
		o.Num = e.i64()
		o.Ino = e.u64()
		kind := e.u8()
		known := o.listed(e, kind, sized)
		s.locate(o, true)
		if e.short || c.short {
			return fmt.Errorf("entry %d of the descriptor list is longer than what is left", i+1)
		}
		if !known && !sized {
			return fmt.Errorf("entry %d of the descriptor list has the unknown kind %d", i+1, kind)
		}
		if kind == listedIPv4Server || kind == listedIPv6Server {
			s.serving[o.Socket.Local.Port()] = true
		}
		if t != nil {
			s.set(t.fds, o.Num, o, false)
		}
	}
	if c.short {
		return fmt.Errorf("the descriptor list has %d bytes, too few for a process's number", len(body))
	}
	return nil
}

func (o *object) listed(e *cursor, kind uint8, sized bool) bool {
	switch kind {
	case listedFile, listedDirectory:
		o.Kind = event.KindFile
		if kind == listedDirectory {
			o.Kind = event.KindDirectory
		}
		o.Name = e.string()
		o.NameRaw = o.Name
	case listedFile2:
		o.Kind = event.KindFile
		flags := e.u32()
		o.open(flags)
		o.Name = e.string()
		o.NameRaw = o.Name
		if sized && len(e.rest) >= 4 {
			o.Dev = uint64(e.u32())
		}
	case listedIPv4, listedIPv6:
		n := 4
		o.Kind = event.KindIPv4
		if kind == listedIPv6 {
			n, o.Kind = 16, event.KindIPv6
		}
		source, dest := e.take(n), e.take(n)
		sport, dport := e.u16(), e.u16()
		o.Socket.L4 = e.l4()
		if !e.short {
			o.Socket.Local, o.Socket.Remote = addrPort(source, sport), addrPort(dest, dport)
			o.Socket.Connected = dport != 0
			o.Socket.Role, o.unnamed = event.RoleClient, true
		}
	case listedIPv4Server, listedIPv6Server:
		n := 4
		o.Kind = event.KindIPv4
		if kind == listedIPv6Server {
			n, o.Kind = 16, event.KindIPv6
		}
		addr, port := e.take(n), e.u16()
		o.Socket.L4 = e.l4()
		if !e.short {
			o.Socket.Local, o.Socket.Role = addrPort(addr, port), event.RoleServer
			o.Name = endpoint(o.Socket.Local)
		}
	case listedUnix:
		o.Kind = event.KindUnix
		e.take(16)
		o.Name = e.string()
		o.NameRaw = o.Name
	default:
		k, ok := listedKinds[kind]
		if !ok {
			o.Kind = event.KindOther
			return false
		}
		o.Kind = k
		o.Name = e.string()
	}
	return true
}

// l4 turns the list's numbering of protocols into the kernel's.
func (c *cursor) l4() uint8 {
	switch c.u8() {
	case 2:
		return 6
	case 3:
		return 17
	case 4:
		return 1
	case 5:
		return 255
	}
	return 0
}

func addrPort(b []byte, port uint16) netip.AddrPort {
	a, _ := netip.AddrFromSlice(b)
	return netip.AddrPortFrom(a.Unmap(), port)
}

// userList reads the names of users and groups.
func (s *state) userList(body []byte, sized bool) error {
	c := &cursor{rest: body}
	for i := 0; len(c.rest) >= minEntry; i++ {
		e, _ := c.limited(sized)
		group := e.u8() != 0
		id := e.u32()
		if !group {
			e.u32()
		}
		a := account{name: e.string()}
		if !group {
			a.home, a.shell = e.string(), e.string()
		}
		if e.short || c.short {
			return fmt.Errorf("entry %d of the user list is longer than what is left", i+1)
		}
		s.users.add("", id, group, a)
	}
	return nil
}
