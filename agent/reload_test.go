package agent

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/agent/alert"
	"riposte/agent/config"
	"riposte/agent/event"
	"riposte/agent/rules"
	"riposte/agent/rules/defaults"
	"riposte/deploy/logtest"
)

func ruleText(name, file string) string {
	return fmt.Sprintf("- rule: %s\n  desc: d\n  condition: evt.type = openat and fd.name = %s\n  output: o (file=%%fd.name)\n  priority: ERROR\n  tags: [a-b, a_b, T1]\n", name, file)
}

func write(t *testing.T, name, text string) {
	t.Helper()
	// A rename, as editors and mounted ConfigMaps do it: never half a file.
	require.NoError(t, os.WriteFile(name+".new", []byte(text), 0o600))
	require.NoError(t, os.Rename(name+".new", name))
}

// lingering starts an agent on the embedded recording that stays after its end.
func lingering(t *testing.T, opt Options) (*Agent, *logtest.Log) {
	t.Helper()
	log := &logtest.Log{}
	opt.Recording, opt.Linger, opt.Log = EmbeddedRecording, true, slog.New(slog.NewTextHandler(log, nil))
	opt.watchEvery = 20 * time.Millisecond
	if opt.Output == nil {
		opt.Output = io.Discard
	}
	a, err := New(opt)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-ended:
			require.NoError(t, err)
		case <-time.After(20 * time.Second):
			t.Error("the agent does not end")
		}
	})
	return a, log
}

func TestChangedRulesArePickedUpAndBadOnesAreNot(t *testing.T) {
	dir := t.TempDir()
	first := filepath.Join(dir, "1.yaml")
	write(t, first, ruleText("one", "/a"))
	a, log := lingering(t, Options{RuleFiles: []string{dir, filepath.Join(dir, "none.yaml")}, RuleFilesOptional: true, WatchFiles: true})
	require.True(t, log.Has("left out"))
	names := func() (all []string) {
		for _, r := range a.current.Load().rules.Rules() {
			all = append(all, r.Name)
		}
		return all
	}
	await := func(what string, ok func() bool) {
		t.Helper()
		require.Eventually(t, ok, 20*time.Second, 5*time.Millisecond, what)
	}
	require.Equal(t, []string{"one"}, names())

	write(t, first, ruleText("changed", "/a"))
	await("a changed file", func() bool { return names()[0] == "changed" })
	write(t, filepath.Join(dir, "2.yaml"), ruleText("two", "/b"))
	await("a new file", func() bool { return len(names()) == 2 })

	before := a.current.Load().rules
	write(t, first, "- rule: bad\n  desc: d\n  condition: evt.type = openat and fd.nam = x\n  output: o\n  priority: ERROR\n")
	log.Await(t, "what has changed does not load")
	require.True(t, log.Has("1.yaml:3:"), "and where it is bad")
	require.Same(t, before, a.current.Load().rules, "the old set stays whole")
	require.Equal(t, uint64(1), a.reloads.failed.Load())

	write(t, first, ruleText("good", "/a"))
	await("a corrected file", func() bool { return names()[0] == "good" })
	require.NotEqual(t, before.Hash(), a.heartbeat().Ruleset)
	require.Equal(t, a.current.Load().rules.Hash(), a.heartbeat().Ruleset)

	// A file is gone from its folder: that is a change. All are gone: that is a mistake.
	require.NoError(t, os.Remove(filepath.Join(dir, "2.yaml")))
	await("a file less", func() bool { return len(names()) == 1 })
	require.NoError(t, os.Remove(first))
	log.Await(t, "there is no rules file in")
	require.Equal(t, []string{"good"}, names())
}

func TestANamedRulesFileThatGoesAwayKeepsItsRules(t *testing.T) {
	dir := t.TempDir()
	one, two := filepath.Join(dir, "1.yaml"), filepath.Join(dir, "2.yaml")
	write(t, one, ruleText("one", "/a"))
	write(t, two, ruleText("two", "/b"))
	a, log := lingering(t, Options{RuleFiles: []string{one, two}, RuleFilesOptional: true})
	require.NoError(t, os.Remove(two))
	a.Reload()
	log.Await(t, "2.yaml was loaded before and is gone")
	require.Len(t, a.current.Load().rules.Rules(), 2)
}

