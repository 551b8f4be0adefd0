package replay

import (
	"time"

	"riposte/agent/event"
)

// shift moves the times of a recording. Events move by an amount that grows smaller
// with each gap that is cut; a process's start, which names the process, is moved
// once, when it is first seen, and then stays.
type shift struct {
	by     int64 // what is added to a time since boot now
	wall   int64 // Unix nanoseconds at this machine's boot
	last   uint64
	maxGap uint64
	starts map[uint64]uint64
	early  uint64
}

func newShift(first, boot uint64, now time.Time, maxGap uint64) *shift {
	return &shift{
		by: int64(boot) - int64(first), wall: now.UnixNano() - int64(boot),
		last: first, maxGap: maxGap, starts: map[uint64]uint64{},
	}
}

func (s *shift) event(e *event.Event) {
	if e.KernelNS > s.last {
		if gap := e.KernelNS - s.last; gap > s.maxGap {
			s.by -= int64(gap - s.maxGap)
		}
		s.last = e.KernelNS
	}
	e.KernelNS = uint64(max(int64(e.KernelNS)+s.by, 1))
	e.TimeNS = int64(e.KernelNS) + s.wall
	e.Task.StartNS = s.start(e.Task.StartNS)
	if e.Fork != nil {
		f := *e.Fork
		f.StartNS = s.start(f.StartNS)
		e.Fork = &f
	}
}

// start moves a process's start. One before this machine's own boot becomes one of
// its first nanoseconds, different from every other.
func (s *shift) start(at uint64) uint64 {
	if moved, ok := s.starts[at]; ok {
		return moved
	}
	moved := int64(at) + s.by
	if moved <= int64(s.early) {
		s.early++
		moved = int64(s.early)
	}
	s.starts[at] = uint64(moved)
	return uint64(moved)
}
