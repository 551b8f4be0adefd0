package responder

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"

	"riposte/agent/alert"
	"riposte/responder/bus"
)

// Bounds of what is lifted at once. What is over them ends by its lease.
const (
	liftsWaiting = 256
	liftWorkers  = 4
)

// lifter ends immediate containments that nobody wants, beside the intake, which must
// not wait for a node.
type lifter struct {
	queue chan *alert.Alert
	log   *slog.Logger
	// What became of them: over were too many at once.
	lifted, failed, over atomic.Uint64
}

// counts are the counters by name.
func (l *lifter) counts() map[string]uint64 {
	return map[string]uint64{"lifted": l.lifted.Load(), "failed": l.failed.Load(), "too_many": l.over.Load()}
}

func newLifter(log *slog.Logger) *lifter {
	return &lifter{queue: make(chan *alert.Alert, liftsWaiting), log: log}
}

func (l *lifter) put(a *alert.Alert) {
	select {
	case l.queue <- a:
	default:
		l.over.Add(1)
		l.log.Warn("too many immediate containments are to be lifted: this one ends by its lease", "alert", a.UUID)
	}
}

func (l *lifter) run(ctx context.Context, b *bus.Bus) {
	var all sync.WaitGroup
	for range liftWorkers {
		all.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case a := <-l.queue:
					if r, err := b.LiftImmediate(ctx, a, "nothing was decided about it"); err != nil && ctx.Err() == nil {
						l.failed.Add(1)
						l.log.Warn("an immediate containment was not lifted: it ends by its lease", "alert", a.UUID, "error", err)
					} else if err == nil {
						l.lifted.Add(1)
						l.log.Info("an immediate containment was lifted", "alert", a.UUID, "outcome", r.Outcome, "message", r.Message)
					}
				}
			}
		})
	}
	all.Wait()
}
