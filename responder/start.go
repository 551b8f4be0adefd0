package responder

import (
	"context"
	"errors"
	"fmt"
	"net"
)

// start brings up the parts in the order in which they need each other.
//
//   - The ports first, because that another program has it is the likeliest
//     mistake, and it should cost nothing. They are served last.
//   - The traces before all that is told to them: they send what is left when
//     everything else has stopped.
//   - The guard before the executor, which asks it.
//   - The executor before the intake: what is decided finds somebody who does it,
//     and what an earlier process left is taken up before anything new comes.
//   - What stands before the intake: an agent's immediate containment is lifted or
//     confirmed by what comes in.
//   - The API last: who can ask gets answers.
//
// They stop in the reverse order: nobody asks any more, then nothing new comes
// in, then what was begun is finished, with bus, cluster and database still
// there for it.
func (r *Responder) start(ctx context.Context) error {
	for _, step := range []func(context.Context) error{
		r.listenAPI,
		r.listenMetrics,
		r.startTraces,
		r.startStore,
		r.startBus,
		surely(r.startSigner),
		r.startActions,
		surely(r.startFigures),
		r.startGuard,
		r.startExecutor,
		surely(r.startStanding),
		surely(r.startIngest),
		r.startHTTPIntake,
		surely(r.startSources),
		surely(r.startChores),
		surely(r.startAPI),
		surely(r.startMetrics),
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// surely is a step that waits for nothing and cannot fail.
func surely(step func()) func(context.Context) error {
	return func(context.Context) error {
		step()
		return nil
	}
}

// listen takes a port. What serves it later closes it; until then the stop does.
func (r *Responder) listen(ctx context.Context, what, address string) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("the %s cannot listen on %s: %w", what, address, err)
	}
	r.cleanups.add("the port of the "+what, func(context.Context) error {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	return l, nil
}

// watch reports when a server ends by itself.
func (r *Responder) watch(what string, failed <-chan error) {
	r.cleanups.add("the watch of the "+what, background(func(ctx context.Context) {
		select {
		case <-ctx.Done():
		case err := <-failed:
			r.report(ctx, "serve the "+what, err)
		}
	}))
}
