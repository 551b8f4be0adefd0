package execute

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"riposte/responder/action"
	"riposte/responder/store"
)

// await gives an action back that destroys what its decision still gathers evidence
// of. What has waited for StageWait goes on, and the note of its end says so; then
// await returns false.
func (e *Executor) await(ctx context.Context, c *claim) (waits bool, err error) {
	now := time.Now()
	if c.staged.IsZero() {
		c.staged = now
	}
	left := e.o.StageWait - now.Sub(c.staged)
	if left <= 0 {
		c.remark = fmt.Sprintf("; it did not wait longer than %s for the evidence", e.o.StageWait)
		return false, nil
	}
	delay := min(left, maxDelay)
	if err := e.release(ctx, c, planned, "waits for the evidence of its decision", false, delay); err != nil {
		return true, err
	}
	return true, river.JobSnooze(delay)
}

// wake queues what waits for the evidence that c gathered. Its own job would come too,
// but later.
func (e *Executor) wake(ctx context.Context, tx store.Tx, c *claim, a action.Action) error {
	if a == nil || a.Spec().Stage != action.Gather {
		return nil
	}
	rows, err := tx.Query(ctx, `SELECT id::text FROM actions WHERE decision_id = $1 AND state = 'planned' AND staged_ns IS NOT NULL`, c.decisionID)
	if err != nil {
		return err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	return e.enqueue(ctx, tx, ids...)
}
