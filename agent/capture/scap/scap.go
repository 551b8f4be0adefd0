// Package scap is a capture.Source that reads the capture files of Falco and Sysdig.
//
// A file is a row of blocks: what the machine looked like when the recording began
// (processes, descriptors, users), then the events. Blocks are read one at a time and
// events handed over as they come, so a file may be of any size. What an event does
// not say, such as the file behind a descriptor, comes from tables that the events
// themselves keep up to date; nothing is asked of the machine that replays.
//
// Files of all versions since 2016 are read. Older recorders say at a call's entry
// what newer ones say at its exit: an entry is kept and joined with its exit, and
// only the exit is handed over, as the live capture does.
package scap

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"sync"
	"sync/atomic"

	"riposte/agent/event"
)

// Options of Open. The zero value hands over every event.
type Options struct {
	// Types are the events that are handed over; of the others only the effect on the
	// tables is kept. Default: all.
	Types []event.Type
}

// Source replays one file, once.
type Source struct {
	blocks *blocks
	d      decoder
	closed atomic.Bool

	mu   sync.Mutex // guards what follows, which Run copies from the decoder's own
	read uint64
	lost map[string]uint64
}

type block struct {
	kind uint32
	at   int64
	body []byte
}

// Name is "scap".
func (s *Source) Name() string { return "scap" }

// Open checks that r is a capture file, compressed or not. The error is a *Damage if
// it is none.
func Open(r io.Reader, o Options) (*Source, error) {
	b, err := openBlocks(r)
	if err != nil {
		return nil, err
	}
	lost := map[string]uint64{
		lostThread: 0, lostFD: 0, lostEntry: 0, lostWords: 0, lostType: 0, lostOwner: 0, lostOther: 0, lostDetails: 0, lostKernel: 0,
	}
	s := &Source{blocks: b, lost: maps.Clone(lost)}
	s.d = decoder{state: newState(lost), types: eventTypes(), paths: newPaths(), masks: map[maskKey]string{}}
	s.d.fill = s.d.args
	types := o.Types
	if types == nil {
		types = event.Types()
	}
	for _, t := range types {
		s.d.wanted[t] = true
	}
	s.d.needed = s.d.wanted
	for _, t := range telling {
		s.d.needed[t] = true
	}
	for t, kind := range anonymousKinds {
		if kind != 0 {
			s.d.needed[t] = true
		}
	}
	for _, c := range calls() {
		if s.d.wanted[c.typ] {
			s.d.needed[event.Syscall] = true
		}
	}
	s.d.restart()
	kind, at, body, err := b.next()
	switch {
	case errors.Is(err, io.EOF):
		return nil, b.damage(0, "a capture begins with a section header", io.EOF)
	case err != nil && at == 0 && !b.packed:
		return nil, fmt.Errorf("%w (is it a capture file at all?)", err)
	case err != nil:
		return nil, err
	case kind != blockSection:
		return nil, b.damage(at, fmt.Sprintf("a capture begins with a section header, this file with 0x%08x: it is no capture file", kind), nil)
	}
	if err := s.section(block{kind, at, body}); err != nil {
		return nil, err
	}
	return s, nil
}

const byteOrder, newestMajor = 0x1A2B3C4D, 1

func (s *Source) section(b block) error {
	c := &cursor{rest: b.body}
	order, major := c.u32(), c.u16()
	switch {
	case c.short:
		return s.blocks.damage(b.at, fmt.Sprintf("the section header has only %d bytes", len(b.body)), nil)
	case order == 0x4D3C2B1A:
		return s.blocks.damage(b.at, "the capture is from a big-endian machine, which is not supported", nil)
	case order != byteOrder:
		return s.blocks.damage(b.at, fmt.Sprintf("the section header has the mark 0x%08x in place of 0x%08x", order, byteOrder), nil)
	case major > newestMajor:
		return s.blocks.damage(b.at, fmt.Sprintf("the capture has version %d of the format, this program reads %d", major, newestMajor), nil)
	}
	return nil
}

