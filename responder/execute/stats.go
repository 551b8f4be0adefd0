package execute

import (
	"maps"
	"sync"
	"time"

	"riposte/responder/action"
	"riposte/responder/audit"
)

// Count names one counter: a type of action with how it ended ("succeeded",
// "verified", "unverified", …) or with an error's kind. Types come from the
// registry, so the number of counters is bounded.
type Count struct{ Type, What string }

// Stats are the executor's counters since its start.
type Stats struct {
	// Ended counts actions by their state, looks for effects as verified or unverified, and
	// liftings as lifted or not-lifted.
	Ended map[Count]uint64
	// Errors counts attempts that returned an error, by its kind.
	Errors map[Count]uint64
	// Attempts counts attempts, Waited the time from plan to first attempt, of FirstAttempts.
	Attempts      uint64
	FirstAttempts uint64
	Waited        time.Duration
	// Renewed counts leases that were renewed.
	Renewed uint64
	// Held counts actions that the gate made wait, Rescued orphans that were queued
	// again, LeaseLost attempts that took longer than their lease.
	Held      uint64
	Rescued   uint64
	LeaseLost uint64
}

// stats guards Stats.
type stats struct {
	mu sync.Mutex
	s  Stats
}

func newStats() *stats {
	return &stats{s: Stats{Ended: map[Count]uint64{}, Errors: map[Count]uint64{}}}
}

// Stats returns a copy of the counters.
func (e *Executor) Stats() Stats {
	e.m.mu.Lock()
	defer e.m.mu.Unlock()
	s := e.m.s
	s.Ended, s.Errors = maps.Clone(s.Ended), maps.Clone(s.Errors)
	return s
}

// add changes the counters.
func (m *stats) add(change func(*Stats)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(&m.s)
}

func (m *stats) started(c *claim) {
	m.add(func(s *Stats) {
		s.Attempts++
		if c.Attempt == 1 {
			s.FirstAttempts++
			s.Waited += time.Since(time.Unix(0, c.planned))
		}
	})
}

func (m *stats) failed(kind string, err action.ErrorKind) {
	m.add(func(s *Stats) { s.Errors[Count{kind, string(err)}]++ })
}

func (m *stats) ended(kind string, end ending) {
	m.add(func(s *Stats) {
		if end.kind == audit.ActionResult {
			s.Ended[Count{kind, end.state}]++
		}
		switch {
		case !end.verified.IsZero():
			s.Ended[Count{kind, "verified"}]++
		case end.kind == audit.ActionVerified:
			s.Ended[Count{kind, "unverified"}]++
		}
	})
}

func (m *stats) lifted(kind, result string) {
	what := "not-lifted"
	if result == lifted {
		what = lifted
	}
	m.add(func(s *Stats) { s.Ended[Count{kind, what}]++ })
}
