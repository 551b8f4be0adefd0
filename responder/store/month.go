package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// How far an id's time may be from the alert's receipt: an alert waits in the agent's
// spool and in the stream, and clocks differ. There are months for what is within.
const (
	maxEarly = 8 * 24 * time.Hour
	maxLate  = time.Hour
)

// RecordID returns the id under which an alert is stored that was received then: its
// own, a UUIDv7, whose time decides about the month it is kept in. One of another
// version, or with a time that cannot be, gets a new one: a node's clock makes no
// table of the year 9999, and no two months hold alerts of one id.
func RecordID(id string, received time.Time) string {
	if at, ok := idTime(id); ok && at.After(received.Add(-maxEarly)) && at.Before(received.Add(maxLate)) {
		return id
	}
	return uuid.Must(uuid.NewV7()).String()
}

// monthOf is the month that an alert of an id is kept in.
func monthOf(id string) time.Time {
	at, ok := idTime(id)
	if !ok {
		at = time.Now()
	}
	return Month(at)
}

// Month is the first day of a time's month, as the partitioned tables name it.
func Month(at time.Time) time.Time {
	at = at.UTC()
	return time.Date(at.Year(), at.Month(), 1, 0, 0, 0, 0, time.UTC)
}

// idTime is the time in a UUIDv7.
func idTime(id string) (time.Time, bool) {
	u, err := uuid.Parse(id)
	if err != nil || u.Version() != 7 {
		return time.Time{}, false
	}
	var ms int64
	for _, b := range u[:6] {
		ms = ms<<8 | int64(b)
	}
	return time.UnixMilli(ms), true
}

// MakeMonths makes the tables of the months to come, if they are missing.
func (s *Store) MakeMonths(ctx context.Context) error {
	if _, err := s.pool.Exec(ctx, "SELECT record_ahead()"); err != nil {
		return fmt.Errorf("make the tables of the next months: %w", err)
	}
	return nil
}

// RetireAlerts drops the months of alerts and their decisions that ended before a
// day, eight days ago at the latest, and returns their tables' names.
func (s *Store) RetireAlerts(ctx context.Context, before time.Time) (names []string, err error) {
	err = s.InTx(ctx, func(tx Tx) error {
		for _, parent := range []string{"decisions", "alerts"} {
			gone, err := tx.RetireMonths(ctx, parent, before)
			if err != nil {
				return err
			}
			names = append(names, gone...)
		}
		return nil
	})
	return names, err
}

// RetireMonths takes a table's months that ended before a day out of it: those of
// alerts and decisions are dropped, those of audit put into the schema
// riposte_retired. It fails, to be tried again, while somebody reads for long.
func (tx Tx) RetireMonths(ctx context.Context, parent string, before time.Time) ([]string, error) {
	type row struct{ Name string }
	rows, err := collect[row](ctx, tx, "SELECT record_retire($1, $2::date)", parent, before.UTC())
	if err != nil {
		return nil, fmt.Errorf("retire months of %s: %w", parent, err)
	}
	return column(rows, func(r *row) string { return r.Name }), nil
}
