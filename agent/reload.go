package agent

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"riposte/agent/rules"
)

// reloads is what became of the rules since the start.
type reloads struct {
	ask chan struct{}
	// failed counts reloads that kept the old rules.
	failed atomic.Uint64
	// lastNS is when rules were taken last, Unix nanoseconds.
	lastNS atomic.Int64
	mu     sync.Mutex
}

// Reload loads the rule files again, soon, and keeps the rules that it has if
// the files are wrong.
func (a *Agent) Reload() {
	select {
	case a.reloads.ask <- struct{}{}:
	default: // it is asked for already
	}
}

// take puts a ruleset in force, from the next event on.
func (a *Agent) take(set *rules.Ruleset, files []rules.File) {
	if a.reloads.ask == nil {
		a.reloads.ask = make(chan struct{}, 1)
	}
	a.reloads.mu.Lock()
	a.ruleFiles.content, a.ruleFiles.loaded = files, nil
	for _, f := range files {
		a.ruleFiles.loaded = append(a.ruleFiles.loaded, f.Name)
	}
	a.reloads.mu.Unlock()
	a.rules.Store(set)
	if a.hosts != nil {
		a.hosts.Watch(set.Hosts())
	}
	a.reloads.lastNS.Store(time.Now().UnixNano())
}

// watchFiles reloads until ctx ends: when asked, and when files have changed.
func (a *Agent) watchFiles(ctx context.Context) {
	var tick <-chan time.Time
	if a.opt.WatchFiles {
		t := time.NewTicker(a.opt.watchEvery)
		defer t.Stop()
		tick = t.C
	}
	seen, settings := a.ruleFiles.mark, a.ruleFiles.settings
	last := seen
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.reloads.ask:
			seen = a.ruleMark()
			a.reload()
		case <-tick:
			now := a.ruleMark()
			// Only what stays as it is for a while is read: no half-written file.
			if now != seen && now == last {
				seen = now
				a.reload()
			}
			last = now
			if now := a.configMark(); now != settings {
				settings = now
				a.log.Warn("the configuration has changed: restart the agent to apply it; changed rules are applied without")
			}
		}
	}
}

func (a *Agent) reload() {
	set, files, err := a.load()
	if err != nil {
		a.reloads.failed.Add(1)
		a.log.Error("the changed rules do not load: the rules stay as they were", "ruleset", a.rules.Load().Hash(), "error", err)
		return
	}
	before := a.rules.Load()
	a.take(set, files)
	if s, ok := a.source.(selective); ok {
		if err := s.SetTypes(set.Types()); err != nil {
			a.log.Error("the kernel still reports what the rules before asked for", "error", err)
		}
	}
	a.log.Info("rules are loaded again", "rules", set.Len(), "ruleset", set.Hash(), "changed", set.Hash() != before.Hash())
}

// ruleMark changes whenever a rules file does.
func (a *Agent) ruleMark() string {
	names, absent, err := a.ruleFiles.names()
	return fmt.Sprint(mark(names), absent, err)
}

// configMark changes whenever a configuration file does.
func (a *Agent) configMark() string {
	names := make([]string, len(a.opt.ConfigFiles))
	for i, f := range a.opt.ConfigFiles {
		names[i] = f.Name
	}
	return mark(slices.Compact(names))
}

// mark says of files what changes when their content does.
func mark(names []string) string {
	var b strings.Builder
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			fmt.Fprintf(&b, "%q %v\n", name, err)
			continue
		}
		fmt.Fprintf(&b, "%q %d %d %s\n", name, info.Size(), info.ModTime().UnixNano(), identity(info))
	}
	return b.String()
}
