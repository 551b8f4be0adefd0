package campaign

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"riposte/responder/audit"
)

// settleTime is how long the whole may take to come to rest after the last fault: a
// message that was delivered in vain three times waits a minute for its next delivery.
const settleTime = 3 * time.Minute

// figures are the campaign's last line.
type figures struct {
	Seed    uint64 `json:"seed"`
	Seconds int    `json:"seconds"`
	// Settled is how long it took until all was at rest after the last fault.
	Settled int `json:"settled_seconds"`
	// Alerts were taken by the agents' outboxes; Stored are in the inbox, Lost announced.
	Alerts int `json:"alerts"`
	Stored int `json:"stored"`
	Lost   int `json:"lost_announced"`
	// Missing alerts were dropped by an agent that was killed before it could say so: the
	// responder has an incident about them.
	Missing int `json:"missing"`
	// Gaps are runs with numbers that never came, each an incident.
	Gaps int `json:"gaps"`
	// Folded alerts were equal to an earlier one.
	Folded  int            `json:"folded"`
	Kills   map[string]int `json:"kills"`
	Pauses  int            `json:"pauses"`
	Cuts    int            `json:"link_faults"`
	Ends    int            `json:"ended_by_themselves"`
	API     map[string]int `json:"api_server_troubles"`
	Actions map[string]int `json:"actions"`
	// Deleted pods and killed containers are the effects; Unknown are actions that say so.
	Deleted int `json:"pods_deleted"`
	Killed  int `json:"containers_killed"`
	Unknown int `json:"unknown"`
	// Asked is how often the API server was asked for a deletion: again after a lost answer.
	Asked int `json:"deletions_asked"`
	// Unbound alerts name a pod that the API server could not be asked about in time:
	// nothing is done about them.
	Unbound int `json:"unbound"`
	Entries int `json:"audit_entries"`
}

// settle waits until the agents have published all, the responders have taken all, and
// nothing is under way.
func (c *campaign) settle(t *testing.T) {
	t.Helper()
	why := ""
	require.Eventually(t, func() bool {
		why = c.unsettled(t.Context())
		return why == ""
	}, settleTime, 200*time.Millisecond, "it does not come to rest")
	c.pods.awaitSuccessors(t)
}

// unsettled says what is still under way.
func (c *campaign) unsettled(ctx context.Context) string {
	for _, node := range []string{"agent-1", "agent-2"} {
		if _, err := os.Stat(c.folder.Path(node, idleFile)); err != nil {
			return node + " has not published all"
		}
	}
	// What was delivered in vain comes again after the gap that it leaves was told of.
	status, err := c.api.Status(ctx)
	switch {
	case err != nil:
		return err.Error()
	case status.Stream == nil:
		return "the responder does not reach the stream"
	case status.Stream.Waiting+status.Stream.Unanswered > 0:
		return fmt.Sprintf("%d alerts wait in the stream", status.Stream.Waiting+status.Stream.Unanswered)
	}
	var open, missing int
	err = c.db.QueryRow(ctx, `SELECT
		(SELECT count(*) FROM actions WHERE state IN ('planned', 'executing') OR state = 'succeeded' AND lease_until IS NOT NULL),
		(SELECT count(*) FROM agent_runs WHERE complete < highest AND gap_incident IS NULL)`).Scan(&open, &missing)
	switch {
	case err != nil:
		return err.Error()
	case open > 0:
		return fmt.Sprintf("%d actions are under way", open)
	case missing > 0:
		return fmt.Sprintf("numbers of %d runs are missing", missing)
	}
	return ""
}

// check says what is wrong, and counts.
func (c *campaign) check(t *testing.T) figures {
	t.Helper()
	f := figures{Seed: c.seed, Seconds: int(time.Since(c.begin).Seconds()), Kills: c.kills(), API: map[string]int{}, Actions: map[string]int{}}
	f.Settled = f.Seconds - int(c.length.Seconds())
	for _, p := range c.parts {
		f.Pauses += p.pauses
		f.Ends += int(p.ends.Load())
	}
	for _, x := range plan(c.seed, c.length) {
		if c.links[x.What] != nil {
			f.Cuts++
		}
	}
	for _, g := range c.gates {
		for name, n := range g.answers {
			f.API[name] += n
		}
	}
	c.checkAlerts(t, &f)
	c.checkActions(t, &f)
	c.checkPods(t, &f)
	c.checkContainers(t, &f)
	c.checkRecord(t, &f)
	return f
}

func count(t *testing.T, c *campaign, sql string, args ...any) (n int) {
	t.Helper()
	require.NoError(t, c.db.QueryRow(t.Context(), sql, args...).Scan(&n))
	return n
}

