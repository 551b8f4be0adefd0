package playbook_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/agent/alert"
	"riposte/responder/playbook"
)

var update = flag.Bool("update", false, "write the golden files")

var now = time.Date(2026, 3, 4, 5, 6, 7, 890, time.UTC)

// patient is for tests that are not about the deadline: machines can be slow.
var patient = playbook.Options{Deadline: time.Minute}

// drill is the input of the drill: a container without Kubernetes.
func drill(t testing.TB) playbook.Input {
	b, err := os.ReadFile(filepath.Join("testdata", "drill.json"))
	require.NoError(t, err)
	a := new(alert.Alert)
	require.NoError(t, json.Unmarshal(b, a))
	require.NoError(t, a.Validate())
	return playbook.Input{
		Alert: a, Binding: playbook.None, Node: playbook.Identified{Name: "node-1.example"}, Cluster: playbook.Named{Name: "local"}, Now: now,
		Incident: &playbook.Incident{ID: "0198", Alerts: 1, FirstAt: now},
	}
}

// podAlert is the same, about a confirmed pod.
func podAlert(t testing.TB) playbook.Input {
	in := drill(t)
	in.Alert.Riposte.Pod = &alert.Pod{Namespace: "shop", Name: "web-0", UID: "7d0c"}
	in.Binding = playbook.Bound
	in.Pod = &playbook.Pod{Namespace: "shop", Name: "web-0", UID: "7d0c", Node: "node-1.example", Owner: "StatefulSet/web"}
	return in
}

func golden(t *testing.T, name string, got []byte) {
	file := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(file, append(got, '\n'), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, strings.TrimSpace(string(want)), string(got))
}

func TestDrill(t *testing.T) {
	s, err := playbook.Load(patient, playbook.Embedded())
	require.NoError(t, err)

	got := s.Evaluate(context.Background(), drill(t))
	require.Equal(t, []string{"delete_pod_on_critical", "kill_container_on_critical", "node_under_attack"}, asked(got))
	require.Equal(t, "delete_pod_on_critical", got[0].Playbook)
	require.Empty(t, got[0].Proposals)
	require.Empty(t, got[0].Refusal)
	require.JSONEq(t, `{"action": []}`, string(got[0].Result))
	require.Equal(t, "kill_container_on_critical", got[1].Playbook)
	require.Equal(t, playbook.Enforce, got[1].Mode)
	require.Empty(t, got[1].Refusal)
	require.Equal(t, []playbook.Proposal{{
		Type:   "kill_container",
		Reason: `Critical alert "Sensitive file read in a container"`,
		Target: playbook.Target{
			Kind: "container", ContainerID: "4f1c7a0e5b2d4f1c7a0e5b2d4f1c7a0e5b2d4f1c7a0e5b2d4f1c7a0e5b2d4f1c",
			CgroupID: 18446744073709551000, StartNS: 9007199254740993,
		},
	}}, got[1].Proposals)
	golden(t, "drill.input.json", got[1].Input)
	golden(t, "drill.result.json", got[1].Result)
}

func TestPodIsDeletedByUID(t *testing.T) {
	s, err := playbook.Load(patient, playbook.Embedded())
	require.NoError(t, err)
	got := s.Evaluate(context.Background(), podAlert(t))
	require.Equal(t, []string{"delete_pod_on_critical", "kill_container_on_critical", "node_under_attack"}, asked(got))
	require.Equal(t, []playbook.Proposal{{
		Type: "delete_pod", Reason: `Critical alert "Sensitive file read in a container"`,
		Target: playbook.Target{Kind: "pod", Namespace: "shop", Name: "web-0", UID: "7d0c"},
	}}, got[0].Proposals)
	require.Empty(t, got[1].Proposals)

	in := podAlert(t)
	in.Alert.Priority = alert.Error
	require.Equal(t, []string{"node_under_attack"}, asked(s.Evaluate(context.Background(), in)), "below Critical the others are not asked")
}

// asked are the names of the playbooks that decided.
func asked(decisions []playbook.Decision) []string {
	out := make([]string, len(decisions))
	for i, d := range decisions {
		out[i] = d.Playbook
	}
	return out
}

