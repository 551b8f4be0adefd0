package scale

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"riposte/responder/audit"
)

// check compares what the responder did with what was asked of it.
func (r *rig) check(t *testing.T) {
	t.Helper()
	require.Positive(t, r.critical)
	require.Equal(t, r.alerts, r.count(t, "SELECT count(*) FROM inbox"), "each alert is stored")
	require.Equal(t, r.alerts, r.count(t, "SELECT sum(count) FROM alerts"), "and counted once")
	require.Zero(t, r.count(t, "SELECT count(*) FROM alerts WHERE binding <> 'bound'"), "each names a pod of its node")
	require.Zero(t, r.count(t, "SELECT count(*) FROM dead_letters"))
	require.Zero(t, r.count(t, "SELECT count(*) FROM incidents WHERE kind <> 'alerts'"), "no agent was silent, no number missing")
	require.Zero(t, r.metric(t, "riposte_bus_heartbeats_dropped_total"))
	require.Zero(t, r.metric(t, "riposte_kube_asks_skipped_total"))

	rows, err := r.db.Query(t.Context(), "SELECT target->>'uid', state FROM actions WHERE type = 'delete_pod'")
	require.NoError(t, err)
	deleted := map[string]string{}
	var uid, state string
	_, err = pgx.ForEachRow(rows, []any{&uid, &state}, func() error { deleted[uid] = state; return nil })
	require.NoError(t, err)
	require.Len(t, deleted, r.critical, "each Critical alert has its action")
	for i, pods := range r.fleet.pods {
		for j, p := range pods {
			switch attacked := j == 0 && i < r.critical; {
			case attacked:
				require.Equal(t, "succeeded", deleted[p.UID], p.Name)
				require.Eventually(t, func() bool { return r.fleet.isGone(p.UID) }, time.Minute, 10*time.Millisecond, "pod %s, which was attacked, is there", p.Name)
			default:
				require.Empty(t, deleted[p.UID], p.Name)
				require.False(t, r.fleet.isGone(p.UID), "pod %s, which nobody attacked, is gone", p.Name)
			}
		}
	}
	require.Equal(t, len(r.fleet.pods)*len(r.fleet.pods[0])-r.critical, r.fleet.runs(), "all others run")
	report, err := audit.Verify(t.Context(), r.db, audit.Evidence{})
	require.NoError(t, err)
	require.True(t, report.OK, "%+v", report)
}
