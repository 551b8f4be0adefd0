package scap

import (
	"path"

	"riposte/agent/event"
)

// Falco's open flags and the kernel's, which is what an event's File holds. The names
// are those of the first part of each pair.
var openFlags = []struct{ falco, kernel uint32 }{
	{1 << 2, 0o100},
	{1 << 3, 0o2000},
	{1 << 4, 0o10000},
	{1 << 5, 0o200},
	{1 << 6, 0o4000},
	{1 << 7, 0o4010000},
	{1 << 8, 0o1000},
	{1 << 9, 0o40000},
	{falcoDirectory, 0o200000},
	{1 << 11, 0o100000},
	{falcoCloexec, 0o2000000},
	{1 << 13, 0o20200000},
}

const (
	falcoRead      = 1
	falcoWrite     = 2
	falcoDirectory = 1 << 10
	falcoCloexec   = 1 << 12
	falcoCreated   = 1 << 14
	falcoUpper     = 1 << 15
	falcoLower     = 1 << 16
)

// lowFlags and highFlags have the kernel's flags for each of the two lower bytes of
// Falco's.
var lowFlags, highFlags = kernelFlags(0), kernelFlags(8)

func kernelFlags(shift int) (table [256]uint32) {
	for bits := range uint32(256) {
		flags := bits << shift
		switch flags & (falcoRead | falcoWrite) {
		case falcoWrite:
			table[bits] = 1
		case falcoRead | falcoWrite:
			table[bits] = 2
		}
		for _, f := range openFlags {
			if flags&f.falco != 0 {
				table[bits] |= f.kernel
			}
		}
	}
	return table
}

// open fills in what the flags of an open say.
func (o *object) open(flags uint32) {
	o.Flags = lowFlags[flags&0xff] | highFlags[flags>>8&0xff]
	if flags&falcoDirectory != 0 {
		o.Kind = event.KindDirectory
	}
	o.Created, o.UpperLayer, o.LowerLayer = flags&falcoCreated != 0, flags&falcoUpper != 0, flags&falcoLower != 0
}

// inProgress is the result of a connect that goes on in the background.
const inProgress = -115

// telling are the types that change the state, besides those that make an anonymous
// descriptor.
var telling = []event.Type{
	event.Open, event.Openat, event.Openat2, event.Creat, event.OpenByHandleAt, event.Execve, event.Execveat, event.Clone, event.Clone3,
	event.ForkCall, event.Vfork, event.SocketCall, event.Connect, event.Accept, event.Accept4, event.Bind, event.Listen, event.Sendto,
	event.Sendmsg, event.Send, event.Sendmmsg, event.Recvfrom, event.Recvmsg, event.Recv, event.Recvmmsg, event.Dup, event.Dup2, event.Dup3,
	event.Fcntl, event.Pipe, event.Pipe2, event.Socketpair, event.Chdir, event.Fchdir, event.Getcwd, event.ProcExit, event.Close,
	event.Setuid, event.Setresuid, event.Setreuid, event.Setgid, event.Setresgid, event.Setregid, event.Setsid, event.Setpgid, event.Prctl,
	event.Capset, event.Useradded, event.Userdeleted, event.Groupadded, event.Groupdeleted, event.ContainerAdded, event.Asyncevent, event.Drop,
}

// apply brings the state up to date with a call's exit and gives the event its file.
func (d *decoder) apply(e *event.Event) {
	switch e.Type {
	case event.Open, event.Openat, event.Openat2, event.Creat, event.OpenByHandleAt:
		d.opened(e)
	case event.Execve, event.Execveat:
		d.exec(e)
	case event.Clone, event.Clone3, event.ForkCall, event.Vfork:
		d.cloned(e)
	case event.Close, event.Read, event.Write, event.Readv, event.Writev, event.Pread, event.Pwrite:
		d.uses(e)
	case event.SocketCall:
		o := d.object()
		typ := d.or(pType, 0)
		o.bySocket(d.or(pDomain, 0), typ, d.or(pProto, 0))
		d.made(e, e.Ret, o, typ&socketCloses != 0)
	case event.Connect:
		d.connected(e)
	case event.Accept, event.Accept4:
		d.accepted(e)
	case event.Bind, event.Listen:
		d.bound(e)
	case event.Sendto, event.Sendmsg, event.Send, event.Sendmmsg:
		d.moved(e, false)
	case event.Recvfrom, event.Recvmsg, event.Recv, event.Recvmmsg:
		d.moved(e, true)
	case event.Dup, event.Dup2, event.Dup3, event.Fcntl:
		d.doubled(e)
	case event.Pipe, event.Pipe2:
		d.pair(e, event.KindPipe)
	case event.Socketpair:
		d.pair(e, event.KindUnix)
	case event.Chdir, event.Fchdir, event.Getcwd:
		d.moveDir(e)
	case event.ProcExit:
		e.Ret = d.or(pStatus, 0)
	case event.Setns:
	case event.Setuid, event.Setresuid, event.Setreuid, event.Setgid, event.Setresgid, event.Setregid, event.Setsid, event.Setpgid,
		event.Prctl, event.Capset:
		d.identity(e)
		d.uses(e)
	default:
		if !d.anonymous(e) {
			d.uses(e)
		}
	}
}

