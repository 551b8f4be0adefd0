package execute

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// maxTogether bounds what one transaction writes.
const maxTogether = 64

// errUnwritten is the error of what nobody came to write.
var errUnwritten = errors.New("it was not written")

// together has what comes at the same time written in one transaction: commits that
// notify wait for each other in PostgreSQL, and so do those that hold the head of the
// record, each for as long as the disk takes. Who comes while another writes waits, and
// of those who waited the first writes for all. Alone, nobody waits.
type together[T any] struct {
	// write returns an error for each, nil for what is committed.
	write func(context.Context, []T) []error

	mu      sync.Mutex
	waiting []*entrant[T]
	writing bool
}

type entrant[T any] struct {
	value T
	err   error
	// turn says whether this one is to write next, or it is written.
	turn chan bool
}

// do returns when v is committed, or why it is not.
func (t *together[T]) do(ctx context.Context, v T) error {
	own := &entrant[T]{value: v, err: errUnwritten, turn: make(chan bool, 1)}
	t.mu.Lock()
	t.waiting = append(t.waiting, own)
	if t.writing {
		t.mu.Unlock()
		if lead := <-own.turn; !lead {
			return own.err
		}
		t.mu.Lock()
	}
	t.writing = true
	n := min(len(t.waiting), maxTogether)
	batch := slices.Clone(t.waiting[:n])
	t.waiting = slices.Delete(t.waiting, 0, n)
	t.mu.Unlock()
	defer t.next(own, batch) // also after a panic: the others wait
	values := make([]T, n)
	for i, e := range batch {
		values[i] = e.value
	}
	for i, err := range t.write(ctx, values) {
		batch[i].err = err
	}
	return own.err
}

// next lets the first of those who wait write, and tells the batch that it is over.
func (t *together[T]) next(own *entrant[T], batch []*entrant[T]) {
	t.mu.Lock()
	if t.writing = len(t.waiting) > 0; t.writing {
		t.waiting[0].turn <- true
	}
	t.mu.Unlock()
	for _, e := range batch {
		if e != own {
			e.turn <- false
		}
	}
}
