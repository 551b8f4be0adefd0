package figures_test

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/stretchr/testify/require"

	"riposte/agent/alert"
	"riposte/responder/audit"
	"riposte/responder/bus"
	"riposte/responder/execute"
	"riposte/responder/figures"
	"riposte/responder/ingest"
	"riposte/responder/playbook"
)

func TestReferenceIsUpToDate(t *testing.T) {
	var want bytes.Buffer
	require.NoError(t, figures.WriteReference(&want))
	have, err := os.ReadFile("../../docs/metrics.md")
	require.NoError(t, err)
	require.Equal(t, want.String(), string(have), "run make generate")
}

// scrape is the text that Prometheus gets.
func scrape(t *testing.T, f *figures.Figures) string {
	t.Helper()
	w := newResponse()
	f.Handler().ServeHTTP(w, request(t))
	require.Equal(t, 200, w.Code, w.Body.String())
	return w.Body.String()
}

var at = time.Unix(1_800_000_000, 0)

// stored is an alert of a node that took a millisecond for each stage.
func stored(edit ...func(*alert.Alert)) ingest.Stored {
	a := &alert.Alert{
		UUID: "0199f1a2-7d3c-7b4e-8f55-0c1d2e3f4a5b", Rule: "Shell", Priority: alert.Critical, Source: "syscall", Hostname: "h1",
		Riposte: &alert.Riposte{Cluster: "c", Node: "n1", KernelTimeNS: at.UnixNano(), AlertTimeNS: at.Add(time.Millisecond).UnixNano()},
	}
	for _, e := range edit {
		e(a)
	}
	return ingest.Stored{
		Alert: a, Binding: playbook.Bound, Namespace: "shop", Row: a.UUID,
		Received: at.Add(2 * time.Millisecond), Decided: at.Add(3 * time.Millisecond), Committed: at.Add(4 * time.Millisecond),
		Evaluated: []ingest.Evaluated{{Playbook: "kill", Mode: "enforce", State: "decided", Began: at, Took: time.Millisecond}, {Playbook: "slow", Mode: "observe", State: "refused", Late: true, Began: at, Took: time.Second}},
		Planned:   []ingest.Planned{{Type: "delete_pod", State: "planned"}, {Type: "made_up_by_a_playbook", State: "refused"}},
	}
}

func TestAnAlertIsCounted(t *testing.T) {
	f := figures.New([]string{"delete_pod"})
	f.Read(figures.Sources{})
	s := stored()
	f.Stored(s)
	s.Row = "0199f1a2-7d3c-7b4e-8f55-000000000000"
	s.Planned = nil
	f.Stored(s)
	f.Left(ingest.Dead, "unknown")
	f.Batch(3, 20*time.Millisecond)
	got := scrape(t, f)
	for _, want := range []string{
		`falcosecurity_falcosidekick_falco_events_total{hostname="h1",k8s_ns_name="shop",k8s_pod_name="",priority="6",priority_raw="critical",rule="Shell",source="syscall"} 2`,
		`riposte_alerts_total{priority="critical",result="stored"} 1`,
		`riposte_alerts_total{priority="critical",result="repeated"} 1`,
		`riposte_alerts_total{priority="unknown",result="dead"} 1`,
		`riposte_alerts_bound_total{binding="bound",priority="critical"} 2`,
		`riposte_decisions_total{mode="enforce",playbook="kill",state="decided"} 2`,
		`riposte_playbook_timeouts_total{playbook="slow"} 2`,
		`riposte_playbook_evaluation_seconds_bucket{playbook="kill",le="0.001"} 2`,
		`riposte_actions_planned_total{state="planned",type="delete_pod"} 1`,
		`riposte_actions_planned_total{state="refused",type="other"} 1`,
		`riposte_alert_stage_seconds_sum{stage="detect"} 0.002`,
		`riposte_alert_stage_seconds_count{stage="store"} 2`,
		`riposte_clock_skew_total 0`,
		`riposte_ingest_batch_messages_sum 3`,
	} {
		require.Contains(t, got, want+"\n")
	}
}

// A node's clock may be ahead, and Falco says nothing of the way.
func TestAnAlertWithoutTimes(t *testing.T) {
	f := figures.New(nil)
	f.Read(figures.Sources{})
	f.Stored(stored(func(a *alert.Alert) { a.Riposte.AlertTimeNS = at.Add(time.Hour).UnixNano() }))
	f.Stored(stored(func(a *alert.Alert) { a.Riposte.Intake = "old-falco" }))
	got := scrape(t, f)
	require.Contains(t, got, "riposte_clock_skew_total 1\n")
	require.Contains(t, got, `riposte_alert_stage_seconds_count{stage="deliver"} 1`)
	require.Contains(t, got, `riposte_alert_stage_seconds_sum{stage="deliver"} 0`+"\n")
	require.Contains(t, got, `riposte_alert_stage_seconds_count{stage="decide"} 2`)
}

