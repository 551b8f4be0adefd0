package synth

// spawn lets a thread start a program, in its own container, or for a shim in any. It
// gives the new task.
func (s *stream) spawn(u *turn, p *program) *task {
	c := u.who.c
	if c == nil {
		c = s.containers[s.rand.IntN(len(s.containers))]
	}
	return s.spawnIn(u, p, c, nil)
}

// start is how a program starts.
type start struct {
	// tty is the terminal, flags those of the binary, caps the capabilities.
	tty, flags uint32
	caps       uint64
	cwd        string
	rules      []string
}

// spawnIn starts a program in a container; change alters how.
func (s *stream) spawnIn(u *turn, p *program, c *container, change func(*start)) *task {
	parent := u.who
	child := s.newTask(p, parent, c)
	child.uid = c.p.uid
	st := &start{caps: defaultCaps, cwd: c.p.cwd}
	if change != nil {
		change(st)
	}
	child.tty = st.tty
	u.add(
		s.clone(parent, parent, child, child.tid), s.clone(child, parent, child, 0),
		s.entry(evExecve, child, func() { s.str(p.path) }),
		func(cpu uint16) {
			s.begin(cpu, child.tid, evExecve)
			s.i64(0).str(p.exe).raw(words(p.args)).i64(child.tid).i64(child.pid).i64(child.ptid).str(st.cwd).u64(1024)
			s.u64(0).u64(120).u32(4200).u32(900).u32(0) // page faults and memory
			s.str(p.comm).raw(c.cgroup()).raw(environment).u32(st.tty).i64(child.pid).u32(^uint32(0)).u32(st.flags)
			s.u64(0).u64(st.caps).u64(st.caps).u64(uint64(7000 + len(p.path))).u64(bootNS).u64(bootNS)
			s.u32(child.uid).str(p.path).i64(child.pid).u32(child.uid).str(p.path)
			s.emit("execve")
			s.alert(st.rules...)
		},
	)
	return child
}

// clone writes one of the two exits of a clone, of the parent or of the child.
func (s *stream) clone(t, parent, child *task, res int64) step {
	return func(cpu uint16) {
		p := parent.p
		pid, ptid := parent.pid, parent.ptid
		if res == 0 {
			pid, ptid = child.pid, child.ptid
		}
		s.begin(cpu, t.tid, evClone)
		s.i64(res).str(p.exe).raw(words(p.args)).i64(t.tid).i64(pid).i64(ptid).str(p.cwd).i64(1024)
		s.u64(0).u64(40).u32(4200).u32(900).u32(0) // page faults and memory
		s.str(p.comm).raw(t.c.cgroup()).u32(0).u32(t.uid).u32(t.uid).i64(t.tid).i64(pid).u64(0)
		s.emit("clone")
	}
}

func (s *stream) exit(t *task) step {
	return func(cpu uint16) {
		s.begin(cpu, t.tid, evProcExit).i64(0).i64(0).u8(0).u8(0).i64(1)
		s.emit("procexit")
	}
}