func TestTrigger(t *testing.T) {
	critical := alert.Critical
	a := &alert.Alert{Rule: "Shell", Priority: alert.Critical, Source: "syscall", Tags: []string{"shell", "T1059"}}
	tests := map[string]struct {
		trigger playbook.Trigger
		want    bool
	}{
		"rule":                     {playbook.Trigger{Rules: []string{"Other", "Shell"}}, true},
		"rule, other case":         {playbook.Trigger{Rules: []string{"shell"}}, false},
		"a part of the rule":       {playbook.Trigger{Rules: []string{"She"}}, false},
		"tag":                      {playbook.Trigger{Tags: []string{"none", "shell"}}, true},
		"no tag":                   {playbook.Trigger{Tags: []string{"none"}}, false},
		"priority":                 {playbook.Trigger{Priority: &critical}, true},
		"source":                   {playbook.Trigger{Sources: []string{"syscall"}}, true},
		"other source":             {playbook.Trigger{Sources: []string{"k8s_audit"}}, false},
		"all":                      {playbook.Trigger{Rules: []string{"Shell"}, Tags: []string{"shell"}, Priority: &critical, Sources: []string{"syscall"}}, true},
		"all but one":              {playbook.Trigger{Rules: []string{"Shell"}, Tags: []string{"none"}, Priority: &critical}, false},
		"rule fits, source not":    {playbook.Trigger{Rules: []string{"Shell"}, Sources: []string{"k8s_audit"}}, false},
		"priority fits, rule not":  {playbook.Trigger{Rules: []string{"x"}, Priority: &critical}, false},
		"nothing given, all taken": {playbook.Trigger{}, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { require.Equal(t, tt.want, tt.trigger.Matches(a)) })
	}
	for p := alert.Emergency; p <= alert.Debug; p++ {
		a.Priority = p
		require.Equal(t, p <= alert.Critical, playbook.Trigger{Priority: &critical}.Matches(a), p)
	}
}

// The index asks exactly those whose trigger matches, in the order of their names.
func TestIndexAgreesWithTriggers(t *testing.T) {
	var files []string
	for i, trigger := range []string{
		"{rules: [Shell]}", "{rules: [Shell, Shell, Other]}", "{tags: [shell]}", "{priority: notice}", "{priority: emergency}",
		"{sources: [k8s_audit]}", "{rules: [Other], tags: [shell]}", "{rules: [Shell], priority: debug}",
	} {
		name := fmt.Sprintf("p%d", 9-i)
		files = append(files, name+".rego", strings.Replace(head(name), "{priority: debug}", trigger, 1)+killPod)
	}
	s := load(t, patient, files...)
	for _, rule := range []string{"Shell", "Other", "None"} {
		for p := alert.Emergency; p <= alert.Debug; p++ {
			in := drill(t)
			in.Alert.Rule, in.Alert.Priority, in.Alert.Tags = rule, p, []string{"shell"}
			var want, got []string
			for _, pb := range s.Playbooks() {
				if pb.Trigger.Matches(in.Alert) {
					want = append(want, pb.Name)
				}
			}
			for _, d := range s.Evaluate(context.Background(), in) {
				got = append(got, d.Playbook)
			}
			require.Equal(t, want, got, "%s %s", rule, p)
		}
	}
}

// evaluate asks one playbook with that body.
func evaluate(t testing.TB, o playbook.Options, in playbook.Input, body string) playbook.Decision {
	in.Alert.Priority = alert.Debug
	if o.Deadline == 0 {
		o.Deadline = patient.Deadline
	}
	s, err := playbook.Load(o, source("user", "a.rego", head("a")+body))
	require.NoError(t, err)
	got := s.Evaluate(context.Background(), in)
	require.Len(t, got, 1)
	return got[0]
}

func TestDeadlineRefuses(t *testing.T) {
	start := time.Now()
	d := evaluate(t, playbook.Options{Deadline: 50 * time.Millisecond}, drill(t),
		"action contains {\"type\": \"x\"} if {\n\tcount([1 | some i in numbers.range(1, 30000); some j in numbers.range(1, 30000); i * j == -1]) > 0\n}\n")
	require.Equal(t, "the evaluation did not end within 50ms", d.Refusal)
	require.Empty(t, d.Proposals)
	require.NotEmpty(t, d.Input)
	require.Less(t, time.Since(start), 5*time.Second)
}

func TestTooManyActionsRefuse(t *testing.T) {
	body := "action contains {\"type\": \"x\", \"n\": i} if some i in numbers.range(1, %d)\n"
	d := evaluate(t, playbook.Options{Deadline: 10 * time.Second}, drill(t), fmt.Sprintf(body, 10000))
	require.Equal(t, "10000 actions: a playbook may propose 16 for one alert", d.Refusal)
	require.Empty(t, d.Result, "it is not even written down")
	d = evaluate(t, playbook.Options{MaxActions: 2}, drill(t), fmt.Sprintf(body, 3))
	require.Equal(t, "3 actions: a playbook may propose 2 for one alert", d.Refusal)
}

func TestBuiltinErrorRefuses(t *testing.T) {
	// Without strict errors `not` would turn the failure into true.
	d := evaluate(t, playbook.Options{}, drill(t), "action contains {\"type\": \"x\"} if not to_number(input.alert.rule) == 1\n")
	require.Contains(t, d.Refusal, "user/a.rego:13:38: to_number")
	require.Empty(t, d.Proposals)
}

