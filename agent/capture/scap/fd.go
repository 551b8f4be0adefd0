package scap

import (
	"bytes"
	"maps"
	"slices"

	"riposte/agent/event"
)

const (
	// maxSlots bounds the descriptors of all processes together.
	maxSlots = 1 << 22
	// smallFDs are kept in a slice, the others in a map; no more than closing has bits.
	smallFDs = 64
)

// object is what a descriptor stands for. Descriptors made by dup or fork share it.
type object struct {
	event.File
	// refs are the descriptors; an object that lost its last one is used again.
	refs int32
	// unnamed says that the socket's tuple changed and its name was not asked for since.
	unnamed bool
}

// title is the object's name. Sockets get theirs when somebody asks.
func (o *object) title() string {
	if o.unnamed {
		o.Name, o.unnamed = o.tuple(), false
	}
	return o.Name
}

// maxSpare bounds the objects that are kept to be used again.
const maxSpare = 1 << 12

// object gives an empty object.
func (s *state) object() *object {
	n := len(s.spare)
	if n == 0 {
		return &object{}
	}
	o := s.spare[n-1]
	s.spare = s.spare[:n-1]
	return o
}

// unref takes a descriptor from an object.
func (s *state) unref(o *object) {
	if o.refs--; o.refs == 0 && len(s.spare) < maxSpare {
		*o = object{}
		s.spare = append(s.spare, o)
	}
}

// fdTable is a process's descriptors. Threads, and with CLONE_FILES processes, share
// one.
type fdTable struct {
	// small begins in first, which most processes never outgrow.
	small []*object
	first [8]*object
	// closing has a bit for each descriptor in small that an exec closes.
	closing uint64
	large   map[int64]fdSlot
	n, refs int
}

// fdSlot is a descriptor that is not small. closes says that an exec closes it.
type fdSlot struct {
	o      *object
	closes bool
}

func newFDs() *fdTable {
	t := &fdTable{refs: 1}
	t.small = t.first[:0]
	return t
}

func (t *fdTable) get(fd int64) *object {
	if uint64(fd) < uint64(len(t.small)) {
		return t.small[fd]
	}
	if t.large == nil {
		return nil
	}
	return t.large[fd].o
}

// set puts an object at a number; the one that was there is closed.
func (s *state) set(t *fdTable, fd int64, o *object, closes bool) {
	if fd < 0 {
		return
	}
	if before := t.get(fd); before == nil {
		if s.slots >= maxSlots {
			s.lost[lostFD]++
			return
		}
		s.slots++
		t.n++
		o.refs++
	} else if before != o {
		o.refs++
		s.unref(before)
	}
	if fd >= smallFDs {
		if t.large == nil {
			t.large = map[int64]fdSlot{}
		}
		t.large[fd] = fdSlot{o, closes}
		return
	}
	for int64(len(t.small)) <= fd {
		t.small = append(t.small, nil)
	}
	t.small[fd] = o
	t.closing &^= 1 << fd
	if closes {
		t.closing |= 1 << fd
	}
}

func (s *state) drop(t *fdTable, fd int64) {
	o := t.get(fd)
	if o == nil {
		return
	}
	s.unref(o)
	s.slots--
	t.n--
	if fd < int64(len(t.small)) {
		t.small[fd] = nil
		return
	}
	delete(t.large, fd)
}

// closeOnExec is what an exec does to a table.
func (s *state) closeOnExec(t *fdTable) {
	for fd := range t.small {
		if t.closing&(1<<fd) != 0 {
			s.drop(t, int64(fd))
		}
	}
	for fd, f := range t.large {
		if f.closes {
			s.drop(t, fd)
		}
	}
}

func (s *state) copyFDs(t *fdTable) *fdTable {
	c := newFDs()
	if s.slots+t.n > maxSlots {
		s.lost[lostFD] += uint64(t.n)
		return c
	}
	s.slots += t.n
	c.n = t.n
	used := len(t.small)
	for used > 0 && t.small[used-1] == nil {
		used--
	}
	c.small, c.closing = append(c.small, t.small[:used]...), t.closing
	if len(t.large) > 0 {
		c.large = maps.Clone(t.large)
	}
	c.each(func(o *object) { o.refs++ })
	return c
}

// each calls visit with every descriptor's object.
func (t *fdTable) each(visit func(*object)) {
	for _, o := range t.small {
		if o != nil {
			visit(o)
		}
	}
	for _, f := range t.large {
		visit(f.o)
	}
}

// release lets go of a table; the last user takes its descriptors along.
func (s *state) release(t *fdTable) {
	if t == nil {
		return
	}
	t.refs--
	if t.refs == 0 {
		t.each(s.unref)
		s.slots -= t.n
		t.n = 0
	}
}

// File is event.Files'.
func (t *fdTable) File(fd int64) (event.File, bool) {
	o := t.get(fd)
	if o == nil {
		return event.File{}, false
	}
	o.title()
	f := o.File
	f.Num = fd
	return f, true
}

// Kinds is event.Files'.
func (t *fdTable) Kinds() []byte {
	var kinds []byte
	note := func(o *object) {
		if !bytes.Contains(kinds, []byte{o.Kind}) {
			kinds = append(kinds, o.Kind)
		}
	}
	for _, o := range t.small {
		if o != nil {
			note(o)
		}
	}
	for _, fd := range slices.Sorted(maps.Keys(t.large)) {
		note(t.large[fd].o)
	}
	return kinds
}

// Len is event.Files'.
func (t *fdTable) Len() int { return t.n }

// setCloses changes what an exec does to one descriptor (fcntl F_SETFD).
func (t *fdTable) setCloses(fd int64, closes bool) {
	if uint64(fd) < uint64(len(t.small)) {
		if t.closing &^= 1 << fd; closes {
			t.closing |= 1 << fd
		}
	} else if f, ok := t.large[fd]; ok {
		f.closes = closes
		t.large[fd] = f
	}
}
