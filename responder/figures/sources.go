package figures

import (
	"context"
	"maps"
	"runtime"
	"slices"
	"time"

	"riposte/responder/api"
	"riposte/responder/execute"
	"riposte/responder/guard"
	"riposte/responder/kube"
	"riposte/responder/notify"
	"riposte/responder/playbook/sandbox"
	"riposte/responder/store"
)

// Counts are a part's counters by name.
type Counts func() map[string]uint64

// Sources are what figures are read from when somebody asks. Each may be nil: then
// its metrics are left out.
type Sources struct {
	Version string
	// Ready says of each part that is needed whether it works.
	Ready func(context.Context) map[string]bool

	// Ingest is by the way that alerts come in: "bus" or "http".
	Ingest map[string]Counts
	Intake Counts
	Bus    Counts
	// Connected says whether the bus can be reached; Backlog is how many messages of its
	// stream wait, and how many are taken and not answered.
	Connected func() bool
	Backlog   func(context.Context) (waiting, unanswered uint64, err error)

	// Playbooks is how many are loaded.
	Playbooks func() int
	// Reloads are by what is read from files and read anew when they change: "playbooks",
	// "guard_file" or "guard_policies".
	Reloads map[string]func() sandbox.Loads
	// Guard counts verdicts by rule, Switches are the kill switches that are on.
	Guard    Counts
	Switches func() []guard.Switch
	Execute  func() execute.Stats
	// Immediate counts the liftings of what agents contained at once.
	Immediate Counts
	Webhooks  func() map[string]notify.Count

	// Verifications counts those of the record that somebody asked for, by their result.
	Verifications Counts
	// Checkpoints counts those of the record: signed, refused because the record is not
	// what was signed before, unsent to where copies are kept.
	Checkpoints Counts
	// Pruned counts rows that retention took, by their table.
	Pruned Counts
	Events func() api.EventsStatus

	Database Database
	// SilentAfter is after how long an agent counts as silent.
	SilentAfter time.Duration
	Kube        func() kube.Stats
	Traces      Counts
	// Now is the clock, time.Now if nil.
	Now func() time.Time
}

// Database is store.Store's.
type Database interface {
	Figures(ctx context.Context, now, heardSince time.Time) (store.Figures, error)
	PoolStats() store.PoolStats
}

func (f *Figures) sources(s *Sources) {
	if s.Now == nil {
		s.Now = time.Now
	}
	f.pull(Gauge, "riposte_build_info", "The responder's version.", []string{"version", "go_version"}, func(set set) { set(1, s.Version, runtime.Version()) })
	f.pull(Gauge, "riposte_ready", "Whether a part that is needed works: 1 or 0.", []string{"part"}, func(set set) {
		if s.Ready == nil {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), askTime)
		defer cancel()
		for part, ok := range s.Ready(ctx) {
			set(number(ok), part)
		}
	})
	f.intakeSources(s)
	f.decidingSources(s)
	f.actingSources(s)
	f.databaseSources(s)
	f.apiSources(s)
}

// counted makes a metric of each counter in the table. Its name is the prefix, the
// counter's own and _total.
func (f *Figures) counted(prefix string, table [][2]string, counts Counts) {
	for _, row := range table {
		f.pull(Counter, prefix+row[0]+"_total", row[1], nil, func(set set) {
			if counts != nil {
				set(float64(counts()[row[0]]))
			}
		})
	}
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// each sets every counter under its name as the only label.
func each(counts Counts, set set) {
	if counts == nil {
		return
	}
	all := counts()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		set(float64(all[name]), name)
	}
}
