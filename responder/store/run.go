package store

import (
	"context"
	"fmt"
	"time"

	"riposte/agent/alert"
)

// RunKey names one run of an agent's process.
type RunKey struct{ Cluster, Node, BootID string }

// NoteRuns makes sure that runs are known: their numbers are watched from then on.
func (tx Tx) NoteRuns(ctx context.Context, runs []RunKey, seen time.Time) error {
	if len(runs) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, `INSERT INTO agent_runs (cluster, node, boot_id, seen_at)
		SELECT c, n, b, $4 FROM unnest($1::text[], $2::text[], $3::text[]::uuid[]) AS r (c, n, b) ORDER BY 1, 2, 3 ON CONFLICT DO NOTHING`,
		column(runs, func(r *RunKey) string { return r.Cluster }), column(runs, func(r *RunKey) string { return r.Node }),
		column(runs, func(r *RunKey) string { return r.BootID }), seen)
	if err != nil {
		return fmt.Errorf("note the agents' runs: %w", err)
	}
	return nil
}

// AddLosses stores what an agent says that it lost and returns the ranges that
// were not known.
func (tx Tx) AddLosses(ctx context.Context, l alert.Loss, at time.Time) (fresh []alert.LossRange, err error) {
	if err := tx.NoteRuns(ctx, []RunKey{{Text(l.Cluster), Text(l.Node), l.BootID}}, at); err != nil {
		return nil, err
	}
	for _, r := range l.Ranges {
		tag, err := tx.Exec(ctx, `INSERT INTO losses (cluster, node, boot_id, first, last, count, reason, announced_at)
			VALUES ($1, $2, $3::text::uuid, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING`,
			Text(l.Cluster), Text(l.Node), l.BootID, int64(r.First), int64(r.Last), int64(r.Count), Text(r.Reason), at)
		if err != nil {
			return nil, fmt.Errorf("store a loss: %w", err)
		}
		if tag.RowsAffected() == 1 {
			fresh = append(fresh, r)
		}
	}
	return fresh, nil
}

// Run is how far the numbers of an agent's run are complete.
type Run struct {
	RunKey
	// Complete: all numbers up to this one came or are announced as lost. Highest is
	// the highest that the agent spoke of.
	Complete, Highest int64
	GapSince          *time.Time
	GapMark           int64
	// GapIncident is the incident about the gap, GapState its state; empty without one.
	GapIncident, GapState string
	// Current: it is the node's latest run. SeenAt is when the node was heard last,
	// Body its last heartbeat.
	Current bool
	SeenAt  time.Time
	Body    string
}

// TryWatch says whether this transaction is the one that watches: of all that try
// at a time one gets it, until it ends.
func (tx Tx) TryWatch(ctx context.Context) (mine bool, err error) {
	const watchLock = 7_221_030_442_611_903
	if err := tx.QueryRow(ctx, "SELECT pg_try_advisory_xact_lock($1)", int64(watchLock)).Scan(&mine); err != nil {
		return false, fmt.Errorf("ask for the watch: %w", err)
	}
	return mine, nil
}

// AdvanceWhole moves the runs without a gap of which everything came, one number after
// the other: nearly all of them, at once, since thousands of agents may send alerts.
func (tx Tx) AdvanceWhole(ctx context.Context) error {
	// The rows are locked in the order in which everybody does.
	_, err := tx.Exec(ctx, `UPDATE agent_runs r SET complete = x.top, gap_since = NULL, gap_mark = 0 FROM (
			SELECT w.cluster, w.node, w.boot_id, k.top FROM agent_runs w, LATERAL (
				SELECT max(i.seq) AS top, count(*) AS n FROM inbox i
				WHERE i.cluster = w.cluster AND i.node = w.node AND i.boot_id = w.boot_id AND i.seq > w.complete
			) k WHERE w.gap_incident IS NULL AND k.n > 0 AND k.top - w.complete = k.n
			ORDER BY w.cluster, w.node, w.boot_id FOR UPDATE OF w
		) x WHERE r.cluster = x.cluster AND r.node = x.node AND r.boot_id = x.boot_id`)
	if err != nil {
		return fmt.Errorf("advance the agents' runs: %w", err)
	}
	return nil
}

