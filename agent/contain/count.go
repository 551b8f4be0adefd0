package contain

import "sync/atomic"

// counts are what this package did not do, by cause.
type counts struct {
	full, unlifted, messages, withheld, failed atomic.Uint64
}

// Counts are the places where something was not done that was asked for, without
// those that are zero.
func (h *Handler) Counts() map[string]uint64 {
	all := map[string]uint64{}
	for name, n := range map[string]*atomic.Uint64{
		// One hold would have been too many.
		"contain_hold_over_limit": &h.counts.full,
		// A lease was over and its effect did not end; it is tried again.
		"contain_lift_retried": &h.counts.unlifted,
		// A standing message was not the responder's, or damaged.
		"contain_message_refused": &h.counts.messages,
		// An immediate containment was withheld: protected, switched off, gone.
		"contain_immediate_withheld": &h.counts.withheld,
		// An immediate containment did not work.
		"contain_immediate_failed": &h.counts.failed,
	} {
		if v := n.Load(); v > 0 {
			all[name] = v
		}
	}
	return all
}
