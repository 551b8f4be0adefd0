package execute

import (
	"context"
	"fmt"
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
		params[i] = river.InsertManyParams{Args: job{Action: id}, InsertOpts: &river.InsertOpts{Queue: string(queue)}}
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
