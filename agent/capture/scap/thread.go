package scap

import (
	"net/netip"
	"strings"

	"riposte/agent/event"
)

// maxThreads bounds the thread table; Falco's own bound is the same.
const maxThreads = 1 << 18

// proc is a process: what the rules see, and what keeps the tree together.
type proc struct {
	event.Process
	threads int
	// weight is what the arguments and the environment take in memory.
	weight int
	// named is what the names of the users are from.
	named identity
	// parent, and the list of children through first, next and back.
	parent, first, next, back *proc
}

// identity is what the names of a process's users depend on. renamed counts the
// changes of the user lists.
type identity struct {
	container   *event.Container
	renamed     uint64
	user, group uint32
	login       uint32
}

// thread is one entry of the table. Threads of a process share it, and most share
// its descriptors.
type thread struct {
	// What every event looks at comes first, so that it is in one line of the cache.
	tid   int64
	proc  *proc
	fds   *fdTable
	enter entry
	vtid  int64
	// fresh says that the parent's event made the thread and its own is to come.
	fresh bool
}

// entry is a call's entry, kept until its exit.
type entry struct {
	typ *eventType
	n   int
	// bytes are the parameters' lengths, lens bytes of them, and their values.
	bytes []byte
	lens  int
}

// state is everything that the file has told about its machine so far.
type state struct {
	// clock is told of whatever changes what rules see of a process.
	clock   event.Clock
	threads threads
	users   users
	// renamed counts the changes of users, from 1.
	renamed    uint64
	containers containers
	slots      int
	spare      []*object
	seen       seen
	// weight and kept are the bytes of all arguments and environments, and of all
	// entries that wait for their exit.
	weight, kept int
	// serving are the ports that listed sockets listen on.
	serving map[uint16]bool
	// ifaces are the addresses of the machine's interfaces.
	ifaces []netip.Prefix
	// stray serves events of threads that the full table has no room for.
	stray thread
	lost  map[string]uint64
}

// Places where something can be lost.
const (
	lostThread  = "thread_not_kept"
	lostFD      = "fd_not_kept"
	lostEntry   = "call_entry_not_kept"
	lostWords   = "arguments_not_kept"
	lostType    = "event_of_unknown_type"
	lostOwner   = "fd_list_without_process"
	lostOther   = "container_not_understood"
	lostDetails = "container_details_not_kept"
	lostKernel  = "dropped_by_the_recorder"
)

func newState(lost map[string]uint64) *state {
	s := &state{renamed: 1, seen: newSeen(), serving: map[uint16]bool{}, users: users{}, lost: lost}
	s.containers = newContainers(lost, &s.clock)
	return s
}

// find gives the thread of an event. One that nobody announced is known by its
// number alone.
func (s *state) find(tid int64) *thread {
	if t := s.threads.get(tid); t != nil {
		return t
	}
	if s.stray.proc != nil && s.stray.tid == tid {
		return &s.stray
	}
	return s.add(tid, nil)
}

// add makes a thread of a process, or of a new one.
func (s *state) add(tid int64, p *proc) *thread {
	if p == nil {
		p = &proc{}
		p.PID, p.VPID, p.PPID, p.LoginUID = int32(tid), int32(tid), -1, noLogin
		p.UID, p.EUID, p.GID = nobody, nobody, nobody
		p.Container = event.Host
	}
	t := &thread{tid: tid, vtid: tid, proc: p}
	switch {
	case s.threads.get(tid) != nil:
		s.remove(s.threads.get(tid))
	case s.threads.n >= maxThreads:
		s.lost[lostThread]++
		s.release(s.stray.fds)
		s.stray = *t
		s.stray.fds = newFDs()
		return &s.stray
	}
	p.threads++
	t.fds = newFDs()
	s.threads.put(tid, t)
	return t
}

// noLogin is the audit login of who never logged in, nobody the user of a process
// of which nothing is known.
const noLogin, nobody = ^uint32(0), ^uint32(0)

