package synth

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// processors run threads side by side.
const processors = 16

// stream makes the events.
type stream struct {
	*writer
	rand       *rand.Rand
	sum        Summary
	most       int
	nextTID    int64
	nextIno    uint64
	listed     []*task
	born       []*task
	containers []*container
	attacks    int
}

// step writes one event.
type step func(cpu uint16)

// turn is what one thread does before its processor takes another.
type turn struct {
	steps []step
	who   *task
	// born is a process that the turn leaves behind.
	born *task
}

func (u *turn) add(steps ...step) { u.steps = append(u.steps, steps...) }

// run writes the events: first what the runtime says about each container.
func (s *stream) run() {
	s.time = beginNS
	for i, c := range s.containers {
		if s.events == s.most {
			break
		}
		s.begin(0, 0, evContainer).str(c.json(i))
		s.emit("container")
	}
	var cpus [processors]turn
	for s.events < s.most {
		cpu := s.rand.IntN(processors)
		u := &cpus[cpu]
		if len(u.steps) == 0 {
			if u.who != nil {
				u.who.busy = false
			}
			if u.born != nil {
				s.born = append(s.born, u.born)
			}
			*u = s.next()
		}
		u.steps[0](uint16(cpu))
		u.steps = u.steps[1:]
	}
}

// emit ends an event under Falco's name; an entry has none.
func (s *stream) emit(name string) {
	s.time += 200 + s.rand.Uint64N(3000)
	s.end()
	if name != "" {
		s.sum.ByType[name]++
	}
}

// idle finds a thread that no processor runs: mostly a few busy ones. On a small node
// it may be that nobody suits, and it is nil.
func (s *stream) idle(suits func(*task) bool) *task {
	free := func(t *task) bool { return !t.busy && suits(t) }
	if !slices.ContainsFunc(s.listed, free) && !slices.ContainsFunc(s.born, free) {
		return nil
	}
	for {
		list := s.listed
		if len(s.born) > 0 && s.rand.IntN(5) == 0 {
			list = s.born
		}
		x := s.rand.Float64()
		if t := list[int(x*x*float64(len(list)))]; free(t) {
			t.busy = true
			return t
		}
	}
}

// kinds are the turns that not every thread takes, with their shares of a thousand.
var kinds = []struct {
	share int
	suits func(*task) bool
	do    func(*stream, *turn)
}{
	{122, func(t *task) bool { return t.p.calls }, (*stream).connects},
	{97, func(t *task) bool { return t.p.serves }, (*stream).accepts},
	{62, func(t *task) bool { return t.p.starts && t.pid == t.tid }, (*stream).starts},
	{118, func(t *task) bool { return t.c != nil }, (*stream).other},
}

// next decides what a processor does: what nobody can do now, and all the rest, is a
// file that is opened. There are more threads than processors for that.
func (s *stream) next() turn {
	var u turn
	n := s.rand.IntN(1000)
	for _, k := range kinds {
		if n -= k.share; n >= 0 {
			continue
		}
		if u.who = s.idle(k.suits); u.who != nil {
			k.do(s, &u)
			return u
		}
		break
	}
	u.who = s.idle(func(*task) bool { return true })
	s.file(&u, s.path(u.who))
	return u
}

// path is a file that the thread's program uses.
func (s *stream) path(t *task) string {
	list := t.p.paths
	if len(list) == 0 {
		list = usual
	}
	p := list[s.rand.IntN(len(list))]
	if strings.Contains(p, "%d") {
		p = fmt.Sprintf(p, 1+s.rand.IntN(t.p.span))
	}
	return p
}

// usual are the files of a program that has no list.
var usual = []string{
	"/etc/ld.so.cache", "/lib/x86_64-linux-gnu/libc.so.6", "/etc/passwd", "/etc/nsswitch.conf", "/usr/lib/locale/locale-archive", "/proc/self/maps",
	"/etc/resolv.conf", "/etc/hosts", "/usr/share/ca-certificates/mozilla/ISRG_Root_X1.crt", "/dev/null", "/lib/x86_64-linux-gnu/libz.so.1",
}

// file opens a file, sometimes reads it, and closes it. One open in forty fails.
func (s *stream) file(u *turn, path string) {
	if s.rand.IntN(40) == 0 {
		u.add(s.openEntry(u.who, path, openRead|openCloexec), s.openExit(u.who, path, openRead|openCloexec, new(int64), true, ""))
		return
	}
	flags := uint32(openRead | openCloexec)
	if s.rand.IntN(10) == 0 {
		flags = openWrite | openCreate | openCloexec
	}
	var fd int64
	u.add(s.openEntry(u.who, path, flags), s.openExit(u.who, path, flags, &fd, false, ""))
	if s.rand.IntN(7) == 0 {
		s.read(u, &fd)
	}
	s.close(u, &fd)
	if s.rand.IntN(40) == 0 {
		s.closeNothing(u)
	}
}

func (s *stream) connects(u *turn) {
	to := [4]byte{10, 244, byte(s.rand.IntN(2)), byte(s.rand.IntN(250))}
	port := [...]uint16{80, 443, 5432, 6379, 8080, 9090, 50051}[s.rand.IntN(7)]
	s.client(u, to, port)
}

// starts makes a new process of a program, or of an attack.
func (s *stream) starts(u *turn) {
	if s.rand.IntN(startsPerAttack) == 0 {
		s.attack(u)
		return
	}
	p := starters[s.rand.IntN(len(starters))]
	child := s.spawn(u, p)
	own := *u
	own.who = child
	for range 2 {
		s.file(&own, usual[s.rand.IntN(len(usual))])
	}
	if s.rand.IntN(14) == 0 {
		own.add(s.exit(child))
	} else {
		u.born = child
	}
	u.steps = own.steps
}

// other are the calls that are rare: renames, removals, duplicates, links.
func (s *stream) other(u *turn) {
	dir := u.who.p.cwd + "/tmp"
	n := s.rand.IntN(1 << 20)
	switch s.rand.IntN(20) {
	case 0:
		u.add(s.symlink(u.who, fmt.Sprintf("../releases/%d", n), dir+"/current", "")...)
	case 1:
		u.add(s.link(u.who, fmt.Sprintf("%s/%d", dir, n), fmt.Sprintf("%s/%d.bak", dir, n), "")...)
	case 2, 3, 4, 5:
		s.duplicate(u, n)
	case 6, 7, 8, 9, 10, 11:
		u.add(s.unlink(u.who, fmt.Sprintf("%s/%d.tmp", dir, n))...)
	case 12:
		u.add(s.ptrace(u.who, ptraceCont, "")...)
	default:
		u.add(s.rename(u.who, fmt.Sprintf("%s/%d.tmp", dir, n), fmt.Sprintf("%s/%d", dir, n))...)
	}
}
