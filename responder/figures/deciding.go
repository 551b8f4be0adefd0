package figures

import (
	"maps"
	"slices"

	"riposte/responder/guard"
	"riposte/responder/kube"
)

func (f *Figures) decidingSources(s *Sources) {
	playbooks := func(read func(Playbooks, set)) func(set) {
		return func(set set) {
			if s.Playbooks != nil {
				read(s.Playbooks(), set)
			}
		}
	}
	f.pull(Gauge, "riposte_playbooks_loaded", "Playbooks that are loaded.", nil, playbooks(func(p Playbooks, set set) { set(float64(p.Loaded)) }))
	f.pull(Gauge, "riposte_playbooks_reload_failed", "1 if the playbooks that lie in the sources cannot be loaded, so that the last good ones stay in use.", nil,
		playbooks(func(p Playbooks, set set) { set(number(p.ReloadFailed)) }))
	f.pull(Gauge, "riposte_playbooks_reload_timestamp_seconds", "When it was last tried to load the playbooks, Unix time.", nil,
		playbooks(func(p Playbooks, set set) { set(float64(p.LastAttempt.Unix())) }))

	f.pull(Counter, "riposte_guard_verdicts_total", "Verdicts of the guard by the rule that spoke; \"allow\" is no rule. docs/guard.md has the rules.", []string{"rule"},
		func(set set) { each(s.Guard, set) })
	f.pull(Gauge, "riposte_kill_switches", "How many kill switches are on, by what they stop: all, or one cluster or playbook each.", []string{"scope"}, func(set set) {
		if s.Switches == nil {
			return
		}
		on := map[guard.Scope]int{guard.ScopeAll: 0, guard.ScopeCluster: 0, guard.ScopePlaybook: 0}
		for _, k := range s.Switches() {
			on[k.Scope]++
		}
		for scope, n := range on {
			set(float64(n), string(scope))
		}
	})

	pods := func(read func(kube.Stats) float64) func(set) {
		return func(set set) {
			if s.Kube != nil {
				set(read(s.Kube()))
			}
		}
	}
	f.pull(Gauge, "riposte_kube_pods", "Pods of the cluster that are known.", nil, pods(func(k kube.Stats) float64 { return float64(k.Pods) }))
	f.pull(Gauge, "riposte_kube_pods_remembered", "Deleted pods that are still known.", nil, pods(func(k kube.Stats) float64 { return float64(k.Remembered) }))
	f.pull(Counter, "riposte_kube_pods_forgotten_early_total", "Deleted pods that were forgotten before their time, for want of room.", nil,
		pods(func(k kube.Stats) float64 { return float64(k.ForgottenEarly) }))
	f.pull(Counter, "riposte_kube_asked_total", "Pods that were not known and that the API server was asked for.", nil, pods(func(k kube.Stats) float64 { return float64(k.Asked) }))
	f.pull(Counter, "riposte_kube_ask_errors_total", "Questions that the API server could not answer.", nil, pods(func(k kube.Stats) float64 { return float64(k.AskErrors) }))
	f.pull(Counter, "riposte_kube_asks_skipped_total", "Questions that were not asked, because there were too many or the API server had just not answered.", nil,
		pods(func(k kube.Stats) float64 { return float64(k.AskSkipped) }))
}

func (f *Figures) actingSources(s *Sources) {
	f.executorSources(s)
	f.pull(Counter, "riposte_immediate_lifts_total", "Containments that agents began by themselves and that nobody wanted: lifted, failed, or too_many at once; what is not lifted ends by its lease.", []string{"result"},
		func(set set) { each(s.Immediate, set) })
	webhooks := func(set set) {
		if s.Webhooks == nil {
			return
		}
		all := s.Webhooks()
		for _, name := range slices.Sorted(maps.Keys(all)) {
			set(float64(all[name].OK), name, "ok")
			set(float64(all[name].Failed), name, "error")
		}
	}
	f.pull(Counter, "riposte_notifications_total", "Tries to deliver to a configured destination.", []string{"destination", "status"}, webhooks)
	f.pull(Counter, sidekick+"outputs_total", "The same as riposte_notifications_total, under Falcosidekick's name.", []string{"destination", "status"}, webhooks)
	f.pull(Counter, "riposte_traces_total", "Parts of traces by what became of them: exported, dropped because the queue was full, failed because nobody took them.", []string{"result"},
		func(set set) { each(s.Traces, set) })
}