// TestNoEventSeesHalfASet swaps between two sets while events come. A set finds
// an event with either its first or its second look: with both rules of one set
// or both of the other, one alert comes for each event.
func TestNoEventSeesHalfASet(t *testing.T) {
	sets := make([]*rules.Ruleset, 2)
	for i, names := range [][2]string{{"/lexical", "/never"}, {"/never", "/real"}} {
		set, err := rules.Load(rules.File{Name: "f", Content: []byte(ruleText("lexical", names[0]) + ruleText("real", names[1]))})
		require.NoError(t, err)
		sets[i] = set
	}
	p, out := newPipeline(t)
	p.swap(&settings{rules: sets[0], outputs: []output{out}})
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				p.swap(&settings{rules: sets[i%2], outputs: []output{out}})
			}
		}
	}()
	const events = 20_000
	for range events {
		p.handle(opened("/lexical", "/real"))
	}
	close(stop)
	<-done
	require.Len(t, out.all, events, "a set that changes within an event would find none or two")
	byRule := map[string]string{"lexical": sets[0].Hash(), "real": sets[1].Hash()}
	seen := map[string]int{}
	for _, a := range out.all {
		require.Equal(t, byRule[a.Rule], a.Riposte.Ruleset, "an alert names the set that made it")
		seen[a.Rule]++
	}
	require.Len(t, seen, 2, "both sets were in force: %v", seen)
}

func TestMutedEventsChangeStateAlone(t *testing.T) {
	p, out := newPipeline(t)
	muted := *p.current.Load()
	muted.muted[event.Openat] = true
	p.swap(&muted)
	p.handle(opened("/etc/shadow", ""))
	require.Empty(t, out.all)
}

func TestDrops(t *testing.T) {
	var log bytes.Buffer
	p, out := newPipeline(t)
	policy := DropPolicy{Threshold: 0.1, Log: true, Alert: true, Rate: 1.0 / 30, Burst: 1}
	a := &Agent{}
	a.log, a.stamp = slog.New(slog.NewTextHandler(&log, nil)), p.stamp
	a.current.Store(&settings{rules: p.current.Load().rules, outputs: []output{out}, drops: &policy})
	now := time.Now()
	a.drops.policy, a.drops.bucket, a.drops.filled = &policy, 1, now
	second := func(events, lost uint64) error {
		now = now.Add(time.Second)
		a.drops.events, a.drops.lost = 0, 0
		return a.checkDrops(now, events, map[string]uint64{"ring_full": lost, "path_cut": 1 << 40})
	}
	require.NoError(t, second(900, 0))
	require.NoError(t, second(900, 100)) // a tenth is not over a tenth
	require.Empty(t, out.all)
	require.NoError(t, second(900, 101))
	require.Len(t, out.all, 1)
	got := out.all[0]
	require.NoError(t, got.Validate())
	require.Equal(t, dropRule, got.Rule)
	require.Equal(t, "internal", got.Source)
	require.Equal(t, alert.Debug, got.Priority)
	require.Empty(t, got.Tags)
	require.Nil(t, got.Riposte.Process)
	require.Contains(t, got.Output, ": Debug Falco internal: syscall event drop. 101 system calls dropped in last second.")
	require.Equal(t, uint64(101), got.OutputFields["n_drops"])
	require.Equal(t, uint64(1001), got.OutputFields["n_evts"])
	require.Contains(t, log.String(), "dropped=101")

	require.NoError(t, second(0, 50))
	require.Len(t, out.all, 1, "the rate holds it back")
	require.Equal(t, uint64(1), a.drops.silent.Load())
	now = now.Add(40 * time.Second)
	policy.Exit = true
	require.ErrorContains(t, second(0, 50), "action exit")
	require.Len(t, out.all, 2)
	require.Equal(t, uint64(2), out.all[1].Riposte.Seq)
}

