package execute

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/jackc/pgx/v5/pgconn"

	"riposte/responder/audit"
	"riposte/responder/store"
)

// maxTogether bounds the endings that one transaction records.
const maxTogether = 64

// errUnrecorded is the error of a change that nobody came to write.
var errUnrecorded = errors.New("it was not written")

// change is the record of one action's ending.
type change struct {
	// apply writes all but the entries. With errLost it has written nothing.
	apply   func(ctx context.Context, tx store.Tx) error
	entries []audit.Entry

	err error
	// turn says whether this one's caller is to write next, or it is written.
	turn chan bool
}

// together has changes that come at the same time written in one transaction: the
// head of the record is one lock for all, and each transaction holds it for as long
// as the disk takes. Who comes while another writes waits, and of those who waited the
// first writes for all. Alone, nobody waits.
type together struct {
	write func(context.Context, []*change) error

	mu      sync.Mutex
	waiting []*change
	writing bool
}

// record returns when c is committed, or why it is not.
func (t *together) record(ctx context.Context, c *change) error {
	c.err, c.turn = errUnrecorded, make(chan bool, 1)
	t.mu.Lock()
	t.waiting = append(t.waiting, c)
	if t.writing {
		t.mu.Unlock()
		if lead := <-c.turn; !lead {
			return c.err
		}
		t.mu.Lock()
	}
	t.writing = true
	n := min(len(t.waiting), maxTogether)
	batch := slices.Clone(t.waiting[:n])
	t.waiting = slices.Delete(t.waiting, 0, n)
	t.mu.Unlock()
	defer t.next(c, batch) // also after a panic: the others wait
	t.all(ctx, batch)
	return c.err
}

// next lets the first of those who wait write, and tells the batch that it is over.
func (t *together) next(own *change, batch []*change) {
	t.mu.Lock()
	if t.writing = len(t.waiting) > 0; t.writing {
		t.waiting[0].turn <- true
	}
	t.mu.Unlock()
	for _, c := range batch {
		if c != own {
			c.turn <- false
		}
	}
}

// all writes a batch, and one by one if the database blames it: one that cannot be
// written must not keep the others from it.
func (t *together) all(ctx context.Context, batch []*change) {
	err := t.write(ctx, batch)
	if _, blamed := errors.AsType[*pgconn.PgError](err); blamed && len(batch) > 1 {
		for _, c := range batch {
			if err := t.write(ctx, []*change{c}); err != nil {
				c.err = err
			}
		}
		return
	}
	if err != nil {
		for _, c := range batch {
			c.err = err
		}
	}
}

// write records changes in one transaction. An error is about all of them; one whose
// lease was lost gets its own and is left out.
func (e *Executor) write(ctx context.Context, batch []*change) error {
	return e.inTx(ctx, func(ctx context.Context, tx store.Tx) error {
		var entries []audit.Entry
		for _, c := range batch {
			switch c.err = c.apply(ctx, tx); {
			case c.err == nil:
				entries = append(entries, c.entries...)
			case !errors.Is(c.err, errLost):
				return c.err
			}
		}
		return audit.Append(ctx, tx, entries...)
	})
}