// checkAlerts compares what the agents' outboxes took with what is stored: each number
// is in the inbox, or its agent said that it was dropped. A number that the outbox had
// not yet written down when its process was killed may be there or not.
func (c *campaign) checkAlerts(t *testing.T, f *figures) {
	t.Helper()
	type run struct{ node, boot string }
	taken := map[run]map[int64]bool{}
	for _, node := range []string{"agent-1", "agent-2"} {
		journal, err := os.Open(c.folder.Path(node, journalFile))
		require.NoError(t, err)
		defer journal.Close()
		for lines := bufio.NewScanner(journal); lines.Scan(); {
			var i int
			var boot string
			var seq int64
			_, err := fmt.Sscan(lines.Text(), &i, &boot, &seq)
			require.NoError(t, err)
			r := run{node, boot}
			if taken[r] == nil {
				taken[r] = map[int64]bool{}
			}
			taken[r][seq] = true
			f.Alerts++
		}
	}
	require.GreaterOrEqual(t, f.Alerts, 2*c.perAgent)
	f.Stored = count(t, c, "SELECT count(*) FROM inbox")
	f.Lost = count(t, c, "SELECT coalesce(sum(count), 0) FROM losses")
	f.Folded = count(t, c, "SELECT coalesce(sum(count - 1), 0) FROM alerts")
	require.Equal(t, f.Stored, count(t, c, "SELECT sum(count) FROM alerts"), "each number in the inbox is one alert, counted once")
	require.Zero(t, count(t, c, "SELECT count(*) FROM dead_letters"), "no message was wrong")
	for r, seqs := range taken {
		rows, err := c.db.Query(t.Context(), `SELECT seq, seq FROM inbox WHERE node = $1 AND boot_id = $2
			UNION ALL SELECT first, last FROM losses WHERE node = $1 AND boot_id = $2`, r.node, r.boot)
		require.NoError(t, err)
		known := map[int64]bool{}
		var first, last int64
		_, err = pgx.ForEachRow(rows, []any{&first, &last}, func() error {
			for n := first; n <= last; n++ {
				known[n] = true
			}
			return nil
		})
		require.NoError(t, err)
		for _, n := range slices.Sorted(maps.Keys(seqs)) {
			if known[n] {
				continue
			}
			// The small spool's agent drops what is on its way; killed then, it cannot say so.
			// The responder has to.
			f.Missing++
			said := count(t, c, "SELECT count(*) FROM agent_runs WHERE node = $1 AND boot_id = $2 AND complete < $3 AND gap_incident IS NOT NULL", r.node, r.boot, n)
			require.True(t, said == 1 && r.node == smallSpool, "alert %d of run %s of %s was taken by the outbox, and is neither stored nor announced as lost", n, r.boot, r.node)
		}
	}
	// Besides, a number may be missing whose process was killed before the outbox took it.
	f.Gaps = count(t, c, "SELECT count(*) FROM agent_runs WHERE gap_incident IS NOT NULL AND complete < highest")
}

// checkActions sees that each decided action has ended, once, and says how.
func (c *campaign) checkActions(t *testing.T, f *figures) {
	t.Helper()
	rows, err := c.db.Query(t.Context(), "SELECT type || ' ' || state, count(*) FROM actions GROUP BY 1")
	require.NoError(t, err)
	var name string
	var n int
	_, err = pgx.ForEachRow(rows, []any{&name, &n}, func() error { f.Actions[name] = n; return nil })
	require.NoError(t, err)
	f.Unknown = count(t, c, "SELECT count(*) FROM actions WHERE state = 'unknown'")
	require.Zero(t, count(t, c, "SELECT count(*) FROM actions WHERE state IN ('planned', 'executing', 'waiting')"), "all has ended: %v", f.Actions)
	require.Zero(t, count(t, c, "SELECT count(*) FROM actions WHERE state NOT IN ('succeeded') AND note = '' AND refused_by = ''"), "what has no effect says why")
	require.Zero(t, count(t, c, "SELECT count(*) FROM actions WHERE state = 'succeeded' AND verified_ns IS NULL AND note NOT LIKE '%not seen%'"))
	// Each executed one has one intent and one result, each verified one a verification.
	require.Zero(t, count(t, c, `SELECT count(*) FROM (
		SELECT a.id, a.state, a.verified_ns,
			count(*) FILTER (WHERE kind = 'action.intent') AS intents,
			count(*) FILTER (WHERE kind = 'action.result') AS results,
			count(*) FILTER (WHERE kind = 'action.verified') AS seen
		FROM actions a LEFT JOIN audit e ON e.action_id = a.id
		WHERE a.state IN ('succeeded', 'failed', 'unknown', 'expired') GROUP BY a.id
	) x WHERE intents <> 1 OR results <> 1 OR seen <> (CASE WHEN state = 'succeeded' THEN 1 ELSE 0 END)`), "one intent, one result, one verification")
}

