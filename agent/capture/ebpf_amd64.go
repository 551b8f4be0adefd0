//go:build linux

package capture

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/ringbuf"

	"riposte/agent/event"
	"riposte/bpf"
)

const (
	defaultRing = 8 << 20
	// The kernel wakes the reader at most this often for events that are no state
	// events; the reader itself looks again after twice the time.
	wakeInterval = time.Millisecond
	// A quiet reader still looks this often, should a wake-up ever be missed.
	idleLook = 250 * time.Millisecond
	// A reader that is never quiet looks for late requests after so many records.
	lateEvery = 1024
)

// Live is the source of events from this machine's kernel.
type Live struct {
	colls     []*ebpf.Collection
	links     []link.Link
	reader    *ringbuf.Reader
	losses    *ebpf.Map
	shapeMap  *ebpf.Map
	interest  interestMaps
	types     []event.Type // that are wanted
	paths     pathMaps
	shapes    [tableLength]bpf.SyscallWireShape // as the kernel has them
	decode    *decoder
	undecoded atomic.Uint64
	unmatched atomic.Uint64

	mu     sync.Mutex // guards closed and the kernel's objects against Lost after Close
	closed bool
	last   map[string]uint64
}

// Open loads and attaches the programs. From then on events are kept in the ring
// buffer, so a snapshot of the running processes taken between Open and Run misses
// nothing. The error is an *Unavailable where the machine is the cause.
func Open(o Options) (Source, error) {
	if o.RingBytes == 0 {
		o.RingBytes = defaultRing
	}
	if page := os.Getpagesize(); o.RingBytes < page || o.RingBytes&(o.RingBytes-1) != 0 {
		return nil, fmt.Errorf("ring buffer of %d bytes: the size must be a power of two of at least %d", o.RingBytes, page)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Types == nil {
		o.Types = event.Types()
	}
	if err := preflight(o.Log); err != nil {
		return nil, err
	}
	clock, err := newClock()
	if err != nil {
		return nil, err
	}
	s := &Live{decode: newDecoder(clock)}
	if err := s.load(o); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Live) load(o Options) error {
	kind := "typed"
	var err error
	if !o.Raw {
		err = s.attach(o, "_typed")
	}
	if o.Raw || err != nil {
		if err != nil {
			o.Log.Info("typed tracepoints do not load (6.2 or newer has all they need): raw ones are used, which walk a path at about twice the cost", "cause", err)
			s.detach()
		}
		kind = "raw"
		err = s.attach(o, "_raw")
	}
	if err != nil {
		return refused(err)
	}
	s.reader, err = ringbuf.NewReader(s.colls[0].Maps[bpf.SyscallMapEvents])
	if err != nil {
		return fmt.Errorf("ring buffer: %w", err)
	}
	tellKernel(o.Log)
	o.Log.Info("watching the kernel", "programs", kind, "ring_bytes", o.RingBytes)
	return nil
}

// objects are loaded in this order. They share their maps.
var objects = []func() (*ebpf.CollectionSpec, error){bpf.LoadProcess, bpf.LoadFile, bpf.LoadSocket, bpf.LoadSyscall, loadUring}

// handlers are the programs that are reached by tail calls, without the kind.
var handlers = map[string]bpf.SyscallWireHandler{
	"handle_call":   bpf.SyscallWireHandlerHANDLER_CALL,
	"handle_file":   bpf.SyscallWireHandlerHANDLER_FILE,
	"handle_socket": bpf.SyscallWireHandlerHANDLER_SOCKET,
	"handle_change": bpf.SyscallWireHandlerHANDLER_CHANGE,
	"handle_exec":   bpf.SyscallWireHandlerHANDLER_EXEC,
}

// program is one that has a hook of its own.
type program struct {
	*ebpf.Program
	name, tracepoint string
}

// attach loads the programs of one kind from all objects and attaches the process
// programs first: no call's exit is seen before its process's life is.
func (s *Live) attach(o Options, kind string) error {
	shared := map[string]*ebpf.Map{}
	var hooks []program
	for _, load := range objects {
		spec, err := load()
		if errors.Is(err, errNoUring) {
			o.Log.Warn("files and sockets that are used by io_uring are not seen", "cause", err)
			continue
		} else if err != nil {
			return err
		}
		keep(spec, kind)
		spec.Maps[bpf.SyscallMapEvents].MaxEntries = uint32(o.RingBytes)
		if err := configure(spec, o); err != nil {
			return err
		}
		replace := map[string]*ebpf.Map{}
		for name, m := range shared {
			if spec.Maps[name] != nil {
				replace[name] = m
			}
		}
		coll, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{MapReplacements: replace})
		if err != nil {
			return err
		}
		s.colls = append(s.colls, coll)
		for name, m := range coll.Maps {
			if !strings.HasPrefix(name, ".") && shared[name] == nil { // not an object's own variables
				shared[name] = m
			}
		}
		for name, prog := range coll.Programs {
			if _, ok := handlers[strings.TrimSuffix(name, kind)]; !ok {
				hooks = append(hooks, program{prog, name, spec.Programs[name].AttachTo})
			}
		}
	}
	s.losses, s.shapeMap, s.shapes = shared[bpf.SyscallMapLosses], shared[bpf.SyscallMapShapes], [tableLength]bpf.SyscallWireShape{}
	s.interest = interestMaps{masks: shared[bpf.SyscallMapMasks], rounds: shared[bpf.SyscallMapRounds], notes: shared[bpf.SyscallMapNotes]}
	s.paths = pathMaps{prefixes: shared[bpf.FileMapPrefixes], sets: shared[bpf.FileMapByteSets]}
	if err := s.setHandlers(shared[bpf.SyscallMapHandlers], kind); err != nil {
		return err
	}
	if err := s.setTypes(o.Types); err != nil {
		return err
	}
	for _, p := range hooks {
		l, err := hook(p.Program, p.tracepoint)
		if err != nil {
			return fmt.Errorf("attach %s: %w", p.name, err)
		}
		s.links = append(s.links, l)
	}
	return nil
}

