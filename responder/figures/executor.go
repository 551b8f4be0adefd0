package figures

import "riposte/responder/execute"

func (f *Figures) executorSources(s *Sources) {
	stats := func(name, help string, read func(execute.Stats) float64) {
		f.pull(Counter, name, help, nil, func(set set) {
			if s.Execute != nil {
				set(read(s.Execute()))
			}
		})
	}
	stats("riposte_action_attempts_total", "Attempts to cause an effect.", func(s execute.Stats) float64 { return float64(s.Attempts) })
	stats("riposte_action_retries_total", "Attempts after the first one.", func(s execute.Stats) float64 { return float64(s.Attempts - s.FirstAttempts) })
	stats("riposte_action_wait_seconds_total", "How long all actions together waited from their plan to their first attempt.", func(s execute.Stats) float64 { return s.Waited.Seconds() })
	stats("riposte_actions_held_total", "Actions that the guard made wait, for instance for a kill switch.", func(s execute.Stats) float64 { return float64(s.Held) })
	stats("riposte_actions_rescued_total", "Actions that nobody worked on and that were queued again.", func(s execute.Stats) float64 { return float64(s.Rescued) })
	stats("riposte_action_leases_lost_total", "Attempts that took longer than their lease, so that another responder had the action.", func(s execute.Stats) float64 { return float64(s.LeaseLost) })
	stats("riposte_action_leases_renewed_total", "Effects whose lease was renewed.", func(s execute.Stats) float64 { return float64(s.Renewed) })
	f.pull(Counter, "riposte_action_errors_total", "Attempts that returned an error, by the error's kind.", []string{"type", "kind"}, func(set set) {
		if s.Execute == nil {
			return
		}
		for c, n := range s.Execute().Errors {
			set(float64(n), c.Type, c.What)
		}
	})
}
