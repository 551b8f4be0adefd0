package agent

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/agent/alert"
	"riposte/agent/config"
	"riposte/agent/event"
	"riposte/agent/publish"
	"riposte/agent/rules"
)

// configured starts an agent whose options come from a function that the test
// changes.
type configured struct {
	mu  sync.Mutex
	opt Options
	err error
}

func (c *configured) read() (Options, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	o := c.opt
	o.Reconfigure = c.read
	return o, c.err
}

func (c *configured) change(change func(o *Options)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.opt)
}

func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	require.Eventually(t, ok, 20*time.Second, 2*time.Millisecond, what)
}

func TestAChangedConfigurationHoldsWithoutARestart(t *testing.T) {
	dir := t.TempDir()
	file, one, two := filepath.Join(dir, "c.yaml"), filepath.Join(dir, "1.yaml"), filepath.Join(dir, "2.yaml")
	write(t, file, "x: 1\n")
	write(t, one, ruleText("one", "/a"))
	write(t, two, ruleText("two", "/b"))
	var level slog.LevelVar
	c := &configured{opt: Options{
		Output: &bytes.Buffer{}, RuleFiles: []string{one}, WatchFiles: true, ConfigPaths: []string{file}, ConfigFiles: []config.File{{Name: file, Content: []byte("x: 1\n")}},
		Cluster: "first", File: &publish.FileOptions{Name: filepath.Join(dir, "old")}, SetLogLevel: level.Set, Drops: &DropPolicy{Burst: 1},
	}}
	opt, err := c.read()
	require.NoError(t, err)
	a, log := lingering(t, opt)
	c.change(func(o *Options) {
		o.Log, o.Output, o.Recording, o.Linger = a.opt.Log, a.opt.Output, a.opt.Recording, true
	})
	tell := func() { a.internal(firing{rule: "told", priority: alert.Error, message: "m"}) }
	lines := func(name string) int {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return 0
		}
		return strings.Count(string(content), "Error m")
	}
	tell()

	c.change(func(o *Options) {
		o.QueueLines = 10 // the standard output too is opened again
		o.RuleFiles, o.Cluster, o.Web, o.LogLevel = []string{two}, "second", &Web{}, slog.LevelDebug
		o.File, o.Encoding = &publish.FileOptions{Name: filepath.Join(dir, "new")}, publish.Encoding{Format: publish.JSON}
		o.Append, o.Static, o.Muted, o.Drops = []config.Append{{Output: "in %static.env"}}, map[string]string{"env": "prod"}, []event.Type{event.Close}, nil
		o.ConfigFiles = []config.File{{Name: file, Content: []byte("x: 22\n")}}
	})
	write(t, file, "x: 22\n")
	await(t, "the change is seen", func() bool { return a.current.Load().rules.Rules()[0].Name == "two" })
	tell()

	await(t, "old and new output have one alert each", func() bool { return lines("old") == 1 && lines("new") == 1 })
	require.Contains(t, a.current.Load().rules.Describe().Rules[0].Details.OutputCompiled, "in %static.env")
	require.True(t, a.current.Load().muted[event.Close])
	require.Nil(t, a.current.Load().drops)
	log.Await(t, "hold after a restart")
	require.True(t, log.Has(`keys="riposte.cluster webserver"`))
	require.Equal(t, slog.LevelDebug, level.Level())
	require.Equal(t, "first", a.heartbeat().Cluster)
	await(t, "the old output is counted still", func() bool { _, sent, _ := a.tally.counts(); return sent["file"] == 2 })

	// What is wrong changes nothing, at whichever step it is found.
	before := a.current.Load()
	for want, change := range map[string]func(o *Options){
		"no such thing":             func(*Options) { c.err = errors.New("no such thing") },
		"no such file":              func(o *Options) { o.File = &publish.FileOptions{Name: filepath.Join(dir, "none", "x")} },
		"unknown field fd.nam":      func(o *Options) { o.Append = []config.Append{{Output: "%fd.nam"}} },
		"alerts would go nowhere":   func(o *Options) { o.Output, o.File = nil, nil },
		"there is no rules file in": func(o *Options) { o.RuleFiles, o.RuleFilesOptional = []string{filepath.Join(dir, "no.yaml")}, true },
	} {
		good := c.opt
		failed := a.reloads.failed.Load()
		c.change(change)
		a.Reload()
		await(t, want, func() bool { return a.reloads.failed.Load() == failed+1 })
		require.True(t, log.Has(want), want)
		require.Same(t, before, a.current.Load())
		c.change(func(o *Options) { *o, c.err = good, nil })
	}
	a.Reload()
	await(t, "a corrected one", func() bool { return a.current.Load() != before })
	require.Equal(t, before.channels, a.current.Load().channels, "an output that is as it was stays open")
}

func TestAFailedReloadIsAnAlert(t *testing.T) {
	p, out := newPipeline(t)
	a := &Agent{live: Options{Reconfigure: func() (Options, error) { return Options{}, errors.New("c.yaml:3:1: wrong") }}}
	a.log, a.stamp = slog.New(slog.DiscardHandler), p.stamp
	a.current.Store(p.current.Load())
	a.reload(nil)
	require.Len(t, out.all, 1)
	require.NoError(t, out.all[0].Validate())
	require.Equal(t, failureRule, out.all[0].Rule)
	require.Equal(t, "internal", out.all[0].Source)
	require.Equal(t, "c.yaml:3:1: wrong", out.all[0].OutputFields["riposte.error"])
}

// named keeps the rules of its alerts, under its own name.
type named struct {
	name string
	got  *[]string
}