// file shows an object in the event.
func (d *decoder) file(e *event.Event, fd int64, o *object) {
	if d.show {
		o.title()
		e.File = o.File
		e.File.Num = fd
	}
}

// uses shows what the event's descriptor stands for.
func (d *decoder) uses(e *event.Event) *object {
	i := d.typ.at[pFD]
	if i < 0 || d.typ.params[i].kind != kindFD {
		return nil
	}
	fd, ok := d.num(pFD)
	if !ok {
		return nil
	}
	o := d.thread.fds.get(fd)
	if o != nil {
		d.file(e, fd, o)
	}
	return o
}

// made puts a new object at the descriptor that the call returned.
func (d *decoder) made(e *event.Event, fd int64, o *object, closes bool) {
	if fd < 0 {
		return
	}
	o.Num = fd
	d.state.set(d.thread.fds, fd, o, closes)
	d.file(e, fd, o)
}

func (d *decoder) opened(e *event.Event) {
	i := int(d.typ.at[pName])
	if i < 0 {
		i = int(d.typ.at[pPath])
	}
	o := d.object()
	o.Kind = event.KindFile
	if i >= 0 {
		d.named(o, i)
	}
	flags := uint32(d.or(pFlags, 0))
	if e.Type == event.Creat {
		o.Flags = 0o1101
		layer := d.or(pCreatFlags, 0)
		o.UpperLayer, o.LowerLayer = layer&1 != 0, layer&2 != 0
	} else {
		o.open(flags)
	}
	o.Mode = uint32(d.or(pMode, 0))
	o.Dev, o.Ino = uint64(d.or(pDev, 0)), uint64(d.or(pIno, 0))
	if e.Ret < 0 {
		o.Kind = event.KindFile
		d.file(e, -1, o)
		o.refs = 1
		d.unref(o)
		return
	}
	d.made(e, e.Ret, o, flags&falcoCloexec != 0)
}

// named gives an opened file its name from a path parameter.
func (d *decoder) named(o *object, i int) {
	o.NameRaw, o.Name = d.paths.name(d.at(i), func() string {
		o.Base = d.base(i)
		return o.Base
	})
	d.tell(int8(i), o.Name)
}

func (d *decoder) connected(e *event.Event) {
	fd := d.or(pFD, -1)
	t := tuple(d.val(pTuple))
	if !t.dest.IsValid() && t.path == "" {
		if a := address(d.val(pAddr)); a.family != 0 {
			t = a
		}
	}
	o := d.thread.fds.get(fd)
	if o == nil {
		if t.kind() == 0 {
			return
		}
		o = d.object()
		d.state.set(d.thread.fds, fd, o, false)
	}
	o.Socket.Role = event.RoleClient
	o.joinEnds(&t, false, event.RoleClient)
	d.locate(o, false)
	o.Socket.Connected = e.Ret == 0 || e.Ret == inProgress
	d.file(e, fd, o)
	e.File.Socket.Renamed = true
}

func (d *decoder) accepted(e *event.Event) {
	t := tuple(d.val(pTuple))
	o := d.object()
	o.Kind = event.KindOther
	if t.family == familyIPv4 || t.family == familyIPv6 {
		o.Socket.L4 = 6
	}
	o.joinEnds(&t, true, event.RoleServer)
	o.Socket.Connected = true
	d.made(e, e.Ret, o, d.or(pFlags, 0)&socketCloses != 0)
}

func (d *decoder) bound(e *event.Event) {
	fd := d.or(pFD, -1)
	o := d.thread.fds.get(fd)
	if o == nil {
		return
	}
	if a := address(d.val(pAddr)); e.Ret >= 0 && a.family != 0 {
		switch {
		case a.family == familyUnix:
			o.Name, o.NameRaw, o.unnamed = a.path, a.path, false
		case a.dest.IsValid() && a.dest.Port() > 0:
			o.Socket.Local, o.Socket.Role = a.dest, event.RoleServer
			o.Name, o.unnamed = endpoint(a.dest), false
		}
	}
	if e.Type == event.Listen && e.Ret >= 0 {
		o.Socket.Role = event.RoleServer
	}
	d.file(e, fd, o)
}

