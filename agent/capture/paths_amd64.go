//go:build linux

package capture

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"

	"riposte/agent/event"
	"riposte/bpf"
)

// pathMaps are those of headers/paths.h.
type pathMaps struct {
	prefixes, sets *ebpf.Map
	// types are the opens that are asked for their path, there are the prefixes that the
	// kernel has.
	types []event.Type
	there []bpf.SyscallWirePrefix
}

// SetPaths has the kernel leave out opens for reading whose path has nothing of what a
// rule can match, once the process has shown some of them. It holds only where changes
// are counted (VoidInterest), and only for an open whose argument is the file's own
// path. No types: all are told. After an error all are, too.
func (s *Live) SetPaths(p event.Paths) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.paths.types = nil
	if err := s.setTypes(s.types); err != nil || len(p.Types) == 0 {
		return err
	}
	if err := s.paths.set(p); err != nil {
		return fmt.Errorf("path filter: %w", err)
	}
	s.paths.types = p.Types
	return s.setTypes(s.types)
}

// set puts other prefixes and sets in the place of those that are there. Nobody asks for
// them meanwhile.
func (m *pathMaps) set(p event.Paths) error {
	const most = int(bpf.SyscallWirePathsPATH_SETS)
	if len(p.Bytes) > most {
		return fmt.Errorf("%d sets of bytes, the kernel takes %d", len(p.Bytes), most)
	}
	for _, old := range m.there {
		if err := m.prefixes.Delete(old); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return err
		}
	}
	m.there = m.there[:0]
	for _, text := range p.Prefixes {
		var key bpf.SyscallWirePrefix
		n := min(len(text), len(key.Text)) // a shorter one is found at the start of more paths
		for i := range n {
			key.Text[i] = text[i]
		}
		key.Bits = uint32(n) * 8
		if err := m.prefixes.Put(key, uint8(1)); err != nil {
			return err
		}
		m.there = append(m.there, key)
	}
	for i := range most {
		set := uint64(0)
		if i < len(p.Bytes) {
			set = p.Bytes[i]
		}
		if err := m.sets.Put(uint32(i), set); err != nil {
			return err
		}
	}
	return nil
}

// PassedBy counts opens that the kernel has left out for their path, which are no loss.
// It is 0 after Close.
func (s *Live) PassedBy() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0
	}
	return sum(s.interest.notes, uint32(bpf.SyscallWireNoteNOTE_PATH))
}
