package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// Origin is where an alert came from. It is unique: the same origin twice is the
// same alert delivered twice.
type Origin struct {
	Cluster, Node, BootID string
	Seq                   uint64
}

// Arrival is one alert's entry in the inbox.
type Arrival struct {
	Origin
	AlertID  string
	Received time.Time
}

// NewAlert is an alert to store; see the migrations for the columns.
type NewAlert struct {
	ID, IncidentID         string
	Cluster, Node          string
	Rule                   string
	Priority               int
	Source, Output         string
	ContainerID            string
	Namespace, Pod, PodUID string
	Binding                string
	Recorded               bool
	KernelNS, AlertNS      int64
	ReceivedNS             int64
	Body                   string
	// Labels are the pod's.
	Labels map[string]string
	// Fingerprint makes equal alerts of an incident one row: Count more were received,
	// the last at LastNS.
	Fingerprint []byte
	Count       int64
	LastNS      int64
}

// NewDecision is one playbook's answer to an alert.
type NewDecision struct {
	ID, AlertID              string
	Playbook, Revision, Mode string
	State, Reason            string
	Input, Result            string
	DecidedNS                int64
	// Digest makes equal answers to equal alerts one row.
	Digest []byte
	Count  int64
}

// Arrive writes the inbox and returns the origins that were new. A concurrent
// transaction with the same origin is waited for.
func (tx Tx) Arrive(ctx context.Context, arrivals []Arrival) (map[Origin]bool, error) {
	// One order for all writers, so that no two wait for each other.
	arrivals = slices.SortedFunc(slices.Values(arrivals), func(a, b Arrival) int {
		return cmp.Or(strings.Compare(a.Cluster, b.Cluster), strings.Compare(a.Node, b.Node), strings.Compare(a.BootID, b.BootID), cmp.Compare(a.Seq, b.Seq))
	})
	origins := make([]Origin, len(arrivals))
	ids := make([]string, len(arrivals))
	received := make([]time.Time, len(arrivals))
	for i, a := range arrivals {
		origins[i], ids[i], received[i] = a.Origin, a.AlertID, a.Received
	}
	c := columnsOf(origins)
	rows, err := tx.Query(ctx, `INSERT INTO inbox (cluster, node, boot_id, seq, alert_id, received_at)
		SELECT * FROM unnest($1::text[], $2::text[], $3::text[]::uuid[], $4::bigint[], $5::text[]::uuid[], $6::timestamptz[])
		ON CONFLICT DO NOTHING RETURNING cluster, node, boot_id::text, seq`,
		c.cluster, c.node, c.boot, c.seq, ids, received)
	if err != nil {
		return nil, fmt.Errorf("write the inbox: %w", err)
	}
	found := map[Origin]bool{}
	if err := eachOrigin(rows, func(o Origin) { found[o] = true }); err != nil {
		return nil, fmt.Errorf("write the inbox: %w", err)
	}
	return found, nil
}

