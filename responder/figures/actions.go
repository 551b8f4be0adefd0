package figures

import "riposte/responder/execute"

func (f *Figures) actionMetrics() {
	f.ended = f.counter("riposte_actions_ended_total",
		"Actions that ended, and whether their effect was seen: verified, unverified (it was looked for in vain), or none (there is no effect to look for).", "type", "state", "effect")
	f.lifted = f.counter("riposte_lifts_total", "Effects whose time was over: lifted, or failed if nobody tries any more.", "type", "result")
	f.contain = f.histogram("riposte_time_to_contain_seconds",
		"The way of actions whose effect was verified: detect, deliver and decide as in riposte_alert_stage_seconds, execute from the decision until the effect was caused, verify from there until it was seen, and total from the system call to the seen effect.",
		long, "stage", "type")
}

// Ended counts an action. It is execute's.
func (f *Figures) Ended(e execute.Ended) {
	kind, w := f.typed(e.Type), e.When
	effect := "none"
	switch {
	case w.VerifiedNS > 0:
		effect = "verified"
	case e.State == "succeeded":
		effect = "unverified"
	}
	f.ended.WithLabelValues(kind, e.State, effect).Inc()
	if w.VerifiedNS == 0 {
		return
	}
	f.stage(f.contain, w.KernelNS, w.AgentNS, "detect", kind)
	f.stage(f.contain, w.AgentNS, w.ReceivedNS, "deliver", kind)
	f.stage(f.contain, w.ReceivedNS, w.DecidedNS, "decide", kind)
	f.stage(f.contain, w.DecidedNS, w.ExecutedNS, "execute", kind)
	f.stage(f.contain, w.ExecutedNS, w.VerifiedNS, "verify", kind)
	f.stage(f.contain, w.KernelNS, w.VerifiedNS, "total", kind)
}

// Lifted counts the end of a lifting. It is execute's.
func (f *Figures) Lifted(l execute.Lifting) {
	f.lifted.WithLabelValues(f.typed(l.Type), l.Result).Inc()
}
