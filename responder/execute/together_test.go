package execute

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// While one is written the others gather, and go in one batch; each gets its own error.
func TestTogether(t *testing.T) {
	t.Parallel()
	odd := errors.New("odd")
	entered, release := make(chan struct{}), make(chan struct{})
	var batches [][]int
	g := together[int]{}
	g.write = func(_ context.Context, batch []int) []error {
		if len(batches) == 0 {
			close(entered)
			<-release
		}
		batches = append(batches, batch) // one writes at a time: the race detector watches
		errs := make([]error, len(batch))
		for i, n := range batch {
			if n%2 == 1 {
				errs[i] = odd
			}
		}
		return errs
	}
	const others = 100
	var all sync.WaitGroup
	all.Go(func() { require.NoError(t, g.do(t.Context(), 0)) })
	<-entered
	errs := make([]error, others)
	for n := range others {
		all.Go(func() { errs[n] = g.do(t.Context(), n) })
	}
	for waiting := 0; waiting < others; {
		g.mu.Lock()
		waiting = len(g.waiting)
		g.mu.Unlock()
	}
	close(release)
	all.Wait()
	require.Len(t, batches, 3)
	require.Len(t, batches[1], maxTogether)
	require.Len(t, batches[2], others-maxTogether)
	for n, err := range errs {
		require.Equal(t, n%2 == 1, errors.Is(err, odd), n)
	}
	require.False(t, g.writing)
}

// A panic is its own caller's: the others get an error, and later ones are written.
func TestTogetherAfterAPanic(t *testing.T) {
	t.Parallel()
	g := together[string]{write: func(_ context.Context, batch []string) []error {
		if batch[0] == "bad" {
			panic("bad")
		}
		return make([]error, len(batch))
	}}
	require.Panics(t, func() { _ = g.do(t.Context(), "bad") })
	require.NoError(t, g.do(t.Context(), "good"))
}
