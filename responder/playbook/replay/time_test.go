package replay_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/responder/api"
	"riposte/responder/guard"
	"riposte/responder/playbook"
	"riposte/responder/playbook/replay"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// input is about the n-th pod of one node, decided about at a time.
func input(n int, rule string, at time.Time) json.RawMessage {
	name, err := json.Marshal(rule)
	if err != nil {
		panic(err) // not for a text
	}
	return fmt.Appendf(nil, `{"schema":1,"alert":{"uuid":"01950000-0000-7000-8000-a%011d","time":%[2]q,"rule":%[3]s,"priority":"Critical","source":"syscall","hostname":"n","output":"o","tags":[],`+
		`"output_fields":{},"riposte":{"schema":1,"cluster":"c","node":"n","boot_id":"b","seq":1,"pod":{"namespace":"shop","name":"web-%[1]d","uid":"u%[1]d"}}},"binding":"bound",`+
		`"pod":{"namespace":"shop","name":"web-%[1]d","uid":"u%[1]d","node":"n"},"node":{"name":"n"},"cluster":{"name":"c"},"history":[],"now":%[2]q}`, n, at.Format(time.RFC3339Nano), name)
}

// deletion is the recorded decision to delete the n-th pod; took is how long that took.
func deletion(n int, rule string, at time.Time, took time.Duration) api.RecordedDecision {
	d := api.RecordedDecision{
		Playbook: "delete_pod_on_critical", Revision: "r1", Mode: "enforce", State: "decided", DecidedAt: at, Count: 1, Input: input(n, rule, at),
		Result: fmt.Appendf(nil, `{"action":[{"type":"delete_pod","target":{"kind":"pod","namespace":"shop","name":"web-%d","uid":"u%[1]d"},"reason":%q}]}`, n, fmt.Sprintf("Critical alert %q", rule)),
	}
	if took > 0 {
		done := at.Add(took)
		d.Actions = []api.RecordedAction{{ID: "x", Type: "delete_pod", State: "succeeded", ExecutedAt: &done}}
	}
	return d
}

func lines(t *testing.T, all ...api.Recorded) iter.Seq2[[]byte, error] {
	t.Helper()
	var out [][]byte
	for _, r := range all {
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		require.NoError(t, enc.Encode(r))
		out = append(out, b.Bytes())
	}
	return func(yield func([]byte, error) bool) {
		for _, l := range out {
			if !yield(l, nil) {
				return
			}
		}
	}
}

func embedded(t *testing.T) *playbook.Set {
	t.Helper()
	s, err := playbook.Load(playbook.Options{Deadline: replay.Deadline}, playbook.Embedded())
	require.NoError(t, err)
	return s
}

func alone() guard.Options {
	l := guard.DefaultLimits()
	l.Node = guard.Budget{Count: 1, Window: 10 * time.Minute}
	return guard.Options{Limits: l}
}

// A decision about an equal alert stands in the line of the first, and counts at its
// own time all the same.
func TestDecisionsCountInTheirOrder(t *testing.T) {
	kernel := noon.Add(-5 * time.Millisecond)
	r, err := replay.Run(t.Context(), lines(t,
		api.Recorded{AlertID: "a", ReceivedAt: noon, KernelAt: &kernel, Count: 2, Input: input(1, "R", noon), Decisions: []api.RecordedDecision{
			deletion(1, "R", noon, 20*time.Millisecond), deletion(3, "R", noon.Add(2*time.Hour), 0),
		}},
		api.Recorded{AlertID: "b", ReceivedAt: noon.Add(11 * time.Minute), Count: 1, Input: input(2, "R", noon.Add(11*time.Minute)), Decisions: []api.RecordedDecision{
			deletion(2, "R", noon.Add(11*time.Minute), 0),
		}},
	), replay.Options{Set: embedded(t), Names: []string{"delete_pod_on_critical"}, Actions: registry, Guard: alone()})
	require.NoError(t, err)
	require.Zero(t, r.Added+r.Removed+r.Changed, "%v", r.Changes)
	require.EqualValues(t, 3, r.After.Allowed)
	require.Zero(t, r.After.Asked)
	require.Equal(t, 3, r.After.PodsDeleted)
	require.Equal(t, []string{"web-1", "web-2", "web-3"}, []string{r.After.Pods[0].Name, r.After.Pods[1].Name, r.After.Pods[2].Name})
	require.EqualValues(t, 3, r.After.Contain.Effects)
	require.EqualValues(t, 1, r.After.Contain.Unknown, "the second alert has no time of the kernel's")
}

