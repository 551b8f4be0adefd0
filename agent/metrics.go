package agent

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"slices"
	"strconv"
	"strings"
	"time"

	"riposte/agent/config"
	"riposte/agent/health"
)

// Names of figures begin with one of these: Falco's where the meaning is the same.
const (
	falco = "falcosecurity_falco_"
	scap  = "falcosecurity_scap_"
	own   = "riposte_agent_"
)

// metrics are the figures of this moment.
func (a *Agent) metrics() []health.Metric {
	const gauge, counter = health.Gauge, health.Counter
	events, lost := float64(a.events.Load()), a.Lost()
	drops := lostTotal(lost)
	set := a.current.Load().rules
	all := []health.Metric{
		health.One(gauge, falco+"version_info", "The agent's version.", 1, "version", a.opt.Version),
		health.One(gauge, falco+"kernel_release_info", "The kernel's release.", 1, "kernel_release", strings.TrimSpace(content("/proc/sys/kernel/osrelease"))),
		health.One(gauge, "falcosecurity_evt_hostname_info", "The host's name in alerts.", 1, "hostname", a.opt.Hostname),
		health.One(gauge, scap+"engine_name_info", "Where events come from.", 1, "engine_name", a.source.Name(), "evt_source", "syscall"),
		health.One(gauge, falco+"start_timestamp_nanoseconds", "When the agent started, Unix time.", float64(a.started.UnixNano())),
		health.One(gauge, falco+"reload_timestamp_nanoseconds", "When rules were loaded last, Unix time.", float64(a.reloads.lastNS.Load())),
		health.One(counter, falco+"duration_seconds_total", "How long the agent runs.", time.Since(a.started).Seconds()),
		health.One(gauge, falco+"host_num_cpus_total", "The number of CPUs that the agent sees.", float64(runtime.NumCPU())),
		health.One(counter, falco+"n_evts_total", "Events that were looked at.", events),
		health.One(counter, scap+"n_evts_total", "Events of the kernel, those lost included.", events+float64(drops)),
		health.One(counter, scap+"n_drops_total", "Events of the kernel that were lost.", float64(drops)),
		bufferDrops(lost),
		health.One(counter, scap+"n_drops_scratch_map_total", "Events lost for want of scratch memory.", float64(lost["scratch_busy"])),
		health.One(counter, scap+"n_drops_bug_total", "Events that the kernel's programs could not report or the agent not decode.",
			float64(lost["tail_call"]+lost["recursion"]+lost["undecodable"]+lost["uring_unmatched"])),
		health.One(counter, scap+"n_drops_full_threadtable_total", "Processes that the full table had no room for.", float64(lost["process_not_kept"])),
		a.queueDrops(), a.ruleMatches(), a.ruleFileHashes(), a.configFileHashes(),
		health.One(gauge, own+"rules", "Rules that are switched on.", float64(set.Len()), "ruleset", set.Hash()),
		health.One(counter, own+"reloads_failed_total", "Changed rules or configurations that did not hold, so that the old ones stayed.", float64(a.reloads.failed.Load())),
		health.One(counter, own+"alerts_total", "Alerts that were made.", float64(a.seq.Load())),
		a.sent(), lostByPlace(lost),
	}
	if a.interest != nil {
		masked, unkept := a.interest.masks.Masked()
		all = append(all,
			health.One(counter, own+"events_unwanted_path_total", "Opens left out in the kernel because no rule could match their path; no loss.", float64(a.interest.masks.PassedBy())),
			health.One(counter, own+"events_masked_total", "Events left out in the kernel because no rule could match them; no loss.", float64(masked)),
			health.One(counter, own+"events_unmaskable_total", "Events of processes that the kernel has no room to keep a mask for.", float64(unkept)),
			health.One(counter, own+"masks_refused_total", "Masks that the kernel did not take.", float64(a.interest.failed.Load())))
	}
	all = append(all, a.busMetrics()...)
	all = append(all, a.held()...)
	return append(all, hostMetrics(a.started)...)
}