// moved takes the peer of a socket without a connection from what it sends and
// receives.
func (d *decoder) moved(e *event.Event, received bool) {
	o := d.uses(e)
	if o == nil || e.Ret < 0 || o.Socket.Connected || o.Kind != event.KindIPv4 && o.Kind != event.KindIPv6 {
		return
	}
	t := tuple(d.val(pTuple))
	if !t.dest.IsValid() {
		return
	}
	role := event.RoleClient
	if received {
		role = event.RoleServer
	}
	before := o.title()
	o.joinEnds(&t, received, role)
	d.locate(o, false)
	d.file(e, e.File.Num, o)
	e.File.Socket.Renamed = before != o.title()
}

// Commands of fcntl in the capture format.
const (
	fcntlDup        = 1
	fcntlSetFlags   = 3
	fcntlDupCloexec = 26
)

func (d *decoder) doubled(e *event.Event) {
	old := d.or(pOldfd, d.or(pFD, -1))
	closes := d.or(pFlags, 0)&falcoCloexec != 0
	if e.Type == event.Fcntl {
		cmd := d.or(pCmd, 0)
		switch {
		case cmd == fcntlSetFlags && e.Ret >= 0 && d.has(pArg):
			d.thread.fds.setCloses(old, d.or(pArg, 0)&1 != 0)
			fallthrough
		case cmd != fcntlDup && cmd != fcntlDupCloexec:
			d.uses(e)
			return
		}
		closes = cmd == fcntlDupCloexec
	}
	o := d.thread.fds.get(old)
	if e.Ret < 0 || o == nil {
		return
	}
	d.state.set(d.thread.fds, e.Ret, o, closes)
	d.file(e, e.Ret, o)
}

func (d *decoder) pair(e *event.Event, kind byte) {
	if e.Ret < 0 {
		return
	}
	closes := d.or(pFlags, 0)&falcoCloexec != 0 || d.or(pType, 0)&socketCloses != 0
	for _, s := range []slot{pFD1, pFD2} {
		o := d.object()
		o.Kind, o.Ino = kind, uint64(d.or(pIno, 0))
		d.made(e, d.or(s, -1), o, closes)
	}
}

func (d *decoder) moveDir(e *event.Event) {
	var dir string
	switch o := d.uses(e); {
	case e.Ret < 0:
		return
	case e.Type == event.Fchdir:
		if o == nil {
			return
		}
		dir = o.title()
	default:
		if dir = d.text(pPath); dir == "" || dir == missing {
			return
		}
		dir = absolute(dir, d.thread.proc.CWD)
	}
	if p := &d.thread.proc.Process; p.CWD != dir {
		p.CWD = dir
		d.clock.Changed(p)
	}
}

// anonymousKinds are calls that make a descriptor without a name.
var anonymousKinds = [256]byte{
	event.Eventfd: 'e', event.Eventfd2: 'e', event.Signalfd: 's', event.Signalfd4: 's', event.TimerfdCreate: 't', event.InotifyInit: 'i',
	event.InotifyInit1: 'i', event.EpollCreate: 'l', event.EpollCreate1: 'l', event.Userfaultfd: 'u', event.IoUringSetup: 'r',
	event.MemfdCreate: event.KindMemfd, event.PidfdOpen: 'P', event.PidfdGetfd: event.KindOther, event.Bpf: 'b',
}

func (d *decoder) anonymous(e *event.Event) bool {
	kind := anonymousKinds[e.Type]
	if kind == 0 {
		return false
	}
	o := d.object()
	o.Kind = kind
	if kind == event.KindMemfd {
		o.Name = d.text(pName)
	}
	if e.Type != event.Bpf || bpfMakes[d.or(pCmd, -1)] {
		d.made(e, e.Ret, o, d.or(pFlags, 0)&falcoCloexec != 0)
	}
	return true
}

// bpfMakes are the commands of bpf that return a descriptor.
var bpfMakes = map[int64]bool{0: true, 5: true, 7: true, 13: true, 14: true, 17: true, 18: true, 19: true, 28: true, 30: true, 32: true, 33: true}

// comm is the kernel's name where an old event has none.
func comm(exe string) string {
	const most = 15
	base := path.Base(exe)
	return base[:min(len(base), most)]
}

// dir is a directory without the '/' that some recorders put behind it.
func dir(b []byte) []byte {
	if n := len(b); n > 1 && b[n-1] == '/' {
		return b[:n-1]
	}
	return b
}
