package compile

import (
	"sync/atomic"

	"riposte/agent/event"
)

// Matcher evaluates many conditions, and each thing once.
//
// What depends on the process and its container alone is found out when it is first
// asked and kept as two bits with the process until the table's clock says that an
// input changed. What several conditions have in common is found out once an event.
// For each type of event the conditions are planned when the first one comes: with
// the type filled in, those that it rules out gone, and before them the one question
// whether any of them can be true for the process at all.
//
// A Matcher belongs to one goroutine, as do the events and processes that it is shown.
type Matcher struct {
	graph    *graph
	programs []*Program
	plans    [256]*plan
	// id tells its bits from those of other Matchers.
	id uint64
	// own are the closures of what depends on the process alone, by node, of all
	// plans; words is how many their bits take.
	own   map[int]func(*event.Event) bool
	words int

	// bits are those of the event's process, loose the ones for a process whose
	// changes nobody notes.
	bits, loose []uint64
	// memo is what was found out about the event, by shared node; an entry is valid
	// if it carries the event's number.
	memo   []uint64
	memoAt map[int]int
	number uint64
	probe  event.Event
}

var matchers atomic.Uint64

// Matcher takes conditions that this Compiler compiled. It must not compile others
// while the Matcher is in use.
func (c *Compiler) Matcher(programs []*Program) *Matcher {
	return &Matcher{graph: c.graph, programs: programs, id: matchers.Add(1), own: map[int]func(*event.Event) bool{}, memoAt: map[int]int{}}
}

// Match calls fire with the places of the conditions that are true for the event, in
// their order, until it returns false.
func (m *Matcher) Match(e *event.Event, fire func(i int) (more bool)) {
	p := m.planOf(e.Type)
	if len(p.conds) == 0 {
		return
	}
	m.begin(e)
	if !p.any(e) {
		return
	}
	for i := range p.conds {
		c := &p.conds[i]
		if c.can(e) && c.eval(e) && !fire(c.index) {
			return
		}
	}
}

// Possible says whether a condition can be true for an event of a type by this
// process, as long as nothing changes that fields of process and container scope read.
func (m *Matcher) Possible(p *event.Process, c *event.Clock, t event.Type) bool {
	plan := m.planOf(t)
	if len(plan.conds) == 0 {
		return false
	}
	m.probe = event.Event{Type: t, Proc: p, Clock: c}
	m.begin(&m.probe)
	return plan.any(&m.probe)
}

func (m *Matcher) planOf(t event.Type) *plan {
	if m.plans[t] == nil {
		m.plans[t] = m.plan(t)
	}
	return m.plans[t]
}

// begin makes the process's bits the current ones, empty if an input changed.
func (m *Matcher) begin(e *event.Event) {
	m.number++
	p := e.Proc
	if p == nil || e.Clock == nil {
		m.loose = sized(m.loose, m.words)
		clear(m.loose)
		m.bits = m.loose
		return
	}
	v := &p.Verdicts
	if v.Of != p || v.Owner != m.id {
		*v = event.Verdicts{Of: p, Owner: m.id, Bits: make([]uint64, m.words)}
	} else {
		if e.Clock.Since(p, v.At) {
			clear(v.Bits)
		}
		v.Bits = sized(v.Bits, m.words)
	}
	v.At, m.bits = e.Clock.Now(), v.Bits
}

func sized(bits []uint64, n int) []uint64 {
	if len(bits) < n {
		bits = append(bits, make([]uint64, n-len(bits))...)
	}
	return bits
}

// The two bits of a condition: whether it is known, and what it is.
const (
	bitsEach = 2
	perWord  = 64 / bitsEach
)

// remembered keeps the answer to a condition of the process alone with the process,
// and those to its parts, for other conditions have them too.
func (m *Matcher) remembered(n *node) func(*event.Event) bool {
	if n.op == never || n.op == always || n.op == not {
		return n.closure(m.remembered)
	}
	if done := m.own[n.id]; done != nil {
		return done
	}
	eval := n.closure(m.remembered)
	slot := len(m.own)
	m.words = slot/perWord + 1
	word, shift := slot/perWord, bitsEach*(slot%perWord)
	f := func(e *event.Event) bool {
		if w := m.bits[word] >> shift; w&1 != 0 {
			return w&2 != 0
		}
		known := eval(e)
		w := uint64(1)
		if known {
			w = 3
		}
		m.bits[word] |= w << shift
		return known
	}
	m.own[n.id] = f
	return f
}

// shared keeps the answer to a condition for the rest of the event.
func (m *Matcher) shared(n *node, eval func(*event.Event) bool) func(*event.Event) bool {
	at, ok := m.memoAt[n.id]
	if !ok {
		at = len(m.memo)
		m.memoAt[n.id] = at
		m.memo = append(m.memo, 0)
	}
	return func(e *event.Event) bool {
		if w := m.memo[at]; w>>1 == m.number {
			return w&1 != 0
		}
		known := eval(e)
		w := m.number << 1
		if known {
			w |= 1
		}
		m.memo[at] = w
		return known
	}
}
