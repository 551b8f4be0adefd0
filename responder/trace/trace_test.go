package trace_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"riposte/agent/alert"
	"riposte/deploy/logtest"
	"riposte/responder/audit"
	"riposte/responder/execute"
	"riposte/responder/ingest"
	"riposte/responder/playbook"
	"riposte/responder/trace"
	"riposte/responder/trace/tracetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var at = time.Unix(1_800_000_000, 0)

func after(ms int) time.Time { return at.Add(time.Duration(ms) * time.Millisecond) }

// newTracer reports to the collector until the test ends.
func newTracer(t *testing.T, url string, o trace.Options) *trace.Tracer {
	t.Helper()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	made, err := trace.New(t.Context(), o)
	require.NoError(t, err)
	require.NotNil(t, made)
	return made
}

func stop(t *testing.T, tr *trace.Tracer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	require.NoError(t, tr.Stop(ctx))
}

func stored(id string) ingest.Stored {
	return ingest.Stored{
		Alert: &alert.Alert{UUID: id, Rule: "Shell \xff" + strings.Repeat("x", 1000), Priority: alert.Critical, Source: "syscall", Riposte: &alert.Riposte{
			Cluster: "prod", Node: "n1", KernelTimeNS: at.UnixNano(), AlertTimeNS: after(1).UnixNano(),
		}},
		Binding: playbook.Bound, Namespace: "shop", Row: id, IncidentID: "i1", Received: after(2), Decided: after(5), Committed: after(6),
		Evaluated: []ingest.Evaluated{{Playbook: "kill", State: "decided", Began: after(3), Took: time.Millisecond}},
		Planned:   []ingest.Planned{{ID: "a1", Type: "delete_pod", State: "planned"}},
	}
}

func TestOneTraceFromTwoReplicas(t *testing.T) {
	c := tracetest.New(t)
	id := uuid.Must(uuid.NewV7()).String()
	one := newTracer(t, c.URL, trace.Options{Version: "1.2.3", Instance: "one"})
	one.Start()
	one.Stored(stored(id))
	stop(t, one)
	require.Equal(t, map[string]uint64{"exported": 1, "dropped": 0, "failed": 0}, one.Counts())

	other := newTracer(t, c.URL, trace.Options{Version: "1.2.3", Instance: "other"})
	other.Start()
	other.Ended(execute.Ended{
		ID: "a1", AlertID: id, Type: "delete_pod", State: "succeeded", Attempts: 1, ExecutingNS: after(7).UnixNano(), EndedNS: after(12).UnixNano(),
		When: audit.When{DecidedNS: after(5).UnixNano(), ExecutedNS: after(9).UnixNano(), VerifiedNS: after(11).UnixNano()},
	})
	other.Lifted(execute.Lifting{ActionID: "a1", AlertID: id, Type: "delete_pod", Result: "lifted", Due: after(100), At: after(102)})
	stop(t, other)

	all := c.Trace(id)
	root := all["alert"]
	for name, want := range map[string]struct {
		parent   string
		from, to int
	}{
		"alert": {"", 0, 6}, "detect": {root.ID, 0, 1}, "deliver": {root.ID, 1, 2}, "decide": {root.ID, 2, 5}, "store": {root.ID, 5, 6},
		"playbook": {all["decide"].ID, 3, 4}, "action": {root.ID, 5, 11}, "wait": {all["action"].ID, 5, 7}, "execute": {all["action"].ID, 7, 9},
		"verify": {all["action"].ID, 9, 11}, "lift": {all["action"].ID, 100, 102},
	} {
		got, there := all[name]
		require.True(t, there, name)
		require.Equal(t, want.parent, got.Parent, name)
		require.Equal(t, after(want.from), got.From, name)
		require.Equal(t, after(want.to), got.To, name)
		require.Equal(t, "riposte-responder", got.Service, name)
		require.Empty(t, got.Failed, name)
	}
	require.Len(t, all, 11)
	require.Equal(t, []string{"action planned"}, root.Events)
	require.LessOrEqual(t, len(root.Attributes["riposte.alert.rule"]), 260)
	require.Equal(t, "true", strings.TrimPrefix(all["action"].Attributes["riposte.action.verified"], "bool_value:"))

	// The agent's header means this very span.
	body, err := stored(id).Alert.MarshalJSON()
	require.NoError(t, err)
	require.Equal(t, "00-"+root.Trace+"-"+root.ID+"-01", alert.TraceParent(body))
}

