package execute

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"

	"riposte/responder/action"
	"riposte/responder/store"
)

// softStop is how long running actions may take to finish when the executor
// stops; then their contexts end.
const softStop = 2 * time.Second

// Executor carries out actions until it is stopped.
type Executor struct {
	o     Options
	m     *stats
	river *river.Client[pgx.Tx]
	// jobs are River's own connections.
	jobs *pgxpool.Pool
	// slow are the types whose attempts may take SlowTimeout, gather those of the stage
	// that what destroys evidence waits for.
	slow, gather []string
	enqueue      func(ctx context.Context, tx store.Tx, ids ...string) error
	// Claims, and endings, that come at the same time are written together.
	claims  together[*claiming]
	endings together[*ended]

	mu sync.Mutex
	// inside are the actions that this process works on; the channel closes when it left.
	inside map[string]chan struct{}

	stopRescue context.CancelFunc
	rescuing   sync.WaitGroup
}

// New makes an executor; nothing runs before Start. The database must be
// migrated, River's tables included.
func New(o Options) (*Executor, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	e := &Executor{o: o, m: newStats(), inside: map[string]chan struct{}{}, enqueue: Enqueuer(o.Registry)}
	e.claims.write, e.endings.write = e.claimAll, e.record
	for name, a := range o.Registry {
		if a.Spec().Slow {
			e.slow = append(e.slow, name)
		}
		if a.Spec().Stage == action.Gather {
			e.gather = append(e.gather, name)
		}
	}
	slices.Sort(e.slow)
	slices.Sort(e.gather)
	if e.jobs, err = jobPool(o.Pool); err != nil {
		return nil, fmt.Errorf("executor: %w", err)
	}
	workers := river.NewWorkers()
	river.AddWorker(workers, &worker{e: e})
	river.AddWorker(workers, &lifter{e: e})
	e.river, err = river.NewClient(riverpgxv5.New(e.jobs), &river.Config{
		ID:     o.Instance,
		Schema: Schema,
		Logger: slog.New(riverLog{o.Log.With("component", "river").Handler()}),
		// A kill waits for neither: the notification of the insert wakes the fetch.
		FetchCooldown:     river.FetchCooldownMin,
		FetchPollInterval: time.Second,
		Queues: map[string]river.QueueConfig{
			string(Contain): {MaxWorkers: o.ContainWorkers},
			string(Default): {MaxWorkers: o.DefaultWorkers},
			string(verify):  {MaxWorkers: o.VerifyWorkers},
			string(lift):    {MaxWorkers: o.LiftWorkers},
		},
		Workers:    workers,
		JobTimeout: o.longest(),
		// River's own rescue is only the broom: our rescue loop is the quick one.
		RescueStuckJobsAfter:        o.longest() + 30*time.Second,
		CompletedJobRetentionPeriod: time.Hour,
		SoftStopTimeout:             softStop,
		ErrorHandler:                jobErrors{o.Log},
	})
	if err != nil {
		e.jobs.Close()
		return nil, fmt.Errorf("executor: %w", err)
	}
	return e, nil
}

// maxJobConns are enough for River's fetches, its notifications and its chores.
const maxJobConns = 8

// jobPool is for what River itself writes: that a job was fetched or has ended. None of
// it has to survive a crash of the database, since the action's own row is the truth, so
// no job waits for the disk. Jobs are inserted with the decision, by its transaction.
func jobPool(main *pgxpool.Pool) (*pgxpool.Pool, error) {
	c := main.Config() // a copy
	c.MaxConns = min(c.MaxConns, maxJobConns)
	c.ConnConfig.RuntimeParams["synchronous_commit"] = "off"
	return pgxpool.NewWithConfig(context.Background(), c)
}

// Start begins to work; ctx bounds the start alone.
func (e *Executor) Start(ctx context.Context) error {
	if e.stopRescue != nil {
		return errors.New("the executor was started before")
	}
	background := context.WithoutCancel(ctx)
	if err := e.river.Start(background); err != nil {
		return fmt.Errorf("start the job queue: %w", err)
	}
	rescueCtx, cancel := context.WithCancel(background)
	e.stopRescue = cancel
	e.rescuing.Go(func() { e.rescueLoop(rescueCtx) })
	return nil
}

// Stop takes no more actions, lets running ones finish for two seconds, then
// ends their contexts, and returns when all have left or ctx ends. What was
// interrupted is taken up by the next executor.
func (e *Executor) Stop(ctx context.Context) error {
	if e.stopRescue == nil {
		e.jobs.Close()
		return nil
	}
	e.stopRescue()
	e.rescuing.Wait()
	if err := e.river.Stop(ctx); err != nil {
		return fmt.Errorf("stop the job queue: %w", err)
	}
	e.jobs.Close()
	return nil
}

// enter waits until no other goroutine of this process works on the action.
func (e *Executor) enter(ctx context.Context, id string) (leave func(), err error) {
	for {
		e.mu.Lock()
		other, taken := e.inside[id]
		if !taken {
			mine := make(chan struct{})
			e.inside[id] = mine
			e.mu.Unlock()
			return func() {
				e.mu.Lock()
				delete(e.inside, id)
				e.mu.Unlock()
				close(mine)
			}, nil
		}
		e.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// lifting begins the name under which enter knows the lifting of an action, which may
// go on beside the look for its effect.
const lifting = "lift/"

// busy lists the actions that this process works on, and those that it lifts.
func (e *Executor) busy() (working, lifts []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	working, lifts = []string{}, []string{}
	for id := range e.inside {
		if of, ok := strings.CutPrefix(id, lifting); ok {
			lifts = append(lifts, of)
		} else {
			working = append(working, id)
		}
	}
	return working, lifts
}

// jobErrors logs what kept a job from being worked on: River itself says so
// below a warning.
type jobErrors struct{ log *slog.Logger }

func (j jobErrors) HandleError(ctx context.Context, job *rivertype.JobRow, err error) *river.ErrorHandlerResult {
	if ctx.Err() == nil {
		j.log.Warn("an action could not be worked on, it is tried again", "job", job.ID, "try", job.Attempt, "error", err)
	}
	return nil
}

func (j jobErrors) HandlePanic(_ context.Context, job *rivertype.JobRow, value any, trace string) *river.ErrorHandlerResult {
	j.log.Error("the executor panicked, the action is tried again", "job", job.ID, "panic", value, "trace", trace)
	return nil
}

// riverLog drops what River has to say below a warning.
type riverLog struct{ slog.Handler }

func (h riverLog) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && h.Handler.Enabled(ctx, l)
}

func (h riverLog) WithAttrs(a []slog.Attr) slog.Handler { return riverLog{h.Handler.WithAttrs(a)} }
func (h riverLog) WithGroup(name string) slog.Handler   { return riverLog{h.Handler.WithGroup(name)} }