// Read counts the events in the file so far, calls' entries and unknown ones too.
// Any goroutine may call it; during Run the count may be a little old.
func (s *Source) Read() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.read
}

// Lost counts what could not be kept or understood, by place. Any goroutine may call
// it; during Run the counts may be a little old.
func (s *Source) Lost() map[string]uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.lost)
}

// Close ends Run.
func (s *Source) Close() error {
	s.closed.Store(true)
	return nil
}

// checkEvery is after how many blocks Run looks whether it is to end.
const checkEvery = 1024

// Run hands over the events until the file ends. A *Damage says where the file stops
// making sense; what came before it was handed over.
func (s *Source) Run(ctx context.Context, handle func(*event.Event)) error {
	defer s.publish()
	tables := true
	for n := 0; ; n++ {
		if n%checkEvery == 0 {
			if s.closed.Load() || ctx.Err() != nil {
				return nil
			}
			s.publish()
		}
		kind, at, body, err := s.blocks.next()
		if err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if start, header := eventLayout(kind); header > 0 {
			if tables {
				s.d.linked()
				tables = false
			}
			if err := s.d.event(body, start, header, handle); err != nil {
				return s.blocks.damage(at, err.Error(), nil)
			}
			continue
		}
		b := block{kind, at, body}
		if !tables && isTable(kind) {
			// Another capture was put behind this one: it brings tables of its own.
			s.d.state, tables = newState(s.d.lost), true
			s.d.restart()
		}
		if err := s.table(b); err != nil {
			return err
		}
	}
}

func (s *Source) publish() {
	s.mu.Lock()
	s.read = s.d.number
	maps.Copy(s.lost, s.d.lost)
	s.mu.Unlock()
}

func isTable(kind uint32) bool {
	return kind == blockSection || kind == blockMachine || kind == blockFDs1 || kind == blockFDs2 || kind == blockUsers1 || kind == blockUsers2 ||
		kind == blockIfaces1 || kind == blockIfaces2 || procsVersion(kind) > 0
}

// table takes one block of the file's beginning. Kinds that are
// newer than this version are passed over.
func (s *Source) table(b block) error {
	var err error
	switch version := procsVersion(b.kind); {
	case version > 0:
		err = s.d.procs(b.body, version)
	case b.kind == blockSection:
		return s.section(b)
	case b.kind == blockMachine:
		s.d.machine(b.body)
	case b.kind == blockFDs1 || b.kind == blockFDs2:
		err = s.d.fdList(b.body, b.kind == blockFDs2)
	case b.kind == blockIfaces1 || b.kind == blockIfaces2:
		err = s.d.ifaceList(b.body, b.kind == blockIfaces2)
	case b.kind == blockUsers1 || b.kind == blockUsers2:
		err = s.d.userList(b.body, b.kind == blockUsers2)
	}
	if err != nil {
		return s.blocks.damage(b.at, err.Error(), nil)
	}
	return nil
}

// bootAt is where machine info has the boot time, which old files leave 0.
const bootAt = 4 + 8 + 8 + 128

func (d *decoder) machine(body []byte) {
	d.boot = 0
	if len(body) >= bootAt+8 {
		d.boot = binary.LittleEndian.Uint64(body[bootAt:])
	}
}

// event takes one event; an error says what is wrong with it.
func (d *decoder) event(body []byte, start, header int, handle func(*event.Event)) error {
	d.number++
	ok, err := d.head(body, start, header)
	if err != nil || !ok {
		return err
	}
	if d.typ.exit || d.typ.alone {
		d.deliver(handle)
		return nil
	}
	if d.typ.typ == event.Drop {
		d.lost[lostKernel]++
	}
	if d.n > 0 {
		d.thread = d.find(d.tid)
		d.keep()
	}
	return nil
}

