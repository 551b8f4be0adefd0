package enrich

import (
	"time"

	"riposte/agent/event"
)

// An exit event that was lost leaves its process among the living until its pid comes
// again, which may be never. So the living are compared with /proc, slowly and in turn.
const (
	// sweepEvery is the time between two looks, of events; no event, no need to look.
	sweepEvery = uint64(250 * time.Millisecond)
	// sureAfter is how much later than a look events must be before what it has not found
	// counts as ended: until then its exit may be on its way.
	sureAfter = int64(time.Second)
)

// sweeper goes through the living.
type sweeper struct {
	next    uint64
	waiting []int32
	missing []absent
}

// absent is a process that was not there when it was looked for.
type absent struct {
	p *entry
	// at is when, Unix nanoseconds.
	at int64
}

// sweep looks for one process, and ends those whose exit must have been told by now.
func (t *Table) sweep(e *event.Event) {
	s := &t.sweeper
	if t.files == nil || e.KernelNS < s.next {
		return
	}
	s.next = e.KernelNS + sweepEvery
	kept := s.missing[:0]
	for _, m := range s.missing {
		switch {
		case m.p.Exited:
		case e.TimeNS < m.at+sureAfter:
			kept = append(kept, m)
		default:
			t.count("exit_missed")
			t.exit(m.p, e.KernelNS)
		}
	}
	clear(s.missing[len(kept):])
	s.missing = kept

	p := t.nextToSweep()
	if p == nil {
		return
	}
	if st, ok := parseStat(t.files.read(p.PID, "stat")); !ok || st.ended || st.start != p.StartNS/clockTick*clockTick {
		s.missing = append(s.missing, absent{p, time.Now().UnixNano()})
	}
}

// nextToSweep is a living process that was not looked at in this round.
func (t *Table) nextToSweep() *entry {
	s := &t.sweeper
	if len(s.waiting) == 0 {
		for pid := range t.byPID {
			s.waiting = append(s.waiting, pid)
		}
	}
	for len(s.waiting) > 0 {
		last := len(s.waiting) - 1
		p := t.byPID[s.waiting[last]]
		s.waiting = s.waiting[:last]
		if p != nil {
			return p
		}
	}
	return nil
}