// share gives a thread the descriptors of another, or a copy of them.
func (s *state) share(t, with *thread, shared bool) {
	s.release(t.fds)
	if shared {
		with.fds.refs++
		t.fds = with.fds
		return
	}
	t.fds = s.copyFDs(with.fds)
}

// remove takes a thread out; with its last one the process has ended.
func (s *state) remove(t *thread) {
	if s.threads.get(t.tid) != t {
		return
	}
	s.threads.remove(t.tid)
	s.release(t.fds)
	s.forgetEntry(t)
	t.proc.threads--
	if t.proc.threads > 0 {
		return
	}
	s.end(t.proc, nil)
}

// end gives the children away: to the reaper, or to nobody.
func (s *state) end(p, reaper *proc) {
	p.Exited = true
	s.weight -= p.weight
	p.weight = 0
	for c := p.first; c != nil; c = p.first {
		s.leave(c)
		if reaper != nil && reaper != c && !reaper.under(c) {
			s.join(c, reaper)
		} else {
			c.PPID = 1
		}
	}
	s.leave(p)
}

// adopt links a process to the one that has the parent's thread.
func (s *state) adopt(p *proc, ptid int64) {
	s.leave(p)
	p.PPID = int32(ptid)
	t := s.threads.get(ptid)
	if t == nil || t.proc == p || t.proc.under(p) {
		return
	}
	s.join(p, t.proc)
}

// join makes p a child of parent, which must not be below it.
func (s *state) join(p, parent *proc) {
	s.clock.Adopt(&p.Process, &parent.Process)
	p.parent, p.PPID = parent, parent.PID
	p.next, p.back = parent.first, nil
	if p.next != nil {
		p.next.back = p
	}
	parent.first = p
}

// leave takes p out of its parent's list. Its rules keep seeing the ended parent no
// longer, as in Falco.
func (s *state) leave(p *proc) {
	if p.parent == nil {
		return
	}
	s.clock.Adopt(&p.Process, nil)
	if p.back != nil {
		p.back.next = p.next
	} else {
		p.parent.first = p.next
	}
	if p.next != nil {
		p.next.back = p.back
	}
	p.parent, p.next, p.back = nil, nil, nil
}

// under says whether q is among p's ancestors; a parent below its own child would
// make a ring.
func (p *proc) under(q *proc) bool {
	for a := p.parent; a != nil; a = a.parent {
		if a == q {
			return true
		}
	}
	return false
}

// identify fills in the names of a process's users, after it or its container
// changed.
func (s *state) identify(p *proc) {
	by := identity{p.Container, s.renamed, p.EUID, p.GID, p.LoginUID}
	if p.named == by {
		return
	}
	p.named = by
	s.clock.Changed(&p.Process)
	id := p.Container.ID
	user := s.users.of(id, p.EUID, false)
	p.User, p.Home, p.Shell = user.name, user.home, user.shell
	p.LoginUser, p.Group = "", s.users.name(id, p.GID, true)
	if p.LoginUID != noLogin {
		p.LoginUser = s.users.name(id, p.LoginUID, false)
	}
}

const (
	// maxText is the longest path, list of arguments or environment that is kept: the
	// recorders' own bound.
	maxText = 4096
	// maxWeight bounds all arguments and environments together.
	maxWeight = 256 << 20
	wordBytes = 16
)

// words splits arguments, each ending in NUL.
func words(b []byte) []string {
	b = b[:min(len(b), maxText)]
	if len(b) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(b), "\x00"), "\x00")
}

// setWords gives a process its arguments and environment, or none where all
// processes have too many.
func (s *state) setWords(p *proc, args, env []byte) {
	p.ArgsTruncated = len(args) > maxText
	p.Args, p.Env = s.seen.words(args), s.seen.words(env)
	weight := min(len(args), maxText) + min(len(env), maxText) + wordBytes*(len(p.Args)+len(p.Env))
	if s.weight-p.weight+weight > maxWeight {
		s.lost[lostWords]++
		p.Args, p.Env, weight = nil, nil, 0
	}
	s.weight += weight - p.weight
	p.weight = weight
}
