package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// CountedBy are the names that the record's entries are counted by.
var CountedBy = []string{"day", "cluster", "kind", "namespace", "playbook", "action", "result"}

// MaxCounts is the most rows that Counts returns.
const MaxCounts = 10_000

// Errors of Counts that a caller branches on.
var (
	// ErrCountedBy: there is nothing of that name to count by.
	ErrCountedBy = fmt.Errorf("the record is counted by %s, each at most once", strings.Join(CountedBy, ", "))
	// ErrManyCounts: there are more than MaxCounts rows.
	ErrManyCounts = fmt.Errorf("there are more than %d rows: count by less, or within less", MaxCounts)
)

// CountFilter chooses what is counted; zero fields choose all.
type CountFilter struct {
	Kind, Namespace, Playbook, Action, Result string
	// Since is the first day in UTC, Until the day after the last.
	Since, Until time.Time
}

// CountRow is a number of entries. Of the other fields those are set that were counted
// by; they may be empty even so, where entries have none.
type CountRow struct {
	Day                                                time.Time
	Cluster, Kind, Namespace, Playbook, Action, Result string
	Entries                                            int64
}

// Counts counts the record's entries within a scope by some of CountedBy, in the
// order of these, days from the newest on.
func (s *Store) Counts(ctx context.Context, in Scope, f CountFilter, by []string) ([]CountRow, error) {
	sql, args, err := countQuery(in, f, by)
	if err != nil {
		return nil, err
	}
	rows, err := collect[CountRow](ctx, s.pool, sql, append([]any{forValues}, args...)...)
	if err == nil && len(rows) > MaxCounts {
		return nil, ErrManyCounts
	}
	return rows, err
}

func countQuery(in Scope, f CountFilter, by []string) (string, []any, error) {
	table := "audit_counts"
	if f.Namespace == "" && !slices.Contains(by, "namespace") && !in.byNamespace() {
		table = "audit_totals" // the same without namespaces
	}
	columns := make([]string, len(CountedBy))
	var order []string
	for i, name := range CountedBy {
		columns[i] = "''"
		if name == "day" {
			columns[i] = "'epoch'::date"
		}
		if slices.Contains(by, name) {
			columns[i] = table + "." + name
		}
	}
	for i, name := range by {
		if !slices.Contains(CountedBy, name) || slices.Contains(by[:i], name) {
			return "", nil, ErrCountedBy
		}
		order = append(order, table+"."+name)
	}
	if len(by) == 0 {
		return "", nil, ErrCountedBy
	}
	var w where
	w.scope(in, func() (string, []any) { return in.holds(table+".cluster", table+".namespace") })
	w.text("kind", f.Kind)
	w.text("namespace", f.Namespace)
	w.text("playbook", f.Playbook)
	w.text("action", f.Action)
	w.text("result", f.Result)
	if !f.Since.IsZero() {
		w.add("day >= ?::date", f.Since.UTC())
	}
	if !f.Until.IsZero() {
		w.add("day < ?::date", f.Until.UTC())
	}
	group := strings.Join(order, ", ")
	sorted := strings.Replace(group, table+".day", table+".day DESC", 1)
	return "SELECT " + strings.Join(columns, ", ") + ", sum(entries)::bigint FROM " + table + w.String() +
		" GROUP BY " + group + " ORDER BY " + sorted + fmt.Sprintf(" LIMIT %d", MaxCounts+1), w.args, nil
}
