package store

import (
	"context"
	"time"
)

// Standing is what a person should know of now, within a scope.
type Standing struct {
	// Incidents that are not over, by state and priority.
	Incidents []IncidentCount
	// Waiting actions have been put to people, Failed and Unknown ended so since the time
	// that was asked for.
	Waiting, Failed, Unknown int64
	// DeadLetters wait for a person, LiftsLate are effects that should be over.
	DeadLetters, LiftsLate int64
	// OldestPlannedNS is when the action was planned that waits longest for its execution,
	// 0 if none does.
	OldestPlannedNS int64
	// Chains of the record, for who sees every namespace of their clusters.
	Chains []ChainHead
}

// IncidentCount counts the incidents of one state and priority.
type IncidentCount struct {
	State    string
	Priority int16
	Count    int64
}

// ChainHead is how far one chain of the record goes, and its newest checkpoint.
type ChainHead struct {
	Cluster string
	Seq     int64
	// SignedSeq and SignedNS are the newest checkpoint's, 0 for none.
	SignedSeq, SignedNS int64
	// UnsignedNS is when the first entry after it was made, 0 if there is none.
	UnsignedNS int64
}

// Standing reads partial indexes and small tables, and the actions since a time.
func (s *Store) Standing(ctx context.Context, in Scope, now, since time.Time) (Standing, error) {
	var st Standing
	var err error
	var w where
	w.scope(in, in.incidents)
	w.parts = append(w.parts, "state IN ('open', 'contained')")
	st.Incidents, err = collect[IncidentCount](ctx, s.pool, "SELECT state, priority, count(*) FROM incidents"+w.String()+" GROUP BY 1, 2 ORDER BY 1 DESC, 2", w.args...)
	if err != nil {
		return st, err
	}
	if err := s.actionsStanding(ctx, in, now, since, &st); err != nil {
		return st, err
	}
	w = where{}
	w.scope(in, in.deadLetters)
	w.parts = append(w.parts, "state = 'dead'")
	if err := s.pool.QueryRow(ctx, "SELECT count(*) FROM dead_letters"+w.String(), w.args...).Scan(&st.DeadLetters); err != nil {
		return st, err
	}
	w = where{}
	w.scope(in, func() (string, []any) { return in.holds("h.cluster", "''") })
	st.Chains, err = collect[ChainHead](ctx, s.pool, `SELECT h.cluster, h.seq, coalesce(p.seq, 0), coalesce(p.at_ns, 0),
			coalesce((SELECT (extract(epoch FROM at) * 1000000)::bigint * 1000 FROM audit a WHERE a.cluster = h.cluster AND a.seq = coalesce(p.seq, 0) + 1), 0)
		FROM audit_heads h LEFT JOIN LATERAL (SELECT seq, at_ns FROM audit_checkpoints c WHERE c.cluster = h.cluster AND c.kind = 'checkpoint' ORDER BY seq DESC LIMIT 1) p ON true`+
		w.String()+" ORDER BY h.cluster", w.args...)
	return st, err
}

func (s *Store) actionsStanding(ctx context.Context, in Scope, now, since time.Time, st *Standing) error {
	for _, q := range []struct {
		what  string
		where string
		args  []any
		into  []any
	}{
		{"count(*)", "c.state = 'waiting'", nil, []any{&st.Waiting}},
		{"coalesce(min(c.planned_ns), 0)", "c.state = 'planned'", nil, []any{&st.OldestPlannedNS}},
		{
			"count(*) FILTER (WHERE c.state = 'failed'), count(*) FILTER (WHERE c.state = 'unknown')",
			"c.planned_ns >= ? AND c.state IN ('failed', 'unknown')",
			[]any{unixNS(since)},
			[]any{&st.Failed, &st.Unknown},
		},
		{
			"count(*)", "c.lifted_ns IS NULL AND c.lift_ns IS NOT NULL AND least(c.lift_ns, c.renew_ns) < ? AND c.lift_ns < ?",
			[]any{unixNS(now.Add(-time.Minute)), unixNS(now.Add(-time.Minute))},
			[]any{&st.LiftsLate},
		},
	} {
		var w where
		w.scope(in, in.actions)
		w.add(q.where, q.args...)
		if err := s.pool.QueryRow(ctx, "SELECT "+q.what+" FROM actions c"+w.String(), w.args...).Scan(q.into...); err != nil {
			return err
		}
	}
	return nil
}