func TestMetricsAndHealth(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "rules.yaml")
	write(t, file, "- rule: every \"exec\"\n  desc: d\n  condition: evt.type in (execve, open, openat)\n  output: o\n  priority: WARNING\n  tags: [a-b, a_b, T1]\n")
	var out bytes.Buffer
	a, _ := lingering(t, Options{
		Version: "v1", RuleFiles: []string{file}, Web: &Web{Metrics: true}, Output: &out,
		ConfigFiles: []config.File{{Name: "/etc/riposte/agent.yaml"}, {Name: "/etc/riposte/x/agent.yaml"}, {Name: "/etc/riposte/agent.yaml"}},
	})
	require.True(t, strings.HasPrefix(a.WebAddr(), "127.0.0.1:"))
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	get := func(path string) string {
		resp, err := client.Get("http://" + a.WebAddr() + path)
		require.NoError(t, err)
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return string(b)
	}
	require.Eventually(t, func() bool { return strings.Contains(get("/healthz"), `"ok"`) }, 10*time.Second, time.Millisecond)
	var text string
	require.Eventually(t, func() bool {
		text = get("/metrics")
		return strings.Contains(text, "\nfalcosecurity_falco_rules_matches_total{")
	}, 10*time.Second, 5*time.Millisecond)
	for _, want := range []string{
		`falcosecurity_falco_version_info{version="v1"} 1`,
		`falcosecurity_falco_rules_matches_total{rule_name="every \"exec\"",priority="4",source="syscall",tag_T1="true",tag_a_b="true"} `,
		`falcosecurity_falco_sha256_rules_files_info{file_name="rules.yaml",sha256="`,
		`falcosecurity_falco_sha256_config_files_info{file_name="/etc/riposte/x/agent.yaml",sha256="`,
		`falcosecurity_falco_outputs_queue_num_drops_total 0`,
		`falcosecurity_scap_engine_name_info{engine_name="recorded",evt_source="syscall"} 1`,
		`falcosecurity_scap_n_drops_total 0`,
		`falcosecurity_falco_memory_rss_bytes `, `falcosecurity_falco_host_boot_timestamp_nanoseconds `, `falcosecurity_falco_host_procs_running_total `,
		`riposte_agent_output_alerts_total{output="stdout"} `, `riposte_agent_rules{ruleset="` + a.current.Load().rules.Hash() + `"} 1`,
	} {
		require.Contains(t, text, want)
	}
	series := map[string]bool{}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		name := line[:strings.LastIndexByte(line, ' ')]
		require.False(t, series[name], "%s stands there twice", name)
		series[name] = true
		require.NotContains(t, line, "NaN")
		require.NotContains(t, line, "Inf")
	}
}

// TestTheConfigurationChoosesTheRules loads the built-in rules as each of its keys says.
func TestTheConfigurationChoosesTheRules(t *testing.T) {
	load := func(o Options) int {
		set, err := o.RuleOptions().Load(defaults.Files()...)
		require.NoError(t, err)
		return set.Len()
	}
	all, critical := load(Options{}), alert.Critical
	require.Less(t, load(Options{Priority: &critical}), all)
	require.Equal(t, all-1, load(Options{Selection: []config.Selection{{Rule: "Terminal shell in a container"}}}))
	require.Zero(t, load(Options{Selection: []config.Selection{{Rule: "*"}}}))
	require.Equal(t, 1, load(Options{Selection: []config.Selection{{Rule: "*"}, {Rule: "Terminal *", Enable: true}}}))
	require.Less(t, load(Options{Selection: []config.Selection{{Tag: "mitre_execution"}}}), all)
}

func FuzzHostFigures(f *testing.F) {
	f.Add(content("/proc/stat"))
	f.Add(content("/proc/meminfo"))
	f.Add("cpu 1 2 3\nbtime x\nVmRSS: 1 kB\n")
	f.Fuzz(func(_ *testing.T, s string) {
		procStat(s)
		kilobytes(s)
	})
}
