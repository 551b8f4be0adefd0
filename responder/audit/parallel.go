package audit

import (
	"iter"
	"runtime"
	"sync"
)

// batchRows is how many rows are handed on at once.
const batchRows = 256

// looked is some rows, each with what it is by itself.
type looked struct {
	rows   []Row
	checks []check
	done   chan struct{}
	err    error
}

// parallel checks rows by themselves on all processors while it reads on, and yields
// them in their order.
func parallel(rows iter.Seq2[[]Row, error]) iter.Seq2[*looked, error] {
	return func(yield func(*looked, error) bool) {
		workers := runtime.GOMAXPROCS(0)
		// Room for what is checked, what waits and what is being read: memory is bounded by it.
		work, order, stop := make(chan *looked, workers), make(chan *looked, 2*workers), make(chan struct{})
		var all sync.WaitGroup
		all.Go(func() {
			defer close(order)
			defer close(work)
			for batch, err := range rows {
				l := &looked{rows: batch, err: err, done: make(chan struct{})}
				if err != nil {
					close(l.done)
				} else {
					select {
					case work <- l:
					case <-stop:
						return
					}
				}
				select {
				case order <- l:
				case <-stop:
					return
				}
			}
		})
		for range workers {
			all.Go(func() {
				var frame []byte
				for l := range work {
					l.checks = make([]check, len(l.rows))
					for i := range l.rows {
						l.checks[i], frame = l.rows[i].look(frame)
					}
					close(l.done)
				}
			})
		}
		defer all.Wait()
		defer close(stop)
		for l := range order {
			<-l.done
			if !yield(l, l.err) || l.err != nil {
				return
			}
		}
	}
}