// checkPods compares what is recorded with what happened to each pod.
func (c *campaign) checkPods(t *testing.T, f *figures) {
	t.Helper()
	f.Deleted, _ = c.pods.count()
	states := map[string][]string{}
	rows, err := c.db.Query(t.Context(), "SELECT target->>'uid', state FROM actions WHERE type = 'delete_pod'")
	require.NoError(t, err)
	var uid, state string
	_, err = pgx.ForEachRow(rows, []any{&uid, &state}, func() error { states[uid] = append(states[uid], state); return nil })
	require.NoError(t, err)
	attacked := map[string]bool{}
	for _, p := range c.attacked {
		attacked[p.UID] = true
		l, done := c.pods.of(p.UID), states[p.UID]
		possible := slices.Contains(done, "succeeded") || slices.Contains(done, "unknown")
		require.Equal(t, l.deleting, l.gone, "%s: kubelet's stand-in ends what is deleted", p.Name)
		require.True(t, !l.gone || possible, "%s is gone, and no action says that it did that: %v", p.Name, done)
		require.True(t, l.gone || !slices.Contains(done, "succeeded"), "%s is there, and an action says that it deleted it: %v", p.Name, done)
	}
	for uid, l := range c.pods.all() {
		if !attacked[uid] {
			require.False(t, l.deleting || l.gone, "pod %s (successor: %v), which nobody attacked, was deleted", l.name, l.successor)
			require.Empty(t, states[uid], l.name)
		}
	}
	require.Greater(t, f.Deleted, len(c.attacked)*9/10, "nearly all attacked pods are deleted")
	for _, g := range c.gates {
		f.Asked += g.deletes
	}
	require.GreaterOrEqual(t, f.Asked, f.Deleted)
	f.Unbound = count(t, c, "SELECT count(*) FROM alerts WHERE binding = 'unbound'")
	require.Zero(t, count(t, c, `SELECT count(*) FROM alerts l WHERE rule = 'A pod is attacked' AND binding = 'bound'
		AND NOT EXISTS (SELECT FROM actions a WHERE a.type = 'delete_pod' AND a.target->>'uid' = l.pod_uid)`), "each alert about a pod has its action")
	require.Zero(t, count(t, c, "SELECT count(*) FROM alerts WHERE rule = 'Another node''s pod is attacked' AND binding NOT IN ('forged', 'unbound')"))
}

// checkContainers reads the agents' ledgers: an order has one receipt, a container one end.
func (c *campaign) checkContainers(t *testing.T, f *figures) {
	t.Helper()
	ends := map[string]int{}
	for _, node := range []string{"agent-1", "agent-2"} {
		ledger, err := os.Open(c.folder.Path(node, "orders", "orders.jsonl"))
		require.NoError(t, err)
		defer ledger.Close()
		receipts := map[string]int{}
		for lines := bufio.NewScanner(ledger); lines.Scan(); {
			var l struct {
				ID     string
				Target struct {
					ContainerID string `json:"container_id"`
				}
				Receipt *struct {
					Outcome   string
					Processes int
				}
			}
			require.NoError(t, json.Unmarshal(lines.Bytes(), &l), lines.Text())
			if l.Receipt != nil {
				receipts[l.ID]++
				if l.Receipt.Outcome == "done" && l.Receipt.Processes > 0 {
					ends[l.Target.ContainerID]++
				}
			}
		}
		for id, n := range receipts {
			require.Equal(t, 1, n, "order %s was carried out once", id)
		}
	}
	for _, x := range c.killed {
		if !x.alive() {
			f.Killed++
		}
		done := count(t, c, "SELECT count(*) FROM actions WHERE type = 'kill_container' AND target->>'container_id' = $1 AND state IN ('succeeded', 'unknown')", x.ID)
		require.Equal(t, !x.alive(), done == 1, "container %s", x.ID)
		require.LessOrEqual(t, ends[x.ID], 1, "container %s was ended once", x.ID)
	}
	require.Positive(t, f.Killed)
	for _, x := range c.left {
		require.True(t, x.alive(), "a container that nobody attacked")
	}
}

func (c *campaign) checkRecord(t *testing.T, f *figures) {
	t.Helper()
	report, err := audit.Verify(t.Context(), c.db, audit.Evidence{})
	require.NoError(t, err)
	require.True(t, report.OK, "%+v", report)
	f.Entries = count(t, c, "SELECT count(*) FROM audit")
}