// bufferDrops are what the ring buffer had no room for. Falco counts by call; we know
// what was given up to keep room for the rest.
func bufferDrops(lost map[string]uint64) health.Metric {
	m := health.Metric{Name: scap + "n_drops_buffer_total", Help: "Events that the ring buffer had no room for, by their importance.", Kind: health.Counter}
	for _, s := range []struct{ drop, place string }{{"low", "shed_low"}, {"other", "shed"}, {"other_full", "ring_full"}, {"state", "ring_full_state"}} {
		m.Samples = append(m.Samples, health.Sample{Labels: []string{"drop", s.drop, "dir", "exit"}, Value: float64(lost[s.place])})
	}
	return m
}

// held are the figures of what the agent keeps in memory.
func (a *Agent) held() []health.Metric {
	a.turn.Lock()
	sizes := a.facts.Sizes()
	if a.parked != nil {
		sizes["waiting_bytes"] = a.parked.bytes
	}
	a.turn.Unlock()
	tables := health.Metric{Name: own + "table_size", Help: "Entries of the agent's tables; bytes where the name says so.", Kind: health.Gauge}
	for _, name := range slices.Sorted(maps.Keys(sizes)) {
		tables.Samples = append(tables.Samples, health.Sample{Labels: []string{"table", name}, Value: float64(sizes[name])})
	}
	heap := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(heap)
	return []health.Metric{
		tables,
		health.One(health.Gauge, own+"heap_bytes", "The agent's objects in memory, those not collected yet included.", float64(heap[0].Value.Uint64())),
		health.One(health.Gauge, own+"goroutines", "The agent's goroutines.", float64(runtime.NumGoroutine())),
	}
}

func (a *Agent) queueDrops() health.Metric {
	_, _, n := a.tally.counts()
	return health.One(health.Counter, falco+"outputs_queue_num_drops_total", "Alerts that an output's queue had no room for.", float64(n))
}

func (a *Agent) sent() health.Metric {
	m := health.Metric{Name: own + "output_alerts_total", Help: "Alerts that an output took.", Kind: health.Counter}
	_, sent, _ := a.tally.counts()
	for _, name := range slices.Sorted(maps.Keys(sent)) {
		m.Samples = append(m.Samples, health.Sample{Labels: []string{"output", name}, Value: float64(sent[name])})
	}
	return m
}

func lostByPlace(lost map[string]uint64) health.Metric {
	m := health.Metric{Name: own + "lost_total", Help: "What was lost, by the place that lost it.", Kind: health.Counter}
	for _, place := range slices.Sorted(maps.Keys(lost)) {
		m.Samples = append(m.Samples, health.Sample{Labels: []string{"place", place}, Value: float64(lost[place])})
	}
	return m
}

func (a *Agent) ruleMatches() health.Metric {
	m := health.Metric{Name: falco + "rules_matches_total", Help: "How often a rule fired.", Kind: health.Counter}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(a.matches)) {
		r := a.matches[name]
		labels := []string{"rule_name", name, "priority", strconv.Itoa(int(r.priority)), "source", r.source}
		used := map[string]bool{}
		for _, tag := range r.tags {
			// Two tags may become the same name, and a name may stand there once.
			if label := health.LabelName("tag_" + tag); !used[label] {
				used[label] = true
				labels = append(labels, label, "true")
			}
		}
		m.Samples = append(m.Samples, health.Sample{Labels: labels, Value: float64(r.n)})
	}
	return m
}

func (a *Agent) ruleFileHashes() health.Metric {
	read := a.current.Load().ruleFiles
	files := make([]config.File, len(read))
	for i, f := range read {
		files[i] = config.File{Name: f.Name, Content: f.Content}
	}
	return hashes(falco+"sha256_rules_files_info", "The loaded rules files.", files)
}

func (a *Agent) configFileHashes() health.Metric {
	return hashes(falco+"sha256_config_files_info", "The configuration files.", a.current.Load().configFiles)
}

// hashes has one sample a file: two equal ones would spoil the whole answer.
func hashes(name, help string, files []config.File) health.Metric {
	m := health.Metric{Name: name, Help: help, Kind: health.Gauge}
	used := map[string]bool{}
	for _, f := range files {
		short := filepath.Base(f.Name)
		if used[short] {
			short = f.Name
		}
		if used[short] {
			continue
		}
		used[short] = true
		m.Samples = append(m.Samples, health.Sample{Labels: []string{"file_name", short, "sha256", sum(f.Content)}, Value: 1})
	}
	return m
}

func sum(content []byte) string {
	s := sha256.Sum256(content)
	return hex.EncodeToString(s[:])
}
