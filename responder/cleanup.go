package responder

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// cleanup is what undoes one step of the start.
type cleanup struct {
	name string
	do   func(context.Context) error
}

// cleanups run last in, first out.
type cleanups []cleanup

func (c *cleanups) add(name string, do func(context.Context) error) {
	*c = append(*c, cleanup{name, do})
}

// run does all of them, whatever fails: each error says whose it is.
func (c *cleanups) run(ctx context.Context) error {
	var errs []error
	for i := range slices.Backward(*c) {
		if err := (*c)[i].do(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", (*c)[i].name, err))
		}
	}
	*c = nil
	return errors.Join(errs...)
}

// background runs do until it is stopped. The returned function ends its context
// and waits for it, no longer than the caller's context.
func background(do func(context.Context)) (stop func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { do(ctx) })
	return func(limit context.Context) error {
		cancel()
		return within(limit, running.Wait)
	}
}

// within waits for something that knows no context.
func within(ctx context.Context, wait func()) error {
	done := make(chan struct{})
	go func() { // it ends when wait does; there is no way to end that sooner
		defer close(done)
		wait()
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
