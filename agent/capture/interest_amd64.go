//go:build linux

package capture

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"

	"riposte/bpf"
)

// interestMaps are those of headers/interest.h that user space has a part in.
type interestMaps struct {
	masks, rounds, notes *ebpf.Map
	round                uint32
}

// SetInterest has the kernel leave out events of a process. It has no effect if the
// process has changed since, nor after an error, as where the kernel has as many masks
// as it takes (32,768). VoidInterest must have been called once.
func (s *Live) SetInterest(i *Interest) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	mask := bpf.SyscallWireInterest{
		Start: i.StartNS, Epoch: i.Epoch, Cgroup: i.CgroupID, Gen: i.Gen, Round: s.interest.round, Ppid: uint32(i.PPID),
		Uid: i.UID, Gid: i.GID, Mask: i.Wanted,
	}
	for n := range min(len(i.Comm), len(mask.Comm)-1) {
		mask.Comm[n] = int8(i.Comm[n])
	}
	if err := s.interest.masks.Put(uint32(i.PID), mask); err != nil {
		return fmt.Errorf("interest mask: %w", err)
	}
	return nil
}

// DropInterest takes a process's mask away, if it has one.
func (s *Live) DropInterest(pid int32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	if err := s.interest.masks.Delete(uint32(pid)); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("interest mask: %w", err)
	}
	return nil
}

// VoidInterest ends all masks at once: the rules are others, or more is known of a
// container. The first call has the kernel count generations, which it does not before.
func (s *Live) VoidInterest() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.interest.round = max(s.interest.round+1, 1) // 0 means none
	if err := s.interest.rounds.Put(uint32(0), s.interest.round); err != nil {
		return fmt.Errorf("interest masks: %w", err)
	}
	return nil
}

// Masked counts the events that masks have left out, which are no loss, and those of
// processes that can have no mask since too many run. It is 0 after Close.
func (s *Live) Masked() (masked, unkept uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0, 0
	}
	return sum(s.interest.notes, uint32(bpf.SyscallWireNoteNOTE_MASKED)), sum(s.interest.notes, uint32(bpf.SyscallWireNoteNOTE_UNKEPT))
}
