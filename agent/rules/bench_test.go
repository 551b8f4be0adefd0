package rules_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/agent/capture/scap"
	"riposte/agent/capture/scap/synth"
	"riposte/agent/event"
	"riposte/agent/rules"
	"riposte/agent/rules/defaults"
)

// BenchmarkRules shows a busy node's capture to the rules: Falco's stable ones where
// RIPOSTE_FALCO_RULES names their folder, else Riposte's own. "reading" is the replay
// without rules, which the others contain; rules-ns/call is the difference.
//
//	engine   what the agent does
//	plain    the same conditions rule by rule, nothing kept or shared
//	walk     the interpreter of the syntax tree that explains rules, for every rule and event
func BenchmarkRules(b *testing.B) {
	var file bytes.Buffer
	sum, err := synth.Write(&file, synth.Options{})
	require.NoError(b, err)
	set := benchRules(b)
	var trees []*rules.Part
	byType := map[event.Type][]*rules.Rule{}
	for _, r := range set.Rules() {
		tree, err := set.Explain(r)
		require.NoError(b, err)
		trees = append(trees, tree)
		for _, t := range r.Types {
			byType[t] = append(byType[t], r)
		}
	}
	alerts, reading := 0, 0.0
	for _, way := range []struct {
		name  string
		match func(*event.Event)
	}{
		{"reading", func(*event.Event) {}},
		{"engine", func(e *event.Event) { set.Match(e, func(*rules.Rule) { alerts++ }) }},
		{"plain", func(e *event.Event) {
			for _, r := range byType[e.Type] {
				if r.Match(e) {
					alerts++
				}
			}
		}},
		{"walk", func(e *event.Event) {
			for _, tree := range trees {
				if tree.True(e) {
					alerts++
				}
			}
		}},
	} {
		b.Run(way.name, func(b *testing.B) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for b.Loop() {
				alerts = 0
				s, err := scap.Open(bytes.NewReader(file.Bytes()), scap.Options{})
				require.NoError(b, err)
				require.NoError(b, s.Run(context.Background(), way.match))
			}
			runtime.ReadMemStats(&after)
			calls := float64(b.N) * float64(sum.Exits)
			each := float64(b.Elapsed().Nanoseconds()) / calls
			if way.name == "reading" {
				reading = each
			}
			b.ReportMetric(each, "ns/call")
			b.ReportMetric(each-reading, "rules-ns/call")
			b.ReportMetric(1e9/each, "calls/s")
			b.ReportMetric(float64(after.Mallocs-before.Mallocs)/calls, "allocs/call")
			b.ReportMetric(float64(alerts), "alerts")
			b.ReportMetric(0, "ns/op")
		})
	}
}

func benchRules(b *testing.B) *rules.Ruleset {
	files := defaults.Files()
	if dir := os.Getenv("RIPOSTE_FALCO_RULES"); dir != "" {
		content, err := os.ReadFile(filepath.Join(dir, "falco_rules.yaml"))
		require.NoError(b, err)
		files = []rules.File{{Name: "falco_rules.yaml", Content: content}}
	} else {
		b.Log("RIPOSTE_FALCO_RULES is not set: Riposte's own rules are measured")
	}
	set, err := rules.Options{MatchAll: true}.Load(files...)
	require.NoError(b, err)
	return set
}
