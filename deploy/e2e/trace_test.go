package e2e_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/deploy/standalone"
	"riposte/deploy/standalone/sandbox"
	"riposte/responder/api"
	"riposte/responder/api/client"
	"riposte/responder/trace/tracetest"
)

// TestATraceFromTheSystemCallToTheEffect: a collector sees the whole way of an alert
// that the kernel's events made.
func TestATraceFromTheSystemCallToTheEffect(t *testing.T) {
	collector := tracetest.New(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	s := start(t, nil)
	box, err := sandbox.Start(sandbox.Options{Root: cgroupRoot(t), Cgroup: sandbox.Drills})
	require.NoError(t, err)
	defer func() { require.NoError(t, box.Close()) }()
	require.NoError(t, box.Type(standalone.Attack))
	a := awaitAction(t, s, client.ActionFilter{Container: box.ID}, func(a api.Action) bool { return a.VerifiedAt != nil })
	all := collector.Wait(t, a.AlertID, "alert", "detect", "deliver", "decide", "playbook", "store", "action", "wait", "execute", "verify")
	require.Equal(t, all["alert"].ID, all["action"].Parent)
	require.Equal(t, a.ID, all["action"].Attributes["riposte.action.id"])
	require.Equal(t, a.VerifiedAt.UnixNano(), all["verify"].To.UnixNano())
	for _, part := range []string{"detect", "deliver", "decide", "store"} {
		require.Equal(t, all["alert"].ID, all[part].Parent, part)
		require.False(t, all[part].To.Before(all[part].From), part)
	}
	require.True(t, all["alert"].From.Before(all["execute"].To))
	require.Equal(t, all["alert"].From, all["detect"].From, "it begins at the system call")
}
