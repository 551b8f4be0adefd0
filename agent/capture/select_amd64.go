//go:build linux

package capture

import (
	"fmt"
	"slices"

	"riposte/agent/event"
	"riposte/bpf"
)

// Parts of the kernel's table of shapes.
const (
	table64     = int(bpf.SyscallWireTableTABLE_64)
	table32     = int(bpf.SyscallWireTableTABLE_32)
	tableMux    = int(bpf.SyscallWireTableTABLE_SOCKETCALL)
	tableLength = int(bpf.SyscallWireTableTABLE_END)
)

// SetTypes says which types of events are wanted; others cost one look at a table in
// the kernel from then on. Types of the state set are always reported, and unknown or
// uncaptured ones ignored. It may be called while Run runs.
func (s *Live) SetTypes(types []event.Type) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	return s.setTypes(types)
}

func (s *Live) setTypes(types []event.Type) error {
	s.types = types
	want := shapesOf(types, s.paths.types)
	for i := range want {
		if want[i] == s.shapes[i] {
			continue
		}
		if err := s.shapeMap.Put(uint32(i), want[i]); err != nil {
			return fmt.Errorf("type filter: %w", err)
		}
		s.shapes[i] = want[i]
	}
	return nil
}

// asks are types whose events say which end of its connection a socket is, or what
// passes through it: for them the calls that make it one end or the other are
// followed.
var asks = []event.Type{
	event.Sendto, event.Sendmsg, event.Recvfrom, event.Recvmsg, event.Sendmmsg, event.Recvmmsg, event.Dup, event.Dup2, event.Dup3, event.Accept, event.Accept4, event.Listen,
}

// shapesOf is the table for the wanted types, of which some are asked for their path.
func shapesOf(types, paths []event.Type) (table [tableLength]bpf.SyscallWireShape) {
	var wanted [256]bool
	for _, t := range types {
		wanted[t] = true
	}
	roles := false
	for _, t := range asks {
		roles = roles || wanted[t]
	}
	for i := range calls {
		c := &calls[i]
		shape := callTypes[c.typ].shape
		shape.Special, shape.Flags = c.special, c.flags
		switch {
		case wanted[c.typ] && c.tier == stateTier:
			shape.Flags |= uint8(bpf.SyscallWireShapeFlagSHAPE_ALL)
		case wanted[c.typ], c.tier == stateTier:
		case roles && (c.special == connect || c.special == accept || c.special == listen):
			shape.Flags |= uint8(bpf.SyscallWireShapeFlagSHAPE_QUIET)
		default:
			continue
		}
		if roles && c.special >= connect {
			shape.Flags |= uint8(bpf.SyscallWireShapeFlagSHAPE_ROLE)
		}
		if slices.Contains(paths, c.typ) {
			shape.Flags |= uint8(bpf.SyscallWireShapeFlagSHAPE_PATHS)
		}
		for _, at := range []struct{ part, nr int }{{table64, c.nr}, {table32, c.compat}, {tableMux, c.mux}} {
			if at.nr != none {
				table[at.part+at.nr] = shape
			}
		}
		for _, r := range requests {
			if r.typ == c.typ && c.nr != none {
				table[tableUring+r.op] = shape
			}
		}
		if c.mux != none { // any of them can come by socketcall
			table[table32+compatSocketcall] = bpf.SyscallWireShape{Call: uint8(c.typ), Flags: uint8(bpf.SyscallWireShapeFlagSHAPE_MULTIPLEX), Tier: normalTier}
		}
	}
	return table
}

// Captured lists the types of system calls that are captured here.
func Captured() []event.Type {
	var types []event.Type
	for t, c := range callTypes {
		if c != nil {
			types = append(types, event.Type(t))
		}
	}
	return types
}
