package agent_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/agent"
)

// What goes to the responder and comes from it shows in the metrics.
func TestBusAndStandingOrdersInTheMetrics(t *testing.T) {
	l := newLab(t)
	l.opt.Web = &agent.Web{Metrics: true}
	l.opt.Recording, l.opt.Linger = agent.EmbeddedRecording, true
	a := running(t, l.opt)
	l.stand(t, 7)
	require.Eventually(t, func() bool {
		f := figures(t, a)
		return f("riposte_agent_bus_connected") == 1 && f("riposte_agent_standing_serial") == 7
	}, 20*time.Second, 10*time.Millisecond)
	f := figures(t, a)
	require.InDelta(t, 1, f("riposte_agent_standing_triggers"), 0)
	require.Greater(t, f("riposte_agent_standing_expires_timestamp_seconds"), float64(time.Now().Unix()))
	require.Eventually(t, func() bool { return figures(t, a)("riposte_agent_publish_waiting") == 0 }, 20*time.Second, 10*time.Millisecond, "all alerts arrive")
	require.InDelta(t, 256<<20, f("riposte_agent_spool_limit_bytes"), 0)
	require.Zero(t, f(`riposte_agent_holds{kind="freeze"}`))
	require.Zero(t, f("riposte_agent_kill_switch_on"))

	l.server.Stop()
	require.Eventually(t, func() bool { return figures(t, a)("riposte_agent_bus_connected") == 0 }, 20*time.Second, 10*time.Millisecond)
}