func TestTimeToTheEffect(t *testing.T) {
	kernel := noon.Add(-5 * time.Millisecond)
	var all []api.Recorded
	for n := range 3 {
		took := 20 * time.Millisecond
		if n == 2 {
			took = 0 // was not executed: as long as the others
		}
		all = append(all, api.Recorded{AlertID: strconv.Itoa(n), ReceivedAt: noon, KernelAt: &kernel, Count: 1, Input: input(n, "R", noon), Decisions: []api.RecordedDecision{deletion(n, "R", noon, took)}})
	}
	r, err := replay.Run(t.Context(), lines(t, all...), replay.Options{Actions: registry})
	require.NoError(t, err)
	require.Equal(t, replay.Times{Effects: 3, Median: 25 * time.Millisecond, P90: 25 * time.Millisecond, Longest: 25 * time.Millisecond}, r.After.Contain)
}

// Lines that are no lines are counted, and a panic is one line's.
func TestBadLines(t *testing.T) {
	r, err := replay.Run(t.Context(), func(yield func([]byte, error) bool) {
		for _, l := range []string{"", "no", "{}", `{"input":{}}`, `{"input":{"alert":{}}}`, `{"rule":"x"}`, string(input(1, "R", noon)), `{"input":null,"decisions":[{}]}`} {
			if !yield([]byte(l), nil) {
				return
			}
		}
	}, replay.Options{Set: embedded(t), Actions: registry})
	require.NoError(t, err)
	require.EqualValues(t, 7, r.Alerts)
	require.EqualValues(t, 6, r.Unreadable)
	require.Len(t, r.Errors, 5)
	require.EqualValues(t, 1, r.Added)
}

// What an attacker wrote is text in the report and nothing else.
func TestReportsOfHostileText(t *testing.T) {
	hostile := "a|b\n# <img src=x onerror=alert(1)> [l](javascript:x) `c` @everyone \x1b[2J"
	r, err := replay.Run(t.Context(), lines(t, api.Recorded{
		AlertID: "a", ReceivedAt: noon, Count: 1, Input: input(1, hostile, noon), Decisions: []api.RecordedDecision{},
	}), replay.Options{Set: embedded(t), Names: []string{"delete_pod_on_critical"}, Actions: registry})
	require.NoError(t, err)
	require.EqualValues(t, 1, r.Added)
	show := func(s string) string {
		return strings.Map(func(r rune) rune {
			if r < ' ' && r != '\n' {
				return '?'
			}
			return r
		}, s)
	}
	var md bytes.Buffer
	require.NoError(t, r.Markdown(&md, nil, show))
	require.Contains(t, md.String(), `a\|b \# &#60;img src=x onerror=alert\(1\)&#62; \[l\]\(javascript:x\)`)
	require.NotContains(t, md.String(), "@everyone")
	lines := slices.Collect(strings.Lines(md.String()))
	require.False(t, slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, "# ") }))
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"rule":"x","time":"2026-03-01T12:00:00Z","priority":"Critical","output_fields":{"k8s.pod.name":"a"}}`))
	f.Add([]byte(input(1, "R", noon)))
	f.Add([]byte(`{"input":{"alert":{"rule":"x"},"now":"2026-03-01T12:00:00Z"},"decisions":[{"playbook":"delete_pod_on_critical","revision":"r","result":{"action":[{"type":"kill_process"}]}}]}`))
	set, err := playbook.Load(playbook.Options{}, playbook.Embedded())
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, line []byte) {
		r, err := replay.Run(t.Context(), func(yield func([]byte, error) bool) { yield(line, nil) }, replay.Options{Set: set, Actions: registry, Workers: 1})
		if err != nil {
			require.True(t, replay.Nothing(err) || len(line) == 0, err)
			return
		}
		for _, e := range r.Errors {
			require.NotContains(t, e, "panicked")
		}
	})
}
