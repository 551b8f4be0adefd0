package execute

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"riposte/responder/action"
	"riposte/responder/store"
)

// Schema is the Postgres schema that holds River's tables.
const Schema = store.RiverSchema

// Queue is a set of jobs with workers of its own.
type Queue string

// The queues. What takes long has its own, so that it never stands in the way of a kill.
const (
	// Contain is for what stops an attack now.
	Contain Queue = "contain"
	// Default is for whatever is Slow by its Spec.
	Default Queue = "default"
	// verify is for looking whether an effect is there.
	verify Queue = "verify"
	// lift is for lifting an effect, and for renewing the lease of one.
	lift Queue = "lift"
)

// QueueOf is where actions of one type wait.
func QueueOf(s action.Spec) Queue {
	if s.Slow {
		return Default
	}
	return Contain
}

// job is all that River knows of an action: the row in actions is the truth.
type job struct {
	Action string `json:"action"`
}

// Kind names the job to River.
func (job) Kind() string { return "action" }

// liftJob has an effect lifted, if it is time.
type liftJob struct {
	Action string `json:"action"`
}

// Kind names the job to River.
func (liftJob) Kind() string { return "lift" }

// inserter only inserts: it has no pool and starts nothing.
var inserter = sync.OnceValues(func() (*river.Client[pgx.Tx], error) {
	return river.NewClient(riverpgxv5.New(nil), &river.Config{Schema: Schema, FetchCooldown: river.FetchCooldownMin})
})

// Enqueue has planned actions executed as soon as the caller's transaction
// commits, and not at all if it does not. The ids are those of rows in actions;
// to give one twice does no harm. The actions go to Contain.
func Enqueue(ctx context.Context, tx store.Tx, ids ...string) error {
	return EnqueueTo(ctx, tx, Contain, ids...)
}

// Enqueuer is Enqueue with each action in the queue of its type.
func Enqueuer(registry action.Registry) func(ctx context.Context, tx store.Tx, ids ...string) error {
	var slow []string
	for name, a := range registry {
		if QueueOf(a.Spec()) == Default {
			slow = append(slow, name)
		}
	}
	if len(slow) == 0 {
		return Enqueue
	}
	return func(ctx context.Context, tx store.Tx, ids ...string) error {
		if len(ids) == 0 {
			return nil
		}
		rows, err := tx.Query(ctx, `SELECT id::text FROM actions WHERE id = ANY((SELECT $1::text[]::uuid[])::uuid[]) AND type = ANY((SELECT $2::text[])::text[])`, ids, slow)
		if err != nil {
			return fmt.Errorf("sort %d actions into queues: %w", len(ids), err)
		}
		late, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return fmt.Errorf("sort %d actions into queues: %w", len(ids), err)
		}
		now := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return slices.Contains(late, id) })
		if err := Enqueue(ctx, tx, now...); err != nil {
			return err
		}
		return EnqueueTo(ctx, tx, Default, late...)
	}
}

// EnqueueTo is Enqueue for one queue, see QueueOf.
func EnqueueTo(ctx context.Context, tx store.Tx, queue Queue, ids ...string) error {
	if len(ids) == 0 {
		return nil
	}
	client, err := inserter()
	if err != nil {
		return fmt.Errorf("set up the job queue: %w", err)
	}
	params := make([]river.InsertManyParams, len(ids))
	for i, id := range ids {
		if err := uuid.Validate(id); err != nil {
			return fmt.Errorf("enqueue: %.60q is no action's id: %w", id, err)
		}
		var args river.JobArgs = job{Action: id}
		if queue == lift {
			args = liftJob{Action: id}
		}
		params[i] = river.InsertManyParams{Args: args, InsertOpts: &river.InsertOpts{Queue: string(queue)}}
	}
	if _, err := client.InsertManyFastTx(ctx, tx.Tx, params); err != nil {
		return fmt.Errorf("enqueue %d actions: %w", len(ids), err)
	}
	// River tells its workers at most once per FetchCooldown, counted from the
	// insert. Of two transactions that insert within it the later one to commit
	// would wait for the next poll, so each tells for itself; Postgres folds equal
	// notifications of one transaction into one.
	payload := fmt.Sprintf("{\"queue\": %q}", queue)
	if _, err := tx.Exec(ctx, `SELECT pg_notify($1, $2)`, Schema+".river_insert", payload); err != nil {
		return fmt.Errorf("wake the executors: %w", err)
	}
	return nil
}