func TestHugeInputRefuses(t *testing.T) {
	in := drill(t)
	in.Alert.Output = strings.Repeat("x", 2000)
	d := evaluate(t, playbook.Options{MaxInput: 1000}, in, killPod)
	require.Regexp(t, `^the input has \d+ bytes, 1000 are allowed$`, d.Refusal)
	require.JSONEq(t, "null", string(d.Input))
}

func TestOneBadPlaybookHoldsUpNoOther(t *testing.T) {
	s := load(t, playbook.Options{Deadline: time.Second},
		"a.rego", head("a")+"action contains {\"type\": \"x\"} if count([1 | some i in numbers.range(1, 30000); some j in numbers.range(1, 30000); i * j == -1]) > 0\n",
		"b.rego", head("b")+"action contains 7\n",
		"c.rego", head("c")+killPod)
	in := drill(t)
	in.Alert.Priority = alert.Debug
	got := s.Evaluate(context.Background(), in)
	require.Len(t, got, 3)
	require.NotEmpty(t, got[0].Refusal)
	require.NotEmpty(t, got[1].Refusal)
	require.Empty(t, got[2].Refusal)
	require.Len(t, got[2].Proposals, 1)
}

func TestEvaluateEndsWithItsContext(t *testing.T) {
	s := load(t, patient, many(3)...)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.Empty(t, s.Evaluate(ctx, podAlert(t)))
	require.Empty(t, s.Evaluate(context.Background(), playbook.Input{}), "no alert, no decision")
}

// Same input and revision, same decision, to the byte: also what asks for the time.
func TestDeterminism(t *testing.T) {
	body := `action contains {"type": "x", "reason": sprintf("%d %v", [time.now_ns(), i]), "target": target, "params": {"z": i, "a": {3, 1, 2}}} if {
	some i in {"c", "a", "b"}
	target := {"kind": "pod", "namespace": "a", "name": i, "uid": "u"}
}
`
	var first playbook.Decision
	for i := range 20 {
		d := evaluate(t, playbook.Options{}, podAlert(t), body)
		require.Empty(t, d.Refusal)
		d.Began, d.Took = time.Time{}, 0
		if i == 0 {
			first = d
			require.Len(t, d.Proposals, 3)
			require.Equal(t, fmt.Sprintf("%d a", now.UnixNano()), d.Proposals[0].Reason)
			require.JSONEq(t, `{"a": [1, 2, 3], "z": "a"}`, string(d.Proposals[0].Params))
		}
		require.Equal(t, first, d)
	}
	// Replay: the recorded input alone gives the recorded result.
	var in playbook.Input
	require.NoError(t, json.Unmarshal(first.Input, &in))
	again := evaluate(t, playbook.Options{}, in, body)
	again.Began, again.Took = time.Time{}, 0
	require.Equal(t, first, again)
}

func TestPrivateRulesAreNoResult(t *testing.T) {
	d := evaluate(t, playbook.Options{}, drill(t), "_secret := 7\n\n_f(x) := x\n\n"+killPod+"\n_g if _f(_secret) == 7\n")
	require.Empty(t, d.Refusal)
	require.NotContains(t, string(d.Result), "secret")
}

func TestHistoryIsCut(t *testing.T) {
	in := drill(t)
	for range 50 {
		in.History = append(in.History, playbook.Past{Type: "kill_container", State: "succeeded", At: now})
	}
	d := evaluate(t, playbook.Options{}, in, `action contains {
	"type": "x",
	"reason": sprintf("%d before", [count(input.history)]),
	"target": {"kind": "pod", "namespace": "a", "name": "b", "uid": "u"},
}
`)
	require.Equal(t, "20 before", d.Proposals[0].Reason)
}

// said is what decisions say, without the time that they took.
func said(all []playbook.Decision) string {
	all = slices.Clone(all)
	for i := range all {
		all[i].Began, all[i].Took = time.Time{}, 0
	}
	return fmt.Sprint(all)
}

func TestConcurrentUse(t *testing.T) {
	s := load(t, patient, many(5)...)
	want := s.Evaluate(context.Background(), podAlert(t))
	require.Len(t, want, 8)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				if got := s.Evaluate(context.Background(), podAlert(t)); said(got) != said(want) {
					t.Errorf("got %v, want %v", got, want)
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkEvaluate(b *testing.B) {
	for _, n := range []int{2, 10, 100} {
		b.Run(fmt.Sprintf("playbooks=%d", n), func(b *testing.B) {
			s := load(b, playbook.Options{}, many(n-2)...)
			in := podAlert(b)
			b.ReportAllocs()
			for b.Loop() {
				if got := s.Evaluate(context.Background(), in); len(got) != n {
					b.Fatalf("%d decisions", len(got))
				}
			}
		})
	}
}

func BenchmarkEvaluateNoneTriggered(b *testing.B) {
	s := load(b, playbook.Options{})
	in := podAlert(b)
	in.Alert.Priority = alert.Debug
	b.ReportAllocs()
	for b.Loop() {
		s.Evaluate(context.Background(), in)
	}
}
