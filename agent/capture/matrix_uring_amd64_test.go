//go:build linux

package capture_test

import (
	"encoding/binary"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"riposte/agent/event"
)

// ring is an io_uring of one request at a time.
type ring struct {
	c          *caller
	fd         int
	sq, cq     []byte
	sqes       []byte
	sqOff      [10]uint32
	cqOff      [10]uint32
	sqMask     uint32
	cqMask     uint32
	sent, seen uint32
}

func (c *caller) newRing() *ring {
	params := make([]byte, 120)
	fd, _, errno := unix.RawSyscall(unix.SYS_IO_URING_SETUP, 8, uintptr(unsafe.Pointer(&params[0])), 0)
	must("io_uring", errnoOf(errno), nil)
	r := &ring{c: c, fd: int(fd)}
	for i := range r.sqOff {
		r.sqOff[i] = binary.LittleEndian.Uint32(params[40+4*i:])
		r.cqOff[i] = binary.LittleEndian.Uint32(params[80+4*i:])
	}
	entries := binary.LittleEndian.Uint32(params[4:])
	mmap := func(at int64, size int) []byte {
		b, err := unix.Mmap(r.fd, at, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
		must("mmap", err, nil)
		return b
	}
	r.sq = mmap(0, int(r.sqOff[6]+entries*4))
	r.cq = mmap(0x8000000, int(r.cqOff[5]+entries*2*16))
	r.sqes = mmap(0x10000000, int(entries*64))
	r.sqMask, r.cqMask = *r.word(r.sq, r.sqOff[2]), *r.word(r.cq, r.cqOff[2])
	return r
}

func (*ring) word(b []byte, at uint32) *uint32 { return (*uint32)(unsafe.Pointer(&b[at])) }

// sqe is a request as the kernel reads it.
type sqe struct {
	op, flags uint8
	fd        int32
	off, addr uint64
	len       uint32
	opFlags   uint32
	index     uint32
}

// put writes a request into the ring.
func (r *ring) put(s sqe) {
	tail := r.word(r.sq, r.sqOff[1])
	slot := *tail & r.sqMask
	b := r.sqes[slot*64 : slot*64+64]
	clear(b)
	b[0], b[1] = s.op, s.flags
	binary.LittleEndian.PutUint32(b[4:], uint32(s.fd))
	binary.LittleEndian.PutUint64(b[8:], s.off)
	binary.LittleEndian.PutUint64(b[16:], s.addr)
	binary.LittleEndian.PutUint32(b[24:], s.len)
	binary.LittleEndian.PutUint32(b[28:], s.opFlags)
	binary.LittleEndian.PutUint32(b[44:], s.index)
	*r.word(r.sq, r.sqOff[6]+slot*4) = slot
	atomic.AddUint32(tail, 1)
}

// enter hands n requests over and waits for so many results.
func (r *ring) enter(n, results uintptr) {
	_, _, errno := unix.RawSyscall6(unix.SYS_IO_URING_ENTER, uintptr(r.fd), n, results, 1, 0, 0)
	must("io_uring_enter", errnoOf(errno), nil)
}

// submit hands a request over and waits for its result.
func (r *ring) submit(s sqe) int64 {
	r.put(s)
	r.enter(1, 1)
	head := r.word(r.cq, r.cqOff[0])
	at := r.cqOff[5] + (*head&r.cqMask)*16
	res := int32(binary.LittleEndian.Uint32(r.cq[at+8:]))
	atomic.AddUint32(head, 1)
	return int64(res)
}

func (r *ring) made(typ event.Type, end error, first string, s sqe, w told) int64 {
	ret := r.submit(s)
	var got error
	if ret < 0 {
		got = unix.Errno(-ret)
	}
	must("io_uring "+typ.String(), got, end)
	r.c.tell(typ, ret, first, w)
	return ret
}

// requests does by io_uring what else are calls.
func (c *caller) requests() {
	r := c.newRing()
	c.touch("ua", "ub")
	dir := c.open(c.dir, unix.O_DIRECTORY)
	dirText, at := "<d>"+c.dir, int32(dir)
	str := func(s string) uint64 { return uint64(c.str(s)) }
	cwd := int32(unix.AT_FDCWD)

	r.made(event.Openat, nil, "fd", sqe{op: 18, fd: at, addr: str("sub/../ua"), opFlags: unix.O_RDWR}, told{
		File: want{"kind": "f", "realpath": c.in("ua")},
		Args: want{"dirfd": dirText, "name": c.in("ua"), "flags": "O_LARGEFILE|O_RDWR", "mode": "0", "dev": "*", "ino": "*"}})
	r.made(event.Openat, unix.ENOENT, "fd", sqe{op: 18, fd: cwd, addr: str("none"), opFlags: unix.O_RDONLY}, told{
		File: want{"kind": "f", "num": "-1", "realpath": ""},
		Args: want{"dirfd": cwdText, "name": c.in("none"), "flags": "O_LARGEFILE|O_RDONLY", "mode": "0", "dev": "0", "ino": "0"}})
	how := binary.LittleEndian.AppendUint64(nil, unix.O_CREAT|unix.O_WRONLY)
	how = binary.LittleEndian.AppendUint64(how, 0o640)
	how = append(how, make([]byte, 8)...)
	r.made(event.Openat2, nil, "fd", sqe{op: 28, fd: cwd, addr: str("uc"), len: 24, off: uint64(c.put(how))}, told{
		File: want{"kind": "f", "realpath": c.in("uc")},
		Args: want{"dirfd": cwdText, "name": c.in("uc"), "flags": "*", "mode": "0640", "resolve": "0", "dev": "*", "ino": "*"}})
	r.made(event.Renameat2, nil, "res", sqe{op: 35, fd: at, addr: str("ua"), off: str("ud"), len: uint32(at), opFlags: unix.RENAME_NOREPLACE}, told{
		Args: want{"olddirfd": dirText, "oldpath": c.in("ua"), "newdirfd": dirText, "newpath": c.in("ud"), "flags": "RENAME_NOREPLACE"}})
	r.made(event.Mkdirat, unix.EEXIST, "res", sqe{op: 37, fd: cwd, addr: str("ub"), len: 0o700}, told{Args: want{"dirfd": cwdText, "path": c.in("ub"), "mode": "0700"}})
	r.made(event.Symlinkat, nil, "res", sqe{op: 38, fd: at, addr: str("../up"), off: str("us")}, told{
		Args: want{"target": "../up", "linkdirfd": dirText, "linkpath": c.in("us")}})
	r.made(event.Linkat, nil, "res", sqe{op: 39, fd: cwd, addr: str("ub"), off: str("ul"), len: uint32(at)}, told{
		Args: want{"olddir": cwdText, "oldpath": c.in("ub"), "newdir": dirText, "newpath": c.in("ul"), "flags": "0"}})
	r.made(event.Unlinkat, nil, "res", sqe{op: 36, fd: at, addr: str("ul")}, told{Args: want{"dirfd": dirText, "name": c.in("ul"), "flags": "0"}})
	c.requestSockets(r)
}

func (c *caller) requestSockets(r *ring) {
	listener, port := c.bound(unix.SOCK_STREAM)
	r.made(event.Listen, nil, "res", sqe{op: 57, fd: int32(listener), len: 3}, told{
		File: want{"kind": "4", "role": "2", "local": here(port)}, Args: want{"fd": "<4t>" + here(port), "backlog": "3"}})
	client := r.made(event.SocketCall, nil, "fd", sqe{op: 45, fd: unix.AF_INET, off: unix.SOCK_STREAM}, told{
		File: want{"kind": "4"}, Args: want{"fd": "<4t>", "domain": "AF_INET", "type": "1", "proto": "0"}})
	to := uint64(c.put(inet4(port)))
	r.made(event.Connect, nil, "res", sqe{op: 16, fd: int32(client), addr: to, off: 16}, told{
		File: want{"kind": "4", "role": "1", "remote": here(port), "connected": "true"}, Args: want{"tuple": "*", "fd": "*", "addr": here(port)}})
	out := here(portOf(uintptr(client))) + "->" + here(port)
	accepted := r.made(event.Accept4, nil, "fd", sqe{op: 13, fd: int32(listener), opFlags: unix.SOCK_CLOEXEC}, told{
		File: want{"kind": "4", "role": "2", "name": out},
		Args: want{"fd": "<4t>" + out, "tuple": out, "queuepct": "0", "queuelen": "0", "queuemax": "0", "flags": num(uint32(unix.SOCK_CLOEXEC))}})
	r.made(event.Sendto, nil, "res", sqe{op: 26, fd: int32(client), addr: uint64(c.str("hello")), len: 5}, told{
		File: want{"kind": "4", "role": "1", "name": out}, Args: want{"data": "", "fd": "<4t>" + out, "size": "5", "tuple": out}})
	r.made(event.Recvfrom, nil, "res", sqe{op: 27, fd: int32(accepted), addr: uint64(c.put(make([]byte, 3))), len: 3}, told{
		File: want{"kind": "4", "role": "2", "name": out}, Args: want{"data": "", "fd": "<4t>" + out, "size": "3", "tuple": out}})
	into := c.pointers(0, 0, c.pointers(c.put(make([]byte, 9)), 9), 1, 0, 0, 0)
	r.made(event.Recvmsg, nil, "res", sqe{op: 10, fd: int32(accepted), addr: uint64(into), len: 1}, told{
		File: want{"kind": "4", "role": "2", "name": out}, Args: want{"size": "0", "data": "", "fd": "<4t>" + out, "tuple": out, "msgcontrol": ""}})
	other := c.socket(unix.AF_INET, unix.SOCK_STREAM)
	r.made(event.Connect, unix.ECONNREFUSED, "res", sqe{op: 16, fd: int32(other), addr: uint64(c.put(inet4(1))), off: 16}, told{
		File: want{"kind": "4", "role": "1", "remote": here(1), "connected": "false"}, Args: want{"tuple": "*", "fd": "*", "addr": here(1)}})
	loose := c.socket(unix.AF_INET, unix.SOCK_DGRAM)
	message := c.pointers(uintptr(to), 16, c.pointers(c.str("aside"), 5), 1, 0, 0, 0)
	r.made(event.Sendmsg, nil, "res", sqe{op: 9, fd: int32(loose), addr: uint64(message), len: 1}, told{
		File: want{"kind": "4", "l4": "17", "remote": here(port)}, Args: want{"data": "", "fd": "*", "size": "0", "tuple": "*"}})
}