func (n named) Put(a *alert.Alert) error {
	*n.got = append(*n.got, n.name+" "+a.Rule+" "+fmt.Sprint(a.OutputFields["static.set"]))
	return nil
}

// TestAnEventIsLookedAtAndToldWithOneConfiguration swaps rules, what is appended
// and outputs while events come that fire two rules each. Both alerts of an event
// have one configuration's rules, fields and output, and each event has its two.
func TestAnEventIsLookedAtAndToldWithOneConfiguration(t *testing.T) {
	var got []string
	var sets [2]*settings
	for i, name := range []string{"even", "odd"} {
		text := strings.ReplaceAll("- rule: NAME 1\n  desc: d\n  condition: evt.type = openat\n  output: o\n  priority: ERROR\n- rule: NAME 2\n  desc: d\n  condition: fd.num = 3\n  output: o\n  priority: ERROR\n  warn_evttypes: false\n", "NAME", name)
		set, err := rules.Options{
			MatchAll: true, Static: map[string]string{"set": name}, Append: []rules.Append{{Fields: []rules.ExtraField{{Name: "static.set", Raw: true}}}},
		}.Load(rules.File{Name: "f", Content: []byte(text)})
		require.NoError(t, err)
		sets[i] = &settings{rules: set, outputs: []output{named{name, &got}}}
	}
	p, _ := newPipeline(t)
	p.swap(sets[0])
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				p.swap(sets[i%2])
			}
		}
	}()
	const events = 20_000
	for range events {
		p.handle(opened("/a", ""))
	}
	close(stop)
	<-done
	require.Len(t, got, 2*events, "each event has its two alerts, none is lost or doubled")
	seen := map[string]int{}
	for i := 0; i < len(got); i += 2 {
		name, _, _ := strings.Cut(got[i], " ")
		require.Equal(t, name+" "+name+" 1 "+name, got[i])
		require.Equal(t, name+" "+name+" 2 "+name, got[i+1])
		seen[name]++
	}
	require.Len(t, seen, 2, "both were in force: %v", seen)
}

func TestSnapshots(t *testing.T) {
	dir := t.TempDir()
	var out bytes.Buffer
	rule := filepath.Join(dir, "my rules.yaml")
	write(t, rule, "- rule: every \"exec\"\n  desc: d\n  condition: evt.type in (execve, open, openat)\n  output: o\n  priority: WARNING\n")
	name := filepath.Join(dir, "figures")
	a, _ := lingering(t, Options{
		Version: "v1", RuleFiles: []string{rule}, Output: &out, Encoding: publish.Encoding{Format: publish.JSON}, ConfigFiles: []config.File{{Name: "/etc/riposte.yaml"}},
		Snapshots: &Snapshots{Interval: 100 * time.Millisecond, File: name, Rules: true, Resources: true, Kernel: true, Megabytes: true},
	})
	var lines []string
	await(t, "two samples", func() bool {
		content, err := os.ReadFile(name)
		lines = strings.SplitAfter(string(content), "\n")
		return err == nil && len(lines) > 2
	})
	var got struct {
		Sample int
		Fields map[string]any `json:"output_fields"`
	}
	require.NoError(t, json.Unmarshal([]byte(lines[1]), &got))
	require.Equal(t, 2, got.Sample)
	for _, key := range []string{
		"falco.start_ts", "falco.duration_sec", "falco.host_num_cpus", "falco.num_evts", "falco.num_evts_prev", "falco.evts_rate_sec", "falco.rules.matches_total",
		"falco.rules.every__exec_", "falco.memory_rss_mb", "falco.host_boot_ts", "falco.cpu_usage_perc", "scap.n_evts", "scap.n_drops", "scap.n_drops_perc",
		"falco.sha256_rules_file.my_rules_yaml", "falco.sha256_config_file.riposte_yaml", "falco.outputs_queue_num_drops",
	} {
		require.Contains(t, got.Fields, key)
	}
	require.NotContains(t, got.Fields, "scap.n_drops_scratch_map", "it is zero")
	require.Equal(t, "recorded", got.Fields["scap.engine_name"])
	require.NotContains(t, lines[0], "metrics snapshot")
	require.Equal(t, a.events.Load(), uint64(got.Fields["falco.num_evts"].(float64)))
}

func TestASnapshotCanBeAnAlert(t *testing.T) {
	a, out := &Agent{source: nowhere{}, opt: Options{Version: "v1", Hostname: "h"}, started: time.Now().Add(-time.Hour)}, &kept{}
	p, _ := newPipeline(t)
	a.table = still{}
	a.current.Store(&settings{rules: p.current.Load().rules, outputs: []output{out}})
	require.NoError(t, a.snapshot(t.Context(), &Snapshots{Alert: true, Kernel: true, Empty: true}, time.Now()))
	require.Len(t, out.all, 1)
	require.Equal(t, snapshotRule, out.all[0].Rule)
	require.Equal(t, alert.Informational, out.all[0].Priority)
	require.Equal(t, "internal", out.all[0].Source)
	require.Contains(t, out.all[0].Output, ": Informational Falco metrics snapshot")
	require.Equal(t, uint64(5), out.all[0].OutputFields["scap.n_drops"])
	require.InDelta(t, 0, out.all[0].OutputFields["scap.n_drops_scratch_map"], 0)
}

// nowhere is a source without events that has lost some.
type nowhere struct{ source }

func (nowhere) Name() string            { return "nowhere" }
func (nowhere) Lost() map[string]uint64 { return map[string]uint64{"ring_full": 5} }