// OpenRuns finds the runs that are not complete, or whose gap's incident is not ended.
func (tx Tx) OpenRuns(ctx context.Context) ([]Run, error) {
	// What came, or was announced as lost, beyond the highest number that heartbeats
	// spoke of counts too.
	runs, err := collect[Run](ctx, tx, `SELECT * FROM (SELECT r.cluster, r.node, r.boot_id::text, r.complete,
			greatest(r.highest, (SELECT coalesce(max(i.seq), 0) FROM inbox i WHERE i.cluster = r.cluster AND i.node = r.node AND i.boot_id = r.boot_id),
				(SELECT coalesce(max(o.last), 0) FROM losses o WHERE o.cluster = r.cluster AND o.node = r.node AND o.boot_id = r.boot_id)) AS highest,
			r.gap_since, r.gap_mark, coalesce(r.gap_incident::text, '') AS incident, coalesce(c.state, ''), coalesce(a.boot_id = r.boot_id, false), coalesce(a.seen_at, r.seen_at),
			coalesce(a.body, '{}')
		FROM agent_runs r LEFT JOIN agents a ON a.cluster = r.cluster AND a.node = r.node LEFT JOIN incidents c ON c.id = r.gap_incident
		) r WHERE complete < highest OR gap_since IS NOT NULL OR incident <> '' ORDER BY cluster, node, boot_id`)
	if err != nil {
		return nil, fmt.Errorf("read the agents' runs: %w", err)
	}
	return runs, nil
}

// Known is a range of numbers that came or are announced as lost.
type Known struct{ First, Last int64 }

// KnownAfter returns what is known of a run beyond a number, by First, bounded by limit.
func (tx Tx) KnownAfter(ctx context.Context, r RunKey, after int64, limit int) ([]Known, error) {
	known, err := collect[Known](ctx, tx, `SELECT seq AS first, seq FROM inbox WHERE cluster = $1 AND node = $2 AND boot_id = $3::text::uuid AND seq > $4
		UNION ALL SELECT first, last FROM losses WHERE cluster = $1 AND node = $2 AND boot_id = $3::text::uuid AND last > $4
		ORDER BY first LIMIT $5`, r.Cluster, r.Node, r.BootID, after, limit)
	if err != nil {
		return nil, fmt.Errorf("read a run's numbers: %w", err)
	}
	return known, nil
}

// AcceptLoss says that nobody waits for a range any more.
func (tx Tx) AcceptLoss(ctx context.Context, r RunKey, first, last int64, at time.Time) error {
	_, err := tx.Exec(ctx, `INSERT INTO losses (cluster, node, boot_id, first, last, count, reason, announced_at)
		VALUES ($1, $2, $3::text::uuid, $4, $5, $5::bigint - $4::bigint + 1, 'accepted', $6) ON CONFLICT DO NOTHING`, r.Cluster, r.Node, r.BootID, first, last, at)
	if err != nil {
		return fmt.Errorf("accept a loss: %w", err)
	}
	return nil
}

// SaveRun writes how far a run is.
func (tx Tx) SaveRun(ctx context.Context, r Run) error {
	_, err := tx.Exec(ctx, `UPDATE agent_runs SET complete = $4, gap_since = $5, gap_mark = $6, gap_incident = nullif($7, '')::uuid
		WHERE cluster = $1 AND node = $2 AND boot_id = $3::text::uuid`, r.Cluster, r.Node, r.BootID, r.Complete, r.GapSince, r.GapMark, r.GapIncident)
	if err != nil {
		return fmt.Errorf("save an agent's run: %w", err)
	}
	return nil
}

// Silent is an agent that was not heard for a while, or was and is heard again.
type Silent struct {
	Cluster, Node string
	SeenAt        time.Time
	// Incident is the one about its silence, empty if none was opened.
	Incident, State string
}

// SilentAgents finds the agents that were last heard before a time, and those with
// an incident about their silence, and locks them.
func (tx Tx) SilentAgents(ctx context.Context, before time.Time) ([]Silent, error) {
	silent, err := collect[Silent](ctx, tx, `SELECT a.cluster, a.node, a.seen_at, coalesce(a.silent_incident::text, ''), coalesce(c.state, '')
		FROM agents a LEFT JOIN incidents c ON c.id = a.silent_incident WHERE a.seen_at < $1 OR a.silent_incident IS NOT NULL
		ORDER BY a.cluster, a.node FOR UPDATE OF a`, before)
	if err != nil {
		return nil, fmt.Errorf("read the silent agents: %w", err)
	}
	return silent, nil
}

// SaveSilence writes an agent's incident, empty for none.
func (tx Tx) SaveSilence(ctx context.Context, cluster, node, incident string) error {
	_, err := tx.Exec(ctx, "UPDATE agents SET silent_incident = nullif($3, '')::uuid WHERE cluster = $1 AND node = $2", cluster, node, incident)
	if err != nil {
		return fmt.Errorf("save the silence of %s: %w", node, err)
	}
	return nil
}
