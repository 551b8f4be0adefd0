package responder_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/responder"
	"riposte/responder/trace/tracetest"
)

// get is a path's status and answer; with a token it is sent.
func get(t *testing.T, address, path, bearer string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+path, nil)
	require.NoError(t, err)
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(body)
}

// One alert that kills a container shows in the figures and as one whole trace.
func TestAnAlertInFiguresAndTraces(t *testing.T) {
	collector := tracetest.New(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	r := newRig(t)
	r.options.MetricsListen = "127.0.0.1:0"
	one, _ := r.run(t)
	orders := r.obey(t)
	a := critical(1, "c1")
	r.send(t, a)
	select {
	case <-orders:
	case <-time.After(patience):
		t.Fatal("no order")
	}
	all := collector.Wait(t, a.UUID, "alert", "detect", "deliver", "decide", "playbook", "store", "action", "wait", "execute", "verify")
	require.Empty(t, all["alert"].Parent)
	require.Equal(t, all["alert"].ID, all["action"].Parent)
	require.Equal(t, all["action"].ID, all["verify"].Parent)
	require.Equal(t, a.Riposte.KernelTimeNS, all["alert"].From.UnixNano())
	require.Equal(t, "kill_container", all["action"].Attributes["riposte.action.type"])
	for _, s := range all {
		require.False(t, s.To.Before(s.From), s.Name)
		require.Empty(t, s.Failed, s.Name)
	}

	status, got := get(t, one.MetricsAddr(), "/metrics", "")
	require.Equal(t, http.StatusOK, status)
	for _, want := range []string{
		`falcosecurity_falcosidekick_falco_events_total{hostname="node-1.example",k8s_ns_name="",k8s_pod_name="",priority="6",priority_raw="critical",rule="Shell in a container",source="syscall"} 1`,
		`falcosecurity_falcosidekick_inputs_total{source="bus",status="accepted"} 1`,
		`riposte_alerts_total{priority="critical",result="stored"} 1`,
		`riposte_actions_planned_total{state="planned",type="kill_container"} 1`,
		`riposte_actions_ended_total{effect="verified",state="succeeded",type="kill_container"} 1`,
		`riposte_time_to_contain_seconds_count{stage="total",type="kill_container"} 1`,
		`riposte_actions_pending{state="planned"} 0`,
		`riposte_bus_stream_messages{state="unanswered"} 0`,
		`riposte_bus_connected 1`,
		`riposte_ready{part="database"} 1`,
		`riposte_kill_switches{scope="all"} 0`,
		`riposte_action_retries_total 0`,
		`riposte_build_info{go_version="`,
	} {
		require.Contains(t, got, want)
	}
	require.Regexp(t, `riposte_audit_entries_total [1-9]`, got)
	require.Regexp(t, `riposte_traces_total\{result="exported"\} [1-9]`, got)
	require.NotContains(t, got, "c1", "no container in a label")
}

// The metrics' listener serves three paths and no more; who signs in is told which
// part is missing.
func TestTheMetricsListener(t *testing.T) {
	r := newRig(t)
	r.options.MetricsListen = "127.0.0.1:0"
	one, _ := r.run(t)
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/metrics": 200, "/": 404, "/api/v1/status": 404, "/debug/pprof/": 404} {
		status, _ := get(t, one.MetricsAddr(), path, "")
		require.Equal(t, want, status, path)
	}
	r.bus.Stop()
	for _, address := range []string{one.MetricsAddr(), one.Addr()} {
		require.Eventually(t, func() bool {
			status, _ := get(t, address, "/readyz", "")
			return status == http.StatusServiceUnavailable
		}, patience, 20*time.Millisecond)
		_, body := get(t, address, "/readyz", "")
		require.Equal(t, "not ready\n", body)
		_, body = get(t, address, "/readyz", token)
		require.Equal(t, "not ready: bus: NATS cannot be reached\n", body)
		_, body = get(t, address, "/readyz", "a wrong token of somebody else")
		require.Equal(t, "not ready\n", body)
		status, _ := get(t, address, "/healthz", "")
		require.Equal(t, http.StatusOK, status)
	}
	_, got := get(t, one.MetricsAddr(), "/metrics", "")
	require.Contains(t, got, `riposte_ready{part="bus"} 0`)
	require.Contains(t, got, `riposte_ready{part="database"} 1`)
	require.Contains(t, got, "riposte_bus_connected 0")
}

func TestNoMetricsListenerByDefault(t *testing.T) {
	one, _ := newRig(t).run(t)
	require.Empty(t, one.MetricsAddr())
	status, body := get(t, one.Addr(), "/metrics", "")
	require.False(t, status == http.StatusOK && strings.Contains(body, "riposte_"), "not on the API's address either")
}

func TestABusyMetricsPort(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer busy.Close()
	r := newRig(t)
	r.options.MetricsListen = busy.Addr().String()
	one, err := responder.New(r.options)
	require.NoError(t, err)
	require.ErrorContains(t, one.Start(t.Context()), "the metrics cannot listen on "+busy.Addr().String())
	stop(t, one)
}

// A collector that fails holds up neither alerts nor the stop.
func TestTracesThatNobodyTakes(t *testing.T) {
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }))
	defer refusing.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", refusing.URL)
	r := newRig(t)
	orders := r.obey(t)
	one, err := responder.New(r.options)
	require.NoError(t, err)
	require.NoError(t, one.Start(t.Context()))
	r.send(t, critical(1, "c1"))
	select {
	case <-orders:
	case <-time.After(patience):
		t.Fatal("no order")
	}
	stop(t, one)
}