// deliver works on one whole event.
func (d *decoder) deliver(handle func(*event.Event)) {
	e := &d.e
	called := call{typ: d.typ.typ}
	if called.typ == event.Syscall {
		called = d.called()
	}
	d.show = d.wanted[called.typ]
	if d.show || d.typ.notice {
		e.Reset()
		e.Num, e.CPU, e.Recorded, e.TimeNS = d.number, d.cpu, true, int64(d.time)
		e.FirstNS, e.LastNS = int64(d.first), int64(d.last)
	}
	typ := d.typ.typ
	e.Type, e.KernelNS = typ, d.time
	if d.boot > 0 && d.boot < d.time {
		e.KernelNS = d.time - d.boot
	}
	if d.typ.notice {
		if known, show := d.notice(e); known {
			if show && d.wanted[e.Type] {
				d.hand(e, handle)
			}
			return
		}
	}
	d.thread = d.find(d.tid)
	d.complete()
	e.Ret = d.or(pRes, d.result())
	d.apply(e)
	if d.show {
		p := d.thread.proc
		d.identify(p)
		e.Proc = &p.Process
		e.Type, e.Call, e.Data, e.Files = called.typ, called.name, d.buffer(), d.thread.fds
		p.Threads = int32(p.threads)
		d.hand(e, handle)
	}
	switch typ {
	case event.Close:
		if e.Ret >= 0 {
			d.drop(d.thread.fds, d.or(pFD, -1))
		}
	case event.ProcExit:
		d.exited()
	}
}

// result is what a call without a parameter "res" returned: a descriptor.
func (d *decoder) result() int64 {
	if d.typ.at[pFD] == 0 {
		return d.or(pFD, 0)
	}
	return 0
}

// buffer is what a call read or wrote, as much of it as the recorder kept.
func (d *decoder) buffer() []byte {
	if i := d.typ.at[pData]; i >= 0 && d.typ.params[i].kind == kindBytes {
		return d.at(int(i))
	}
	return nil
}

func (d *decoder) hand(e *event.Event, handle func(*event.Event)) {
	p := e.Proc
	e.Task = event.Task{
		PID: p.PID, TID: int32(d.tid), VTID: int32(d.thread.vtid), PPID: p.PPID, StartNS: p.StartNS, UID: p.UID, GID: p.GID, Comm: p.Comm, CgroupID: p.Container.CgroupID,
	}
	e.Fill, e.Clock = d.fill, &d.clock
	handle(e)
	d.forget()
}

// notice takes events that are about the machine, not about a process. Users and
// groups are never shown; a container is when no process of it was seen before, as in
// Falco.
func (d *decoder) notice(e *event.Event) (notice, show bool) {
	switch e.Type {
	case event.Useradded, event.Groupadded:
		group := e.Type == event.Groupadded
		id := pUID
		if group {
			id = pGID
		}
		d.renamed++
		d.users.add(d.text(pContainerID), uint32(d.or(id, 0)), group, account{d.text(pName), d.text(pHome), d.text(pShell)})
		return true, false
	case event.Userdeleted, event.Groupdeleted:
		return true, false
	case event.ContainerAdded:
		return true, d.container(e, d.val(pJSON))
	case event.Asyncevent:
		if d.text(pName) != "container" {
			break
		}
		e.Type = event.ContainerAdded
		return true, d.container(e, d.val(pData))
	}
	return false, false
}

func (d *decoder) container(e *event.Event, text []byte) bool {
	if n := len(text); n > 0 && text[n-1] == 0 {
		text = text[:n-1]
	}
	before := len(d.containers.byID)
	c, err := d.containers.describe(text)
	if err != nil {
		d.lost[lostOther]++
		return false
	}
	d.thread = &thread{proc: &proc{}, fds: newFDs()}
	p := &d.thread.proc.Process
	p.Comm, p.LoginUID, p.Container = "container:"+c.ShortID(), noLogin, c
	e.Proc = p
	return len(d.containers.byID) > before
}
