package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// minGain is the least by which an effect is made to last longer, and gainShare the part
// of the time asked for: a flood of equal alerts must not write, and order a node, as
// often as it asks.
const (
	minGain   = time.Second
	gainShare = 100
)

// prolongSQL makes effects end later, never sooner. What is still to be caused holds for
// the longer time; what is there is lifted later, and its lease, if it has one, renewed
// now. Left alone is what a person has asked to lift, and what somebody lifts right now:
// the next alert finds it gone and causes it anew.
const prolongSQL = `UPDATE actions a SET
		ttl_ns = CASE WHEN a.state = 'succeeded' THEN a.ttl_ns ELSE w.ttl END,
		lift_ns = CASE WHEN a.state = 'succeeded' AND w.ttl > 0 THEN $4 + w.ttl END,
		renew_ns = CASE WHEN a.state = 'succeeded' AND w.leased THEN $4 ELSE a.renew_ns END
	FROM unnest((SELECT $1::text[]::uuid[]), (SELECT $2::bigint[]), (SELECT $3::boolean[])) AS w (id, ttl, leased)
	WHERE a.id = w.id AND (
		a.state = 'succeeded' AND a.lift_ns IS NOT NULL AND a.lift_by = '' AND (a.lift_ns > $4 OR a.lift_holder = '')
			AND (w.ttl = 0 OR $4 + w.ttl - a.lift_ns >= greatest($5, w.ttl / $6))
		OR a.state IN ('planned', 'executing') AND a.ttl_ns > 0 AND (w.ttl = 0 OR w.ttl > a.ttl_ns))
	RETURNING a.id::text, coalesce(a.lift_ns, 0), CASE WHEN a.state = 'succeeded' THEN 0 ELSE a.ttl_ns END`

// Prolonged says how long an effect holds now because another decision asks for it too.
type Prolonged struct {
	// Until is when it is lifted, 0 for when a person does.
	Until time.Time
	// For is how long it will hold, of an effect that is still to be caused.
	For time.Duration
}

// prolong makes the effects that planned actions join last as long as these ask for, and
// says so in the result of the one that asks for the longest time.
func (tx Tx) prolong(ctx context.Context, actions []NewAction, results []Planned, now time.Time) error {
	longest := map[string]int{}
	for i, a := range actions {
		holder := results[i].Joined
		if holder == "" || a.State != "planned" {
			continue
		}
		if at, other := longest[holder]; !other || longer(a.TTLNS, actions[at].TTLNS) {
			longest[holder] = i
		}
	}
	if len(longest) == 0 {
		return nil
	}
	var (
		ids    []string
		ttls   []int64
		leased []bool
	)
	for id, i := range longest {
		ids, ttls, leased = append(ids, id), append(ttls, actions[i].TTLNS), append(leased, actions[i].Leased)
	}
	rows, err := tx.Query(ctx, prolongSQL, ids, ttls, leased, now.UnixNano(), int64(minGain), int64(gainShare))
	if err != nil {
		return fmt.Errorf("make effects last longer: %w", err)
	}
	var id string
	var until, during int64
	_, err = pgx.ForEachRow(rows, []any{&id, &until, &during}, func() error {
		p := &Prolonged{For: time.Duration(during)}
		if until != 0 {
			p.Until = time.Unix(0, until)
		}
		results[longest[id]].Prolonged = p
		return nil
	})
	if err != nil {
		return fmt.Errorf("make effects last longer: %w", err)
	}
	return nil
}

// longer compares times of which 0 has no end.
func longer(a, b int64) bool { return b != 0 && (a == 0 || a > b) }

// String is what became of it, for the record.
func (p Prolonged) String() string {
	switch {
	case p.For > 0:
		return "it will hold for " + p.For.String()
	case p.Until.IsZero():
		return "it holds until somebody lifts it"
	}
	return "it holds until " + p.Until.UTC().Format(time.RFC3339)
}
