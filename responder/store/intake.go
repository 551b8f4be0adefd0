package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
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

// NewAlert is an alert to store; see migrations/00001_record.sql for the columns.
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
}

// NewDecision is one playbook's answer to an alert.
type NewDecision struct {
	ID, AlertID              string
	Playbook, Revision, Mode string
	State, Reason            string
	Input, Result            string
	DecidedNS                int64
}

// Seen says which origins are in the inbox already.
func (s *Store) Seen(ctx context.Context, origins []Origin) (map[Origin]bool, error) {
	c := columnsOf(origins)
	rows, err := s.pool.Query(ctx, `SELECT cluster, node, boot_id::text, seq FROM inbox
		WHERE (cluster, node, boot_id, seq) IN (SELECT * FROM unnest($1::text[], $2::text[], $3::text[]::uuid[], $4::bigint[]))`,
		c.cluster, c.node, c.boot, c.seq)
	if err != nil {
		return nil, fmt.Errorf("look into the inbox: %w", err)
	}
	return collectOrigins(rows, "look into the inbox")
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
	return collectOrigins(rows, "write the inbox")
}

// AddAlerts stores alerts whose incidents exist.
func (tx Tx) AddAlerts(ctx context.Context, alerts []NewAlert) error {
	batch := &pgx.Batch{}
	for _, a := range alerts {
		batch.Queue(`INSERT INTO alerts (id, incident_id, cluster, node, rule, priority, source, output, container_id, namespace, pod, pod_uid,
				binding, recorded, kernel_ns, alert_ns, received_ns, body)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)`,
			a.ID, a.IncidentID, Text(a.Cluster), Text(a.Node), Text(a.Rule), a.Priority, Text(a.Source), Text(a.Output), Text(a.ContainerID),
			Text(a.Namespace), Text(a.Pod), Text(a.PodUID), a.Binding, a.Recorded, a.KernelNS, a.AlertNS, a.ReceivedNS, Text(a.Body))
	}
	return tx.send(ctx, batch, "store alerts")
}

// AddDecisions stores decisions whose alerts exist.
func (tx Tx) AddDecisions(ctx context.Context, decisions []NewDecision) error {
	batch := &pgx.Batch{}
	for _, d := range decisions {
		batch.Queue(`INSERT INTO decisions (id, alert_id, playbook, revision, mode, state, reason, input, result, decided_ns)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
			d.ID, d.AlertID, Text(d.Playbook), d.Revision, d.Mode, d.State, Text(d.Reason), Text(d.Input), Text(d.Result), d.DecidedNS)
	}
	return tx.send(ctx, batch, "store decisions")
}

func (tx Tx) send(ctx context.Context, batch *pgx.Batch, what string) error {
	if batch.Len() == 0 {
		return nil
	}
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// PruneInbox forgets what arrived before a time. That must be longer ago than the
// stream keeps its messages.
func (s *Store) PruneInbox(ctx context.Context, before time.Time) (int64, error) {
	tag, err := s.pool.Exec(ctx, "DELETE FROM inbox WHERE received_at < $1", before)
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

// Fault says that the database refused the data itself, so that the same data
// would be refused again. Whatever else went wrong may pass.
func Fault(err error) bool {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || len(pg.Code) < 2 {
		return false
	}
	switch pg.Code[:2] {
	case "0A", "21", "22", "23", "44", "54", "P0": // cardinality, data, constraint, check option, limit, raised by a function
		return true
	}
	return false
}

// Conflict says that the transaction lost against a concurrent one (deadlock,
// serialization) and may be repeated at once.
func Conflict(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && strings.HasPrefix(pg.Code, "40")
}

// Refused says that the database answered, with an error of its own.
func Refused(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg)
}

// Ping says whether the database answers.
func (s *Store) Ping(ctx context.Context) error { return s.pool.Ping(ctx) }

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

func collectOrigins(rows pgx.Rows, what string) (map[Origin]bool, error) {
	found := map[Origin]bool{}
	var o Origin
	var seq int64
	_, err := pgx.ForEachRow(rows, []any{&o.Cluster, &o.Node, &o.BootID, &seq}, func() error {
		o.Seq = uint64(seq)
		found[o] = true
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return found, nil
}
