package synth

// Event numbers.
const (
	evClose     = 5
	evRead      = 7
	evSocket    = 19
	evConnect   = 23
	evPtrace    = 169
	evSymlinkat = 181
	evProcExit  = 186
	evClone     = 223
	evExecve    = 293
	evUnlinkat  = 303
	evOpenat    = 307
	evLinkat    = 311
	evRenameat2 = 319
	evContainer = 324
	evDup2      = 363
	evAccept4   = 389
)

// Values of the format.
const (
	openRead    = 1
	openWrite   = 2
	openCreate  = 4
	openTrunc   = 1 << 8
	openCloexec = 1 << 12
	atCWD       = -100
	noFile      = -2
	badFD       = -9
	inet        = 2
	packet      = 17
	streaming   = 1
	rawSocket   = 3

	ptraceCont   = 8
	ptraceAttach = 11
)

// entry writes the entry of a call whose exit has the number.
func (s *stream) entry(num uint16, t *task, params func()) step {
	return func(cpu uint16) {
		s.begin(cpu, t.tid, num-1)
		if params != nil {
			params()
		}
		s.emit("")
	}
}

// alert counts what a rule will find, when the event has been written.
func (s *stream) alert(rules ...string) {
	for _, rule := range rules {
		if rule != "" {
			s.sum.Alerts[rule]++
		}
	}
}

func (s *stream) openEntry(t *task, path string, flags uint32) step {
	return s.entry(evOpenat, t, func() { s.i64(atCWD).str(path).u32(flags).u32(0o644) })
}

// openExit writes an open's exit and tells its descriptor.
func (s *stream) openExit(t *task, path string, flags uint32, fd *int64, fails bool, rule string) step {
	return func(cpu uint16) {
		*fd = noFile
		ino := uint64(0)
		if !fails {
			*fd = t.take()
			s.nextIno++
			ino = s.nextIno
		}
		s.begin(cpu, t.tid, evOpenat).i64(*fd).i64(atCWD).str(path).u32(flags).u32(0o644).u32(0x801).u64(ino)
		s.emit("openat")
		s.alert(rule)
	}
}

func (s *stream) read(u *turn, fd *int64) {
	t := u.who
	u.add(s.entry(evRead, t, func() { s.i64(*fd).u32(4096) }), func(cpu uint16) {
		s.begin(cpu, t.tid, evRead).i64(80).raw("some eighty bytes of what stands in the file, as far as the recorder keeps it").i64(*fd).u32(4096)
		s.emit("read")
	})
}

func (s *stream) close(u *turn, fd *int64) {
	t := u.who
	u.add(s.entry(evClose, t, func() { s.i64(*fd) }), func(cpu uint16) {
		s.begin(cpu, t.tid, evClose).i64(0).i64(*fd)
		s.emit("close")
		t.give(*fd)
	})
}

// closeNothing closes a descriptor that is not open, as many programs do.
func (s *stream) closeNothing(u *turn) {
	t := u.who
	u.add(s.entry(evClose, t, func() { s.i64(1000) }), func(cpu uint16) {
		s.begin(cpu, t.tid, evClose).i64(badFD).i64(1000)
		s.emit("close")
	})
}

// tuple is a socket's source and destination.
func tuple(from [4]byte, fromPort uint16, to [4]byte, toPort uint16) string {
	b := buffer{inet}
	b = append(b, from[:]...)
	b.u16(fromPort)
	b = append(b, to[:]...)
	b.u16(toPort)
	return string(b)
}

// nodeIP is the node's own address.
var nodeIP = [4]byte{10, 0, 0, 7}

// client makes a socket, connects and closes it.
func (s *stream) client(u *turn, to [4]byte, port uint16) {
	var fd int64
	u.add(s.socket(u.who, &fd, inet, streaming, "")...)
	u.add(s.connect(u.who, &fd, to, port)...)
	s.close(u, &fd)
}