func TestAnActionIsCounted(t *testing.T) {
	f := figures.New([]string{"delete_pod"})
	f.Read(figures.Sources{})
	w := audit.When{KernelNS: 1e9, AgentNS: 2e9, ReceivedNS: 3e9, DecidedNS: 4e9, ExecutedNS: 6e9, VerifiedNS: 9e9}
	f.Ended(execute.Ended{Type: "delete_pod", State: "succeeded", When: w})
	w.VerifiedNS = 0
	f.Ended(execute.Ended{Type: "delete_pod", State: "succeeded", When: w})
	f.Ended(execute.Ended{Type: "delete_pod", State: "refused"})
	f.Lifted(execute.Lifting{Type: "delete_pod", Result: "failed"})
	got := scrape(t, f)
	for stage, seconds := range map[string]string{"detect": "1", "deliver": "1", "decide": "1", "execute": "2", "verify": "3", "total": "8"} {
		require.Contains(t, got, fmt.Sprintf("riposte_time_to_contain_seconds_sum{stage=%q,type=\"delete_pod\"} %s\n", stage, seconds))
	}
	for _, want := range []string{
		`riposte_actions_ended_total{effect="verified",state="succeeded",type="delete_pod"} 1`,
		`riposte_actions_ended_total{effect="unverified",state="succeeded",type="delete_pod"} 1`,
		`riposte_actions_ended_total{effect="none",state="refused",type="delete_pod"} 1`,
		`riposte_lifts_total{result="failed",type="delete_pod"} 1`,
	} {
		require.Contains(t, got, want+"\n")
	}
}

// A node that makes up names uses up its own room alone.
func TestLabelsAreBounded(t *testing.T) {
	f := figures.New(nil)
	f.Read(figures.Sources{})
	for i := range 5000 {
		f.Stored(stored(func(a *alert.Alert) { a.Rule, a.Hostname = fmt.Sprint("rule ", i), fmt.Sprint("host ", i) }))
	}
	for i := range 30_000 {
		f.Stored(stored(func(a *alert.Alert) {
			a.Riposte.Node = fmt.Sprint("n", i)
			a.Hostname, a.Rule = a.Riposte.Node, "bad \xff\n\""+strings.Repeat("x", 500)
		}))
	}
	for i := range 2000 {
		s := stored()
		s.Evaluated[0].Playbook = fmt.Sprint("p", i)
		f.Stored(s)
	}
	got := scrape(t, f)
	require.Contains(t, got, `k8s_ns_name="other"`)
	require.Equal(t, 100, strings.Count(got, `hostname="host `), "of one node")
	require.Equal(t, 20_001, strings.Count(got, "falco_events_total{"), "of all, and other")
	require.Less(t, strings.Count(got, "riposte_decisions_total{"), 510)
	require.NotContains(t, got, strings.Repeat("x", 200))
}

// The names are as Prometheus recommends them, but for Falcosidekick's, which are given.
func TestNames(t *testing.T) {
	f := figures.New([]string{"delete_pod"})
	f.Read(full(t, storeOf(t)))
	f.Stored(stored())
	f.Ended(execute.Ended{Type: "delete_pod", State: "succeeded", When: audit.When{KernelNS: 1, VerifiedNS: 2}})
	got := scrape(t, f)
	var ours []string
	for _, m := range f.Metrics() {
		ours = append(ours, m.Name)
	}
	problems, err := promlint.New(strings.NewReader(got)).Lint()
	require.NoError(t, err)
	for _, p := range problems {
		if !strings.HasPrefix(p.Metric, "go_") && !strings.HasPrefix(p.Metric, "process_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
	for line := range strings.Lines(got) {
		if name, ok := strings.CutPrefix(line, "# TYPE "); ok && !strings.HasPrefix(name, "go_") && !strings.HasPrefix(name, "process_") {
			require.Contains(t, ours, strings.Fields(name)[0])
		}
	}
}

// While the database is away the rest is still shown, and it is not asked at each
// scrape.
func TestTheDatabaseMayBeAway(t *testing.T) {
	s := storeOf(t)
	now := at
	f := figures.New(nil)
	f.Read(figures.Sources{Database: s, SilentAfter: time.Minute, Now: func() time.Time { return now }})
	got := scrape(t, f)
	require.Contains(t, got, `riposte_actions_pending{state="waiting"} 0`)
	require.Contains(t, got, `riposte_agents{state="silent"} 0`)
	require.Contains(t, got, "riposte_audit_entries_total 0\n")
	require.Contains(t, got, `riposte_database_connections{state="max"} `)
	s.Close()
	require.Contains(t, scrape(t, f), "riposte_audit_entries_total 0\n", "it is kept for a while")
	now = now.Add(5 * time.Second)
	for range 3 {
		got = scrape(t, f)
		require.NotContains(t, got, "riposte_audit_entries_total")
		require.Contains(t, got, "riposte_database_figures_failed_total 1\n")
	}
}

// Every counter of a part is shown, or something better in its place.
func TestNoCounterIsForgotten(t *testing.T) {
	f := figures.New(nil)
	f.Read(figures.Sources{})
	var shown []string
	for _, m := range f.Metrics() {
		shown = append(shown, m.Name)
	}
	elsewhere := []string{"stored", "repeated", "duplicates", "forged", "unbound", "decisions"}
	for name := range ingest.New(ingest.Options{}).Counts() {
		if !slices.Contains(elsewhere, name) {
			require.Contains(t, shown, "riposte_ingest_"+name+"_total")
		}
	}
	for name := range (&bus.Bus{}).Counts() {
		require.Contains(t, shown, "riposte_bus_"+name+"_total")
	}
}

// Nothing is registered twice or with labels that do not fit.
func TestGatherIsWhole(t *testing.T) {
	f := figures.New(nil)
	f.Read(full(t, storeOf(t)))
	n, err := testutil.GatherAndCount(f.Gatherer())
	require.NoError(t, err)
	require.Positive(t, n)
}