// AddAlerts stores alerts whose incidents exist and returns the ids of their rows,
// in their order: an alert that is equal to one of its incident and month is counted
// there. Its id must be one of RecordID.
// No two of alerts may be equal.
func (tx Tx) AddAlerts(ctx context.Context, alerts []NewAlert) ([]string, error) {
	text := func(f func(*NewAlert) string) []string {
		return column(alerts, func(a *NewAlert) string { return Text(f(a)) })
	}
	number := func(f func(*NewAlert) int64) []int64 { return column(alerts, f) }
	type key struct{ incident, fingerprint string }
	rows, err := tx.Query(ctx, `INSERT INTO alerts AS l (id, incident_id, cluster, node, rule, priority, source, output, container_id, namespace, pod, pod_uid,
			binding, recorded, kernel_ns, alert_ns, received_ns, body, fingerprint, count, last_ns, month, labels)
		SELECT * FROM unnest($1::text[]::uuid[], $2::text[]::uuid[], $3::text[], $4::text[], $5::text[], $6::smallint[], $7::text[], $8::text[],
			$9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::boolean[], $15::bigint[], $16::bigint[], $17::bigint[], $18::text[],
			$19::bytea[], $20::bigint[], $21::bigint[], $22::date[], $23::jsonb[])
		ON CONFLICT (incident_id, fingerprint, month) DO UPDATE SET count = l.count + excluded.count,
			last_ns = greatest(l.last_ns, l.received_ns, excluded.last_ns), change = excluded.change
		RETURNING id::text, incident_id::text, fingerprint`,
		text(func(a *NewAlert) string { return a.ID }), text(func(a *NewAlert) string { return a.IncidentID }),
		text(func(a *NewAlert) string { return a.Cluster }), text(func(a *NewAlert) string { return a.Node }),
		text(func(a *NewAlert) string { return a.Rule }), column(alerts, func(a *NewAlert) int16 { return int16(a.Priority) }),
		text(func(a *NewAlert) string { return a.Source }), text(func(a *NewAlert) string { return a.Output }),
		text(func(a *NewAlert) string { return a.ContainerID }), text(func(a *NewAlert) string { return a.Namespace }),
		text(func(a *NewAlert) string { return a.Pod }), text(func(a *NewAlert) string { return a.PodUID }),
		text(func(a *NewAlert) string { return a.Binding }), column(alerts, func(a *NewAlert) bool { return a.Recorded }),
		number(func(a *NewAlert) int64 { return a.KernelNS }), number(func(a *NewAlert) int64 { return a.AlertNS }),
		number(func(a *NewAlert) int64 { return a.ReceivedNS }), text(func(a *NewAlert) string { return a.Body }),
		column(alerts, func(a *NewAlert) []byte { return a.Fingerprint }), number(func(a *NewAlert) int64 { return a.Count }),
		number(func(a *NewAlert) int64 { return a.LastNS }), column(alerts, func(a *NewAlert) time.Time { return monthOf(a.ID) }),
		column(alerts, func(a *NewAlert) []byte { return labelsJSON(a.Labels) }))
	if err != nil {
		return nil, fmt.Errorf("store alerts: %w", err)
	}
	stored := map[key]string{}
	var id, incidentID string
	var fingerprint []byte
	_, err = pgx.ForEachRow(rows, []any{&id, &incidentID, &fingerprint}, func() error {
		stored[key{incidentID, string(fingerprint)}] = id
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("store alerts: %w", err)
	}
	return column(alerts, func(a *NewAlert) string { return stored[key{a.IncidentID, string(a.Fingerprint)}] }), nil
}

// AddDecisions stores decisions whose alerts exist and returns the ids of their
// rows, in their order: one that is equal to an earlier one about its alert is
// counted there. No two of decisions may be equal.
func (tx Tx) AddDecisions(ctx context.Context, decisions []NewDecision) ([]string, error) {
	text := func(f func(*NewDecision) string) []string {
		return column(decisions, func(d *NewDecision) string { return Text(f(d)) })
	}
	type key struct{ alert, digest string }
	rows, err := tx.Query(ctx, `INSERT INTO decisions AS d (id, alert_id, playbook, revision, mode, state, reason, input, result, decided_ns, digest, count, month)
		SELECT * FROM unnest($1::text[]::uuid[], $2::text[]::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
			$10::bigint[], $11::bytea[], $12::bigint[], $13::date[])
		ON CONFLICT (alert_id, digest, month) DO UPDATE SET count = d.count + excluded.count RETURNING id::text, alert_id::text, digest`,
		text(func(d *NewDecision) string { return d.ID }), text(func(d *NewDecision) string { return d.AlertID }),
		text(func(d *NewDecision) string { return d.Playbook }), text(func(d *NewDecision) string { return d.Revision }),
		text(func(d *NewDecision) string { return d.Mode }), text(func(d *NewDecision) string { return d.State }),
		text(func(d *NewDecision) string { return d.Reason }), text(func(d *NewDecision) string { return d.Input }),
		text(func(d *NewDecision) string { return d.Result }), column(decisions, func(d *NewDecision) int64 { return d.DecidedNS }),
		column(decisions, func(d *NewDecision) []byte { return d.Digest }), column(decisions, func(d *NewDecision) int64 { return d.Count }),
		column(decisions, func(d *NewDecision) time.Time { return monthOf(d.AlertID) }))
	if err != nil {
		return nil, fmt.Errorf("store decisions: %w", err)
	}
	stored := map[key]string{}
	var id, alertID string
	var digest []byte
	_, err = pgx.ForEachRow(rows, []any{&id, &alertID, &digest}, func() error {
		stored[key{alertID, string(digest)}] = id
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("store decisions: %w", err)
	}
	return column(decisions, func(d *NewDecision) string { return stored[key{d.AlertID, string(d.Digest)}] }), nil
}

// column is one field of all rows: a statement takes its rows as columns.
func column[T, V any](rows []T, field func(*T) V) []V {
	all := make([]V, len(rows))
	for i := range rows {
		all[i] = field(&rows[i])
	}
	return all
}

// PruneInbox forgets what arrived before a time, and the runs of agents and their
// losses that nobody spoke of since. That must be longer ago than the stream keeps
// its messages.
func (s *Store) PruneInbox(ctx context.Context, before time.Time) (int64, error) {
	tag, err := s.pool.Exec(ctx, "DELETE FROM inbox WHERE received_at < $1", before)
	if err == nil {
		_, err = s.pool.Exec(ctx, "DELETE FROM losses WHERE announced_at < $1", before)
	}
	if err == nil {
		_, err = s.pool.Exec(ctx, "DELETE FROM agent_runs WHERE seen_at < $1", before)
	}
	if err != nil {
		return 0, fmt.Errorf("prune the inbox: %w", err)
	}
	return tag.RowsAffected(), nil
}

// Text makes a text that an attacker may have written fit for Postgres, which
// takes neither NUL nor bytes that are not UTF-8: U+FFFD stands in their place.
func Text(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

type originColumns struct {
	cluster, node, boot []string
	seq                 []int64
}

func columnsOf(origins []Origin) (c originColumns) {
	for _, o := range origins {
		c.cluster, c.node, c.boot, c.seq = append(c.cluster, o.Cluster), append(c.node, o.Node), append(c.boot, o.BootID), append(c.seq, int64(o.Seq))
	}
	return c
}

// eachOrigin reads what originColumns selects.
func eachOrigin(rows pgx.Rows, do func(Origin)) error {
	var o Origin
	var seq int64
	_, err := pgx.ForEachRow(rows, []any{&o.Cluster, &o.Node, &o.BootID, &seq}, func() error {
		o.Seq = uint64(seq)
		do(o)
		return nil
	})
	return err
}
