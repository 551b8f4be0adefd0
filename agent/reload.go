package agent

import (
	"context"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"riposte/agent/alert"
	"riposte/agent/event"
)

// reloads is what became of rules and configuration since the start.
type reloads struct {
	ask chan struct{}
	// failed counts reloads that kept what was there.
	failed atomic.Uint64
	// lastNS is when rules were taken last, Unix nanoseconds.
	lastNS atomic.Int64
}

// Reload reads the configuration and the rule files again, soon, and keeps what
// it has if something in them is wrong.
func (a *Agent) Reload() {
	select {
	case a.reloads.ask <- struct{}{}:
	default: // it is asked for already
	}
}

// marks say of files what changes when they do.
type marks struct{ rules, config string }

// marks are those of the files as they are now.
func (o *Options) marks(files *ruleFiles) marks {
	names, absent, err := files.names()
	m := marks{rules: fmt.Sprint(mark(names), absent, err)}
	if o.Reconfigure != nil {
		m.config = mark(o.ConfigPaths)
	}
	return m
}

// watchFiles reloads until ctx ends: when asked, and when files have changed.
// start runs an output that is new.
func (a *Agent) watchFiles(ctx context.Context, start func(channel)) {
	t := time.NewTicker(a.opt.watchEvery)
	defer t.Stop()
	last := a.filesSeen
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.reloads.ask:
			a.reload(start)
		case <-t.C:
			if !a.live.WatchFiles {
				continue
			}
			now := a.live.marks(&a.ruleFiles)
			// Only what stays as it is for a while is read: no half-written file.
			if now == last && now != a.filesSeen {
				a.reload(start)
			}
			last = now
		}
	}
}

// reload reads everything again and takes it, or keeps everything.
func (a *Agent) reload(start func(channel)) {
	a.filesSeen = a.live.marks(&a.ruleFiles)
	next := a.live
	var err error
	if a.live.Reconfigure != nil {
		next, err = a.live.Reconfigure()
	}
	if err == nil {
		err = a.apply(next, start)
	}
	if err == nil {
		return
	}
	a.reloads.failed.Add(1)
	a.log.Error("what has changed does not load: rules and configuration stay as they were", "ruleset", a.current.Load().rules.Hash(), "error", err)
	a.internal(firing{
		rule: failureRule, priority: alert.Critical, message: "Falco hot restart failure: rules and configuration stay as they were",
		fields: map[string]any{"riposte.error": err.Error()},
	})
}

// failureRule is Falco's name for the alert about a reload that failed.
const failureRule = "Falco internal: hot restart failure"

// apply takes what can change while events come: all of it, or after an error
// nothing.
func (a *Agent) apply(next Options, start func(channel)) error {
	next.watchEvery = a.opt.watchEvery
	if err := next.Complete(); err != nil {
		return err
	}
	restart := next.keepFixed(&a.live)
	if err := next.Check(); err != nil {
		return err
	}
	old := a.current.Load()
	files := next.ruleFiles()
	files.loaded = a.ruleFiles.loaded
	seen := next.marks(files)
	set, content, absent, err := files.load(&next)
	if err != nil {
		return err
	}
	channels, fresh, err := a.openChannels(&next, old.channels)
	if err != nil {
		return err
	}
	files.keep(content)
	for _, c := range fresh {
		a.tally.add(c.Channel)
		start(c)
	}
	paths := set.Paths() // before others use the set
	a.interest.paths(event.Paths{})
	a.swap(a.newSettings(&next, set, content, channels))
	if a.hosts != nil {
		a.hosts.Watch(set.Hosts())
	}
	if s, ok := a.source.(selective); ok {
		if err := s.SetTypes(set.Types()); err != nil {
			a.log.Error("the kernel still reports what the rules before asked for", "error", err)
		}
	}
	a.interest.paths(paths)
	// Nothing comes to the old ones any more.
	for _, c := range old.channels {
		if !slices.Contains(channels, c) {
			c.Retire()
		}
	}
	if next.SetLogLevel != nil {
		next.SetLogLevel(next.LogLevel)
	}
	a.live, a.ruleFiles, a.filesSeen = next, *files, seen
	a.reloads.lastNS.Store(time.Now().UnixNano())
	select {
	case a.snapshots.changed <- struct{}{}:
	default:
	}
	a.tellOdd(set, absent)
	a.log.Info("rules are loaded again", "rules", set.Len(), "ruleset", set.Hash(), "changed", set.Hash() != old.rules.Hash())
	if len(restart) > 0 {
		a.log.Warn("these keys have changed and hold after a restart of the agent; all others hold now", "keys", strings.Join(restart, " "))
	}
	return nil
}

// keepFixed gives back what cannot change while events come, and names the keys
// that wanted to.
func (o *Options) keepFixed(old *Options) (keys []string) {
	for _, f := range []struct {
		key      string
		new, old *string
	}{
		{"riposte.cluster", &o.Cluster, &old.Cluster},
		{"riposte.node", &o.Node, &old.Node},
		{"riposte.nats", &o.NATS, &old.NATS},
		{"riposte.nats_key", &o.NATSKeyFile, &old.NATSKeyFile},
		{"riposte.nats_token", &o.NATSTokenFile, &old.NATSTokenFile},
		{"riposte.order_key", &o.OrderKeyFile, &old.OrderKeyFile},
		{"riposte.data", &o.DataDir, &old.DataDir},
		{"riposte.kubeconfig", &o.Kubeconfig, &old.Kubeconfig},
		{"riposte.recording", &o.Recording, &old.Recording},
		{"riposte.cgroup_root", &o.CgroupRoot, &old.CgroupRoot},
	} {
		if *f.new != *f.old {
			keys = append(keys, f.key)
			*f.new = *f.old
		}
	}
	if o.SpoolBytes != old.SpoolBytes {
		keys = append(keys, "riposte.spool_bytes")
		o.SpoolBytes = old.SpoolBytes
	}
	if o.Own != old.Own {
		keys = append(keys, "riposte.report_own")
		o.Own = old.Own
	}
	if o.RingBytes != old.RingBytes {
		keys = append(keys, "riposte.ring_bytes")
		o.RingBytes = old.RingBytes
	}
	if o.MaxProcesses != old.MaxProcesses {
		keys = append(keys, "riposte.max_processes")
		o.MaxProcesses = old.MaxProcesses
	}
	if !reflect.DeepEqual(o.Containers, old.Containers) {
		keys = append(keys, "riposte.containers")
		o.Containers = old.Containers
	}
	if (o.Web == nil) != (old.Web == nil) || o.Web != nil && *o.Web != *old.Web {
		keys = append(keys, "webserver")
		o.Web = old.Web
	}
	o.Linger = old.Linger
	if o.Output != nil && old.Output != nil {
		o.Output = old.Output
	}
	return keys
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