func (s *stream) socket(t *task, fd *int64, domain, typ uint32, rule string) []step {
	return []step{s.entry(evSocket, t, func() { s.u32(domain).u32(typ).u32(0) }), func(cpu uint16) {
		*fd = t.take()
		s.begin(cpu, t.tid, evSocket).i64(*fd).u32(domain).u32(typ).u32(0).u32(0)
		s.emit("socket")
		s.alert(rule)
	}}
}

func (s *stream) connect(t *task, fd *int64, to [4]byte, port uint16) []step {
	addr := buffer{inet}
	addr = append(addr, to[:]...)
	addr.u16(port)
	from := uint16(32768 + s.rand.IntN(28000))
	return []step{s.entry(evConnect, t, func() { s.i64(*fd).raw(string(addr)) }), func(cpu uint16) {
		s.begin(cpu, t.tid, evConnect).i64(0).raw(tuple(nodeIP, from, to, port)).i64(*fd).raw(string(addr))
		s.emit("connect")
	}}
}

// accepts serves one caller.
func (s *stream) accepts(u *turn) {
	t := u.who
	var fd int64
	from, port := [4]byte{10, 244, 1, byte(s.rand.IntN(250))}, uint16(32768+s.rand.IntN(28000))
	u.add(s.entry(evAccept4, t, func() { s.u32(0) }), func(cpu uint16) {
		fd = t.take()
		s.begin(cpu, t.tid, evAccept4).i64(fd).raw(tuple(from, port, nodeIP, 8080)).u8(0).u32(0).u32(4096).u32(0)
		s.emit("accept4")
	})
	s.close(u, &fd)
}

func (s *stream) symlink(t *task, target, path, rule string) []step {
	return []step{s.entry(evSymlinkat, t, nil), func(cpu uint16) {
		s.begin(cpu, t.tid, evSymlinkat).i64(0).str(target).i64(atCWD).str(path)
		s.emit("symlinkat")
		s.alert(rule)
	}}
}

func (s *stream) link(t *task, from, to, rule string) []step {
	return []step{s.entry(evLinkat, t, nil), func(cpu uint16) {
		s.begin(cpu, t.tid, evLinkat).i64(0).i64(atCWD).str(from).i64(atCWD).str(to).u32(0)
		s.emit("linkat")
		s.alert(rule)
	}}
}

func (s *stream) unlink(t *task, path string) []step {
	return []step{s.entry(evUnlinkat, t, nil), func(cpu uint16) {
		s.begin(cpu, t.tid, evUnlinkat).i64(0).i64(atCWD).str(path).u32(0)
		s.emit("unlinkat")
	}}
}

func (s *stream) rename(t *task, from, to string) []step {
	return []step{s.entry(evRenameat2, t, nil), func(cpu uint16) {
		s.begin(cpu, t.tid, evRenameat2).i64(0).i64(atCWD).str(from).i64(atCWD).str(to).u32(0)
		s.emit("renameat2")
	}}
}

func (s *stream) ptrace(t *task, request uint16, rule string) []step {
	return []step{s.entry(evPtrace, t, func() { s.u16(request).i64(t.ptid) }), func(cpu uint16) {
		s.begin(cpu, t.tid, evPtrace).i64(0).raw("\x00\x00").raw("\x00\x00").u16(request).i64(t.ptid)
		s.emit("ptrace")
		s.alert(rule)
	}}
}

// duplicate puts a file at another number, away from the standard ones.
func (s *stream) duplicate(u *turn, n int) {
	t, to := u.who, int64(100+n%50)
	u.add(s.dup(t, new(int64), to, ""))
	s.close2(u, to)
}

func (s *stream) dup(t *task, from *int64, to int64, rule string) step {
	return func(cpu uint16) {
		s.begin(cpu, t.tid, evDup2).i64(to).i64(*from).i64(to)
		s.emit("dup2")
		s.alert(rule)
	}
}

// close2 closes a number that take did not give.
func (s *stream) close2(u *turn, fd int64) {
	t := u.who
	u.add(s.entry(evClose, t, func() { s.i64(fd) }), func(cpu uint16) {
		s.begin(cpu, t.tid, evClose).i64(0).i64(fd)
		s.emit("close")
	})
}
