package ingest

import "sync/atomic"

type counters struct {
	oversize, malformed, foreign        atomic.Uint64
	stored, duplicates, forged, unbound atomic.Uint64
	failed, waited, unanswered          atomic.Uint64
	repeated, deferred, losses          atomic.Uint64
	deadLetters, deadLettersDropped     atomic.Uint64
	decisions, actions                  atomic.Uint64
	heartbeats, heartbeatsRejected      atomic.Uint64
}

func (c *counters) rejected(r Reason) {
	switch r {
	case Oversize:
		c.oversize.Add(1)
	case Malformed:
		c.malformed.Add(1)
	case Foreign:
		c.foreign.Add(1)
	}
}

// Counts are this process's counters by name. What can be lost has its own: the
// rejected_* are put aside as dead letters, dead_letters_dropped were not even that.
func (in *Ingest) Counts() map[string]uint64 {
	c := &in.counts
	return map[string]uint64{
		"stored":               c.stored.Load(),
		"duplicates":           c.duplicates.Load(),
		"forged":               c.forged.Load(),
		"unbound":              c.unbound.Load(),
		"decisions":            c.decisions.Load(),
		"actions":              c.actions.Load(),
		"rejected_oversize":    c.oversize.Load(),
		"rejected_malformed":   c.malformed.Load(),
		"rejected_foreign":     c.foreign.Load(),
		"failed":               c.failed.Load(),
		"repeated":             c.repeated.Load(),
		"deferred":             c.deferred.Load(),
		"losses":               c.losses.Load(),
		"dead_letters":         c.deadLetters.Load(),
		"dead_letters_dropped": c.deadLettersDropped.Load(),
		"waited":               c.waited.Load(),
		"unanswered":           c.unanswered.Load(),
		"heartbeats":           c.heartbeats.Load(),
		"heartbeats_rejected":  c.heartbeatsRejected.Load(),
	}
}
