package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// MaxChanges bounds what one look at the changes returns of each table.
const MaxChanges = 1000

// Snapshot is which transactions a reader has seen, in Postgres's own text form:
// xmin:xmax:those in between that were still running. It fits this database alone.
type Snapshot string

// maxSnapshot bounds a snapshot that comes from outside.
const maxSnapshot = 8 << 10

// ParseSnapshot checks a snapshot that somebody kept.
func ParseSnapshot(s string) (Snapshot, error) {
	bad := fmt.Errorf("%.60q is no snapshot", s)
	part := strings.Split(s, ":")
	if len(s) > maxSnapshot || len(part) != 3 {
		return "", bad
	}
	xmin, err := strconv.ParseUint(part[0], 10, 63)
	if err != nil || xmin == 0 {
		return "", bad
	}
	xmax, err := strconv.ParseUint(part[1], 10, 63)
	if err != nil || xmax < xmin {
		return "", bad
	}
	if part[2] == "" {
		return Snapshot(s), nil
	}
	last := xmin
	for p := range strings.SplitSeq(part[2], ",") {
		running, err := strconv.ParseUint(p, 10, 63)
		if err != nil || running < last || running >= xmax {
			return "", bad
		}
		last = running
	}
	return Snapshot(s), nil
}

// Changes is what was committed after a snapshot was taken.
type Changes struct {
	Alerts  []AlertRow
	Actions []ActionRow
	Audit   []AuditRow
	// Snapshot is what has been seen with this look.
	Snapshot Snapshot
	// Incomplete says that there is more than MaxChanges, or that the snapshot is of
	// another database: the reader must start over from the lists.
	Incomplete bool
}

// Changes reads the rows within a scope whose last writer a snapshot did not see. A row that
// was written several times since comes once, as it is now. Times and ids cannot
// do this: transactions do not commit in the order in which they began.
func (s *Store) Changes(ctx context.Context, in Scope, since Snapshot) (Changes, error) {
	var c Changes
	// Repeatable read: the rows and the new snapshot must be the same look.
	tx, err := s.pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return c, err
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) //nolint:errcheck // read only: there is nothing to lose

	const now = `SELECT pg_current_snapshot()::text, pg_snapshot_xmax($1::text::pg_snapshot) > pg_snapshot_xmax(pg_current_snapshot())`
	if err := tx.QueryRow(ctx, now, string(since)).Scan(&c.Snapshot, &c.Incomplete); err != nil || c.Incomplete || c.Snapshot == since {
		return c, err // the same snapshot sees the same
	}
	if c.Alerts, err = unseen[AlertRow](ctx, tx, selectAlerts, "alerts", "id", since, func(w *where) { w.alertScope(in) }); err != nil {
		return c, err
	}
	if c.Actions, err = unseen[ActionRow](ctx, tx, selectActions, "c", "c.id", since, func(w *where) { w.scope(in, in.actions) }); err != nil {
		return c, err
	}
	if c.Audit, err = unseen[AuditRow](ctx, tx, selectAudit, "audit", "cluster, seq", since, func(w *where) { w.scope(in, in.audit) }); err != nil {
		return c, err
	}
	c.Incomplete = len(c.Alerts) > MaxChanges || len(c.Actions) > MaxChanges || len(c.Audit) > MaxChanges
	return c, nil
}

// unseen reads the rows of one table that a snapshot did not see, MaxChanges and one
// more at most.
func unseen[T any](ctx context.Context, tx querier, sql, table, order string, since Snapshot, more func(*where)) ([]T, error) {
	var w where
	w.add(table+".change >= pg_snapshot_xmin(?::text::pg_snapshot)", string(since))
	w.add("NOT pg_visible_in_snapshot("+table+".change, ?::text::pg_snapshot)", string(since))
	more(&w)
	limit := w.place("?", MaxChanges+1)
	return collect[T](ctx, tx, sql+w.String()+" ORDER BY "+table+".change, "+order+" LIMIT "+limit, w.args...)
}

// Snapshot is where a reader begins that wants only what comes now.
func (s *Store) Snapshot(ctx context.Context) (now Snapshot, err error) {
	err = s.pool.QueryRow(ctx, "SELECT pg_current_snapshot()::text").Scan(&now)
	return now, err
}
