// Package recordtest fills a database with a long record, for benchmarks and for tests
// of the plans of queries: as many entries as asked for, over a year, of alerts, the
// decisions about them and what was done, with the shares that a busy installation
// has. The hashes are none: it is a record to ask, not to verify.
package recordtest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"riposte/responder/store"
)

// Span is how much time the record covers, up to now.
const Span = 360 * 24 * time.Hour

// chunk is how many entries are copied at once.
const chunk = 50_000

// Record is what was filled in.
type Record struct {
	Store *store.Store
	// Entries is how many there are in all; Begin and End are when the first and the last was.
	Entries    int
	Begin, End time.Time
	episodes   int
}

// Fill puts in entries, and what they are about, and has the tables analyzed. The
// rows of the decisions are left out: none of the questions reads them. The indexes of the record are made anew after it, which is faster.
func Fill(t testing.TB, s *store.Store, entries int) *Record {
	t.Helper()
	ctx := t.Context()
	end := time.Now().Truncate(time.Second)
	r := &Record{Store: s, Entries: entries, Begin: end.Add(-Span), End: end}
	r.episodes = entries * 100 / entriesPer100
	for m := store.Month(r.Begin); !m.After(end); m = m.AddDate(0, 1, 0) {
		for _, parent := range []string{"alerts", "audit"} {
			_, err := s.Pool().Exec(ctx, "SELECT record_month($1, $2::date)", parent, m)
			require.NoError(t, err)
		}
	}
	conn, err := s.Pool().Acquire(ctx)
	require.NoError(t, err)
	defer conn.Release()
	rebuild := r.dropIndexes(t, conn.Conn())
	exec(t, conn.Conn(), "ALTER TABLE actions DISABLE TRIGGER USER")
	r.incidents(ctx, t, conn.Conn())
	f := filler{record: r, seq: 1}
	for at := 0; at < r.episodes; {
		f.reset()
		for at < r.episodes && len(f.audit) < chunk {
			f.episode(at)
			at++
		}
		require.NoError(t, f.copy(ctx, conn.Conn()))
	}
	r.Entries = int(f.seq - 1)
	exec(t, conn.Conn(), "ALTER TABLE actions ENABLE TRIGGER USER")
	exec(t, conn.Conn(), "SET maintenance_work_mem = '256MB'")
	for _, sql := range rebuild {
		exec(t, conn.Conn(), sql)
	}
	for _, table := range []string{"audit", "alerts", "actions", "incidents", "audit_counts", "audit_totals"} {
		exec(t, conn.Conn(), "VACUUM ANALYZE "+table)
	}
	return r
}

func exec(t testing.TB, conn *pgx.Conn, sql string) {
	t.Helper()
	_, err := conn.Exec(t.Context(), sql)
	require.NoError(t, err, sql)
}

// dropIndexes drops the record's secondary indexes and returns the statements that
// make them again.
func (r *Record) dropIndexes(t testing.TB, conn *pgx.Conn) []string {
	t.Helper()
	rows, err := conn.Query(t.Context(), `SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename = 'audit' AND indexname <> 'audit_pkey'`)
	require.NoError(t, err)
	type index struct{ Name, Definition string }
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[index])
	require.NoError(t, err)
	var again []string
	for _, i := range all {
		exec(t, conn, "DROP INDEX "+pgx.Identifier{i.Name}.Sanitize())
		again = append(again, strings.Replace(i.Definition, " ON ONLY ", " ON ", 1))
	}
	slices.Sort(again)
	return again
}

// incidents has one for each hundred episodes.
func (r *Record) incidents(ctx context.Context, t testing.TB, conn *pgx.Conn) {
	t.Helper()
	n := r.episodes/perIncident + 1
	_, err := conn.CopyFrom(ctx, pgx.Identifier{"incidents"}, []string{"id", "cluster", "key", "state", "title", "priority", "alerts", "first_at", "last_at", "joinable", "labels"},
		pgx.CopyFromSlice(n, func(i int) ([]any, error) {
			at := r.At(i * perIncident)
			return []any{uuidOf(at, 'b', i), Cluster(i * perIncident), fmt.Sprint("key ", i), "resolved", "An incident", 2, perIncident, at, at, false, labels(i * perIncident)}, nil
		}))
	require.NoError(t, err)
}

// At is when episode i began.
func (r *Record) At(i int) time.Time {
	return r.Begin.Add(time.Duration(float64(Span-time.Minute) * float64(i) / float64(max(r.episodes, 1)))).UTC()
}
