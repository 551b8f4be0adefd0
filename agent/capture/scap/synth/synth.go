// Package synth writes capture files of a busy node, for benchmarks and tests.
//
// The node has some three hundred containers in pods and the usual programs of a
// Kubernetes host. Sixteen processors run their threads side by side, so that events
// of different threads follow each other as in a real capture. The mix of calls is
// that of a busy node: two calls in three open or close a file, one in ten is about
// sockets, one in ten starts a program. About one program start in twenty is an
// attack that one of Falco's stable rules is about.
//
// Same options, same file, byte for byte. The layout is today's: all parameters at a
// call's exit, the older ones at its entry too.
package synth

import (
	"io"
	"math/rand/v2"
)

// Options of Write. The zero value is the stream that speed is measured on.
type Options struct {
	// Events is how many events to write, entries and exits. Default 1,000,000.
	Events int
	// Seed chooses another file of the same kind. Default 1.
	Seed uint64
}

// Summary says what a file has.
type Summary struct {
	// Events are all, Exits those of a call's exit: the calls.
	Events, Exits int
	// Threads are all that were ever there.
	Threads int
	// ByType counts the exits and what has no exit by Falco's name.
	ByType map[string]int
	// Alerts are what Falco's stable rules find, by rule, with rule_matching all.
	Alerts map[string]int
}

const (
	defaultEvents = 1_000_000
	// bootNS is when the machine started, beginNS when the capture began.
	bootNS  = 1_780_000_000_000_000_000
	beginNS = bootNS + 86_400_000_000_000
)

// Write writes a capture file. The error is w's.
func Write(w io.Writer, o Options) (Summary, error) {
	if o.Events <= 0 {
		o.Events = defaultEvents
	}
	if o.Seed == 0 {
		o.Seed = 1
	}
	s := &stream{
		writer: newWriter(w), rand: rand.New(rand.NewPCG(o.Seed, 0)), most: o.Events, nextTID: 1000,
		sum: Summary{ByType: map[string]int{}, Alerts: map[string]int{}},
	}
	s.populate(min(mostContainers, 1+o.Events/eventsPerContainer))
	s.tables()
	s.run()
	s.sum.Events, s.sum.Exits = s.events, s.exits
	return s.sum, s.out.Flush()
}

// eventsPerContainer keeps the node of a short file small.
const mostContainers, eventsPerContainer = 324, 500
