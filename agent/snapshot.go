package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"riposte/agent/alert"
	"riposte/agent/publish"
)

// Snapshots tells the agent's figures at intervals, under Falco's names.
type Snapshots struct {
	Interval time.Duration
	// Alert makes an alert of the rule "Falco internal: metrics snapshot".
	Alert bool
	// File takes one JSON object a line; none if empty.
	File string
	// Rules, Resources and Kernel choose what is told: how often each rule fired, what
	// agent and host use, and the kernel's events.
	Rules, Resources, Kernel bool
	// Megabytes gives memory in MiB, not in KiB (or bytes, for the host's). Empty
	// tells what is zero, too.
	Megabytes, Empty bool
}

// snapshotRule is Falco's name for the alert about the figures.
const snapshotRule = "Falco internal: metrics snapshot"

// snapshotState is what the last snapshot said.
type snapshotState struct {
	// changed says that other settings are in force.
	changed              chan struct{}
	samples              uint64
	at                   time.Time
	events, kernel, lost uint64
}

// watchSnapshots tells the figures until ctx ends.
func (a *Agent) watchSnapshots(ctx context.Context) {
	for {
		var due <-chan time.Time
		s := a.current.Load().snapshots
		if s != nil {
			due = time.After(s.Interval)
		}
		select {
		case <-ctx.Done():
			return
		case <-a.snapshots.changed:
		case now := <-due:
			if err := a.snapshot(ctx, s, now); err != nil {
				a.log.Error("a metrics snapshot is lost", "error", err)
			}
		}
	}
}

func (a *Agent) snapshot(ctx context.Context, s *Snapshots, now time.Time) (err error) {
	fields := a.figures(s, now)
	a.snapshots.samples++
	if s.File != "" {
		err = appendSnapshot(ctx, s.File, a.snapshots.samples, fields)
	}
	if s.Alert {
		a.internal(firing{rule: snapshotRule, priority: alert.Informational, message: "Falco metrics snapshot", fields: fields})
	}
	return err
}

func appendSnapshot(ctx context.Context, name string, sample uint64, fields map[string]any) error {
	line, err := json.Marshal(map[string]any{"sample": sample, "output_fields": fields})
	if err != nil {
		return err
	}
	f, err := publish.OpenFile(publish.FileOptions{Name: name})
	if err != nil {
		return err
	}
	return errors.Join(f.Send(ctx, publish.Message{Line: append(bytes.TrimSpace(line), '\n')}), f.Close())
}

// figures are those of this moment, and what they were at the last snapshot.
func (a *Agent) figures(s *Snapshots, now time.Time) map[string]any {
	last := &a.snapshots
	events, lost := a.events.Load(), a.Lost()
	_, _, dropped := a.tally.counts()
	seconds := now.Sub(last.at).Seconds()
	if last.at.IsZero() {
		seconds = now.Sub(a.started).Seconds()
	}
	rate := func(n, before uint64) float64 { return float64(n-before) / max(seconds, 1e-9) }
	fields := map[string]any{
		"evt.source": "syscall", "falco.version": a.opt.Version, "falco.start_ts": a.started.UnixNano(), "falco.reload_ts": a.reloads.lastNS.Load(),
		"falco.duration_sec": int64(now.Sub(a.started).Seconds()), "falco.kernel_release": strings.TrimSpace(content("/proc/sys/kernel/osrelease")),
		"falco.hostname": a.opt.Hostname, "falco.host_num_cpus": runtime.NumCPU(), "falco.outputs_queue_num_drops": dropped, "scap.engine_name": a.source.Name(),
		"falco.num_evts": events, "falco.num_evts_prev": last.events, "falco.evts_rate_sec": rate(events, last.events),
	}
	for _, f := range a.current.Load().ruleFiles {
		fields["falco.sha256_rules_file."+plain(filepath.Base(f.Name))] = sum(f.Content)
	}
	for _, f := range a.current.Load().configFiles {
		fields["falco.sha256_config_file."+plain(filepath.Base(f.Name))] = sum(f.Content)
	}
	add := func(name string, v float64) {
		if v != 0 || s.Empty {
			fields[name] = v
		}
	}
	if s.Rules {
		a.ruleFigures(add)
	}
	if s.Resources {
		a.resourceFigures(s, add)
	}
	drops := lostTotal(lost)
	kernel := events + drops
	if s.Kernel {
		fields["scap.n_evts"], fields["scap.n_evts_prev"], fields["scap.evts_rate_sec"] = kernel, last.kernel, rate(kernel, last.kernel)
		fields["scap.n_drops"], fields["scap.n_drops_prev"], fields["scap.evts_drop_rate_sec"] = drops, last.lost, rate(drops, last.lost)
		fields["scap.n_drops_perc"] = 0.0
		if n := kernel - last.kernel; n > 0 {
			fields["scap.n_drops_perc"] = 100 * float64(drops-last.lost) / float64(n)
		}
		add("scap.n_drops_scratch_map", float64(lost["scratch_busy"]))
	}
	last.at, last.events, last.kernel, last.lost = now, events, kernel, drops
	return fields
}

func (a *Agent) ruleFigures(add func(string, float64)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	total := 0.0
	for name, m := range a.matches {
		add("falco.rules."+plain(name), float64(m.n))
		total += float64(m.n)
	}
	add("falco.rules.matches_total", total)
}

// resourceNames are the figures of hostMetrics under the names of a snapshot.
var resourceNames = map[string]struct {
	name string
	// times is what the figure is multiplied by; memory has a unit by itself.
	times float64
}{
	"cpu_usage_ratio": {"cpu_usage_perc", 100}, "host_cpu_usage_ratio": {"host_cpu_usage_perc", 100}, "host_procs_running_total": {"host_procs_running", 1},
	"host_open_fds_total": {"host_open_fds", 1}, "host_boot_timestamp_nanoseconds": {"host_boot_ts", 1},
}

func (a *Agent) resourceFigures(s *Snapshots, add func(string, float64)) {
	for _, m := range hostMetrics(a.started) {
		name, v := strings.TrimPrefix(m.Name, falco), m.Samples[0].Value
		memory, ok := strings.CutSuffix(name, "_bytes")
		switch {
		case ok && s.Megabytes:
			add("falco."+memory+"_mb", v/(1<<20))
		case ok && strings.HasPrefix(memory, "host_"):
			add("falco."+memory+"_b", v)
		case ok:
			add("falco."+memory+"_kb", v/(1<<10))
		default:
			if r, known := resourceNames[name]; known {
				add("falco."+r.name, v*r.times)
			}
		}
	}
}

// plain makes a name fit for the name of a field, as Falco does.
func plain(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' {
			return r
		}
		return '_'
	}, name)
}