func TestWhatDidNotWork(t *testing.T) {
	c := tracetest.New(t)
	tr := newTracer(t, c.URL, trace.Options{})
	tr.Start()
	first, again := uuid.Must(uuid.NewV7()).String(), uuid.Must(uuid.NewV7()).String()
	s := stored(again)
	s.Row = first
	s.Alert.Riposte.Intake = "old-falco"
	s.Evaluated[0].State = "refused"
	tr.Stored(s)
	tr.Ended(execute.Ended{
		ID: "a1", AlertID: first, State: "refused", RefusedBy: "kill-switch", EndedNS: after(9).UnixNano(), When: audit.When{DecidedNS: after(5).UnixNano()},
	})
	s.Alert = &alert.Alert{UUID: "no uuid", Riposte: &alert.Riposte{}}
	tr.Stored(s)
	stop(t, tr)
	got := c.Trace(again)
	require.Equal(t, []string{strings.ReplaceAll(first, "-", "")}, got["alert"].Links)
	require.Equal(t, "refused", got["playbook"].Failed)
	require.NotContains(t, got, "detect", "Falco's own alerts do not say when they were made")
	require.Equal(t, "refused: kill-switch", c.Trace(first)["action"].Failed)
	require.NotContains(t, c.Trace(first), "execute")
	require.Equal(t, uint64(2), tr.Counts()["exported"])
}

// What the queue has no room for is dropped and counted, and nobody waits.
func TestAFullQueueDrops(t *testing.T) {
	c := tracetest.New(t)
	tr := newTracer(t, c.URL, trace.Options{Queue: 3})
	for range 10 { // nobody takes them yet
		tr.Stored(stored(uuid.Must(uuid.NewV7()).String()))
	}
	require.Equal(t, uint64(7), tr.Counts()["dropped"])
	tr.Start()
	stop(t, tr)
	require.Equal(t, map[string]uint64{"exported": 3, "dropped": 7, "failed": 0}, tr.Counts())
}

func TestACollectorThatRefuses(t *testing.T) {
	c := tracetest.New(t)
	c.Refuse(http.StatusBadRequest)
	var log logtest.Log
	tr := newTracer(t, c.URL, trace.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	tr.Start()
	tr.Stored(stored(uuid.Must(uuid.NewV7()).String()))
	require.Eventually(t, func() bool { return tr.Counts()["failed"] == 1 }, 20*time.Second, 10*time.Millisecond)
	tr.Stored(stored(uuid.Must(uuid.NewV7()).String()))
	require.Eventually(t, func() bool { return tr.Counts()["failed"] == 2 }, 20*time.Second, 10*time.Millisecond)
	require.Equal(t, 1, strings.Count(log.String(), "traces are not taken"), "it is said once")
	c.Refuse(0)
	id := uuid.Must(uuid.NewV7()).String()
	tr.Stored(stored(id))
	c.Wait(t, id, "alert", "store")
	stop(t, tr)
	require.Contains(t, log.String(), "traces are taken again")
}

// A stop does not wait for a collector that is not there.
func TestStopWithoutACollector(t *testing.T) {
	tr := newTracer(t, "http://127.0.0.1:1", trace.Options{})
	tr.Start()
	tr.Stored(stored(uuid.Must(uuid.NewV7()).String()))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, tr.Stop(ctx))
	require.Equal(t, uint64(1), tr.Counts()["failed"])
}

func TestOff(t *testing.T) {
	for name, env := range map[string]map[string]string{
		"nothing set": {}, "no exporter": {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_TRACES_EXPORTER": "none"},
		"disabled": {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_SDK_DISABLED": "true"},
	} {
		t.Run(name, func(t *testing.T) {
			for k, v := range env {
				t.Setenv(k, v)
			}
			tr, err := trace.New(t.Context(), trace.Options{})
			require.NoError(t, err)
			require.Nil(t, tr)
			tr.Start()
			tr.Stored(ingest.Stored{})
			tr.Ended(execute.Ended{})
			tr.Lifted(execute.Lifting{})
			require.Nil(t, tr.Counts())
			require.NoError(t, tr.Stop(t.Context()))
		})
	}
}

func TestWrongVariables(t *testing.T) {
	for name, value := range map[string]string{
		"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_TRACES_EXPORTER": "zipkin", "OTEL_TRACES_SAMPLER": "jaeger_remote", "OTEL_TRACES_SAMPLER_ARG": "1.5",
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
			t.Setenv("OTEL_TRACES_SAMPLER", "traceidratio")
			t.Setenv(name, value)
			_, err := trace.New(t.Context(), trace.Options{})
			require.ErrorContains(t, err, name)
		})
	}
}

// The SDK's own sampler would take none or all of these: a UUID's first bits of the
// half that it looks at are always the same.
func TestAShareOfUUIDs(t *testing.T) {
	for _, share := range []float64{0, 0.1, 0.5, 1} {
		t.Setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
		t.Setenv("OTEL_TRACES_SAMPLER_ARG", fmt.Sprint(share))
		const n = 4000
		tr := newTracer(t, "http://127.0.0.1:1", trace.Options{Queue: 1})
		tr.Stored(stored(uuid.NewString())) // may fill the queue's one place
		for range n {
			tr.Stored(stored(uuid.Must(uuid.NewV7()).String()))
		}
		require.InDelta(t, share*n, tr.Counts()["dropped"], 0.05*n)
		require.NoError(t, trace.Discard(tr))
	}
}
