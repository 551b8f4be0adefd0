package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// Figures are what the database alone knows, for all responders together.
type Figures struct {
	// Actions counts those that are not over, by their state: planned, waiting, executing.
	Actions map[string]uint64
	// OldestPlanned is when the action was planned that has waited longest for its
	// execution, zero if none waits.
	OldestPlanned time.Time
	// ToLift are effects that hold until their time is over, LiftsLate those whose time is
	// over for more than a minute.
	ToLift, LiftsLate uint64
	// Incidents counts those that are not over, by their state: open, contained.
	Incidents map[string]uint64
	// DeadLetters wait for a person.
	DeadLetters uint64
	// AgentsHeard said something since the time that was asked for, AgentsSilent did not.
	AgentsHeard, AgentsSilent uint64
	// AuditEntries is how many entries the record has, of all clusters.
	AuditEntries uint64
	// Jobs counts the jobs of the queue that are not over, by queue and then state.
	Jobs map[string]map[string]uint64
}

// figuresSQL reads partial indexes and small tables alone.
const figuresSQL = `SELECT
	(SELECT count(*) FROM actions WHERE state = 'planned'),
	(SELECT count(*) FROM actions WHERE state = 'waiting'),
	(SELECT count(*) FROM actions WHERE state = 'executing'),
	coalesce((SELECT min(planned_ns) FROM actions WHERE state = 'planned'), 0),
	(SELECT count(*) FROM actions WHERE lifted_ns IS NULL AND lift_ns IS NOT NULL),
	(SELECT count(*) FROM actions WHERE lifted_ns IS NULL AND lift_ns IS NOT NULL AND least(lift_ns, renew_ns) < $1 AND lift_ns < $1),
	(SELECT count(*) FROM incidents WHERE state = 'open'),
	(SELECT count(*) FROM incidents WHERE state = 'contained'),
	(SELECT count(*) FROM dead_letters WHERE state = 'dead'),
	(SELECT count(*) FROM agents WHERE seen_at >= $2),
	(SELECT count(*) FROM agents WHERE seen_at < $2),
	coalesce((SELECT sum(seq) FROM audit_heads), 0)::bigint`

const jobsSQL = `SELECT queue, state::text, count(*) FROM ` + RiverSchema + `.river_job
	WHERE state IN ('available', 'pending', 'retryable', 'running', 'scheduled') GROUP BY queue, state`

// Figures reads them at a time now. Agents that said nothing since heardSince are silent.
func (s *Store) Figures(ctx context.Context, now, heardSince time.Time) (Figures, error) {
	f := Figures{Jobs: map[string]map[string]uint64{}}
	var planned, waiting, executing, open, contained uint64
	var oldest int64
	err := s.pool.QueryRow(ctx, figuresSQL, now.Add(-time.Minute).UnixNano(), heardSince).Scan(&planned, &waiting, &executing, &oldest,
		&f.ToLift, &f.LiftsLate, &open, &contained, &f.DeadLetters, &f.AgentsHeard, &f.AgentsSilent, &f.AuditEntries)
	if err != nil {
		return f, err
	}
	if oldest > 0 {
		f.OldestPlanned = time.Unix(0, oldest)
	}
	f.Actions = map[string]uint64{"planned": planned, "waiting": waiting, "executing": executing}
	f.Incidents = map[string]uint64{"open": open, "contained": contained}
	rows, err := s.pool.Query(ctx, jobsSQL)
	if err != nil {
		return f, err
	}
	var queue, state string
	var n uint64
	_, err = pgx.ForEachRow(rows, []any{&queue, &state, &n}, func() error {
		if f.Jobs[queue] == nil {
			f.Jobs[queue] = map[string]uint64{}
		}
		f.Jobs[queue][state] = n
		return nil
	})
	return f, err
}

// PoolStats are the connections to the database of this process.
type PoolStats struct {
	// InUse and Idle are connections, Max the most that there may be.
	InUse, Idle, Max int32
	// Acquired counts how often a connection was taken, Waited how often none was free,
	// GivenUp how often the caller did not wait any longer.
	Acquired, Waited, GivenUp uint64
	// WaitTime is how long all callers together waited for a connection.
	WaitTime time.Duration
}

// PoolStats says how busy the pool is.
func (s *Store) PoolStats() PoolStats {
	p := s.pool.Stat()
	return PoolStats{
		InUse: p.AcquiredConns(), Idle: p.IdleConns(), Max: p.MaxConns(), Acquired: uint64(p.AcquireCount()), Waited: uint64(p.EmptyAcquireCount()),
		GivenUp: uint64(p.CanceledAcquireCount()), WaitTime: p.EmptyAcquireWaitTime(),
	}
}