// setHandlers fills the table of tail calls.
func (s *Live) setHandlers(table *ebpf.Map, kind string) error {
	for _, coll := range s.colls {
		for name, prog := range coll.Programs {
			slot, ok := handlers[strings.TrimSuffix(name, kind)]
			if !ok {
				continue
			}
			if err := table.Put(uint32(slot), prog); err != nil {
				return fmt.Errorf("tail call to %s: %w", name, err)
			}
		}
	}
	return nil
}

func hook(prog *ebpf.Program, tracepoint string) (link.Link, error) {
	if prog.Type() == ebpf.Tracing {
		return link.AttachTracing(link.TracingOptions{Program: prog})
	}
	return link.AttachRawTracepoint(link.RawTracepointOptions{Name: tracepoint, Program: prog})
}

func (s *Live) detach() {
	for _, l := range s.links {
		l.Close()
	}
	for _, c := range s.colls {
		c.Close()
	}
	s.links, s.colls = nil, nil
}

// Name is "ebpf".
func (s *Live) Name() string { return "ebpf" }

// Run reads until ctx ends or the source is closed.
func (s *Live) Run(ctx context.Context, handle func(*event.Event)) error {
	stop := context.AfterFunc(ctx, func() { _ = s.reader.Flush() })
	defer stop()
	var rec ringbuf.Record
	var e event.Event
	var num uint64
	// The kernel wakes us at most once per interval, so after a wake-up we look again
	// by ourselves until an interval has brought nothing. Only then the next event is
	// sure to wake us and a long sleep is safe.
	look, records := idleLook, 0
	deliver := func() {
		num++
		e.Num = num
		handle(&e)
	}
	late := func() {
		for now := bootNow(); s.decode.late(now, &e); {
			deliver()
		}
	}
	s.reader.SetDeadline(time.Now().Add(look))
	for ctx.Err() == nil {
		err := s.reader.ReadInto(&rec)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			look = 2 * wakeInterval
			if records == 0 {
				look = idleLook
			}
			records = 0
			late()
			s.reader.SetDeadline(time.Now().Add(look))
			continue
		case errors.Is(err, ringbuf.ErrFlushed):
			continue
		case errors.Is(err, ringbuf.ErrClosed):
			return nil
		case err != nil:
			return fmt.Errorf("ring buffer: %w", err)
		}
		records++
		if look == idleLook {
			look = 2 * wakeInterval
			s.reader.SetDeadline(time.Now().Add(look))
		}
		if records%lateEvery == 0 {
			late()
		}
		err = s.decode.record(rec.RawSample, &e)
		s.unmatched.Store(s.decode.pending.unmatched)
		switch {
		case errors.Is(err, errKept):
		case err != nil:
			s.undecoded.Add(1)
		default:
			deliver()
		}
	}
	return nil
}

// Close detaches and unloads everything; nothing is pinned, so nothing stays. It
// may be called while Run runs and more than once.
func (s *Live) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.last = s.lost()
	s.closed = true
	var err error
	if s.reader != nil {
		err = s.reader.Close()
	}
	s.detach()
	return err
}
