package synth

// tables writes what stands before the events.
func (s *stream) tables() {
	var b buffer
	b.u32(0x1A2B3C4D)
	b.u16(1)
	b.u16(2)
	b.u64(^uint64(0))
	s.block(blockSection, b)

	b = nil
	b.u32(processors)
	b.u64(64 << 30)
	b.u64(1 << 22)
	host := make(buffer, 128)
	copy(host, "node-7.example.com")
	b = append(b, host...)
	b.u64(bootNS)
	b.zeros(3 * 8)
	s.block(blockMachine, b)

	s.block(blockIfaces, interfaces())
	s.block(blockUsers, users())
	b = nil
	for _, t := range s.listed {
		b.entry(t.listing())
		if len(b) > 1<<20 {
			s.block(blockProcs, b)
			b = nil
		}
	}
	s.block(blockProcs, b)
	for _, t := range s.listed {
		if t.tid == t.pid {
			s.block(blockFDs, t.descriptors())
		}
	}
}

func interfaces() buffer {
	var b buffer
	for _, i := range []struct {
		name      string
		addr      [4]byte
		broadcast byte
	}{{"lo", [4]byte{127, 0, 0, 1}, 0}, {"eth0", [4]byte{10, 0, 0, 7}, 255}, {"cni0", [4]byte{10, 244, 0, 1}, 255}} {
		var e buffer
		e.u16(1) // IPv4 with its mask and its broadcast address
		e.u16(uint16(len(i.name)))
		e = append(e, i.addr[:]...)
		e = append(e, 255, 255, 255, 0)
		e = append(e, i.addr[0], i.addr[1], i.addr[2], i.broadcast)
		e.u64(10_000)
		e = append(e, i.name...)
		b.u32(uint32(len(e))) // does not count itself
		b = append(b, e...)
	}
	return b
}

func users() buffer {
	var b buffer
	for _, u := range []struct {
		id                uint32
		name, home, shell string
	}{
		{0, "root", "/root", "/bin/bash"},
		{1, "daemon", "/usr/sbin", "/usr/sbin/nologin"},
		{998, "node-exp", "/nonexistent", "/usr/sbin/nologin"},
		{1000, "ada", "/home/ada", "/bin/bash"},
		{65534, "nobody", "/nonexistent", "/usr/sbin/nologin"},
	} {
		var e buffer
		e.u8(0)
		e.u32(u.id)
		e.u32(u.id)
		e.text(u.name)
		e.text(u.home)
		e.text(u.shell)
		b.entry(e)
		e = nil
		e.u8(1)
		e.u32(u.id)
		e.text(u.name)
		b.entry(e)
	}
	return b
}

// environment is every process's own.
var environment = words([]string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "HOME=/root", "POD_IP=10.244.0.9"})

// listing is the process list's entry, in its ninth layout.
func (t *task) listing() buffer {
	var e buffer
	for _, n := range []int64{t.tid, t.pid, t.ptid, 1, t.pid} { // the last two: session and process group
		e.i64(n)
	}
	e.text(t.p.comm)
	e.text(t.p.exe)
	e.text(t.p.path)
	e.text(words(t.p.args))
	e.text(t.p.cwd)
	e.u64(1024)
	e.u32(0)
	e.u32(t.uid)
	e.u32(t.uid)
	e.zeros(3*4 + 2*8) // memory and page faults
	e.text(environment)
	e.i64(t.tid) // in its own namespace
	e.i64(t.pid)
	e.text(t.c.cgroup())
	e.text("/")
	e.u64(0) // the namespace's start
	e.u32(t.tty)
	e.u32(^uint32(0)) // nobody logged in
	e.u8(0)
	for range 3 {
		e.u64(defaultCaps)
	}
	e.u8(0)
	e.u64(uint64(1000 + t.pid%97)) // the binary's inode and its times
	e.u64(bootNS)
	e.u64(bootNS)
	e.u8(0)
	e.u8(1)
	e.i64(t.pid)
	return e
}

// defaultCaps are those of an ordinary container.
const defaultCaps = 0xa80425fb

// descriptors are the standard ones.
func (t *task) descriptors() buffer {
	var b buffer
	b.i64(t.tid)
	for fd := range int64(firstFD) {
		var e buffer
		e.i64(fd)
		e.u64(uint64(5 + fd))
		if fd == 0 || t.c == nil {
			e.u8(16) // a file with its flags
			e.u32(openRead)
			e.text("/dev/null")
			e.u32(6)
		} else {
			e.u8(7) // a pipe
			e.text("pipe:[" + t.p.comm + "]")
		}
		b.entry(e)
	}
	return b
}
