package figures

import (
	"maps"
	"slices"

	"riposte/responder/guard"
	"riposte/responder/kube"
	"riposte/responder/playbook/sandbox"
)

func (f *Figures) decidingSources(s *Sources) {
	f.pull(Gauge, "riposte_playbooks_loaded", "Playbooks that are loaded.", nil, func(set set) {
		if s.Playbooks != nil {
			set(float64(s.Playbooks()))
		}
	})
	reloads := func(read func(what string, l sandbox.Loads, set set)) func(set) {
		return func(set set) {
			for what, loads := range s.Reloads {
				read(what, loads(), set)
			}
		}
	}
	const ofFiles = " The label what is playbooks, guard_file or guard_policies."
	f.pull(Counter, "riposte_reloads_total", "Attempts to read changed files, the first one at the start included: good, or bad if the last good ones stay in use."+ofFiles,
		[]string{"what", "result"}, reloads(func(what string, l sandbox.Loads, set set) {
			set(float64(l.Good), what, "good")
			set(float64(l.Bad), what, "bad")
		}))
	f.pull(Gauge, "riposte_reload_failed", "1 if the files as they are now have an error, so that the last good ones stay in use."+ofFiles, []string{"what"},
		reloads(func(what string, l sandbox.Loads, set set) { set(number(l.ErrAt.After(l.GoodAt)), what) }))
	f.pull(Gauge, "riposte_reload_timestamp_seconds", "When the files that are in use were read, Unix time."+ofFiles, []string{"what"},
		reloads(func(what string, l sandbox.Loads, set set) { set(float64(l.GoodAt.Unix()), what) }))

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
	f.pull(Counter, "riposte_audit_checkpoints_total", "Checkpoints of the record: signed, refused because the record is not what was signed before, unsent to the stream or the file (they are sent later).", []string{"result"},
		func(set set) { each(s.Checkpoints, set) })
	f.pull(Counter, "riposte_pruned_rows_total", "Ended actions and incidents that were removed because the record does not go back to them any more.", []string{"table"},
		func(set set) { each(s.Pruned, set) })
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
