// Package replay plays what was decided once more, against other playbooks, and says
// what would have come of it.
//
// The way of a line (an alert with the decisions about it, see api.Recorded):
//
//	decide  each playbook is asked about the exact recorded input, and each proposal,
//	        recorded or new, is put to the guard's rules: by several workers
//	compare the answers, in the lines' order
//	count   both what was decided and what would be, by the guard's limits, in the
//	        order in which it was decided
//
// The same playbooks on the same lines make no difference, to the last byte.
package replay

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"sync"
	"time"

	"riposte/responder/action"
	"riposte/responder/guard"
	"riposte/responder/playbook"
)

// Deadline is the time of one evaluation, of a playbook or of the guard. It is longer
// than the responder's: a machine that is busy with a replay must not make a difference.
const Deadline = 10 * time.Second

// Options say what is replayed against what. Actions is needed.
type Options struct {
	// Set holds the playbooks as they would be. Nil replays what was recorded as it
	// was: only Mode, Canary and the guard can make a difference then.
	Set *playbook.Set
	// Base, if not nil, is compared with in place of what was recorded.
	Base *playbook.Set
	// Names are the playbooks that are compared; empty for all of Set, or all recorded.
	Names []string
	// Mode, if not empty, stands in for the mode that the playbooks would have.
	Mode playbook.Mode
	// Namespaces and Labels are the canary outside of which they would observe.
	Namespaces []string
	Labels     map[string]string
	Guard      guard.Options
	Actions    action.Registry
	// Ready is how many ready replicas each workload is taken to have; 10.
	Ready int
	// Asked is how long people are asked; an hour.
	Asked time.Duration
	// Workers is how many lines are decided about at once; one for each core.
	Workers int
	// Progress, if not nil, is told how many lines are done.
	Progress func(done int64)
}

// waiting is how many lines may be read ahead for each worker.
const waiting = 64

// Run replays lines, each as Read takes it. It stops at the first error of lines; a
// line that cannot be read is counted and left out.
func Run(ctx context.Context, lines iter.Seq2[[]byte, error], o Options) (*Report, error) {
	if o.Ready == 0 {
		o.Ready = 10
	}
	if o.Asked == 0 {
		o.Asked = time.Hour
	}
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	o.Guard.Deadline = Deadline
	c, err := newCount(o)
	if err != nil {
		return nil, err
	}
	workers := make([]*worker, o.Workers)
	for i := range workers {
		if workers[i], err = newWorker(o); err != nil {
			return nil, err
		}
	}
	began := time.Now()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p := pipe{todo: make(chan *job), order: make(chan *job, o.Workers*waiting)}
	var done sync.WaitGroup
	defer done.Wait()
	defer cancel() // before the wait: whatever ends this ends them
	for _, w := range workers {
		done.Go(func() { p.work(ctx, w) })
	}
	var failed error
	done.Go(func() {
		failed = p.read(ctx, lines)
		close(p.order)
	})
	for j := range p.order {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case r := <-j.done:
			c.add(r)
			if o.Progress != nil {
				o.Progress(c.report.Alerts)
			}
		}
	}
	if failed != nil {
		return nil, failed
	}
	return c.end(time.Since(began)), nil
}

// pipe keeps the lines' order over several workers.
type pipe struct{ todo, order chan *job }

type job struct {
	line []byte
	done chan result
}

func (p *pipe) read(ctx context.Context, lines iter.Seq2[[]byte, error]) error {
	defer close(p.todo)
	n := 0
	for line, err := range lines {
		if err != nil {
			return err
		}
		if n++; len(line) == 0 {
			continue
		}
		j := &job{line: line, done: make(chan result, 1)}
		for _, to := range []chan *job{p.order, p.todo} {
			select {
			case to <- j:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	if n == 0 {
		return errNothing
	}
	return nil
}

var errNothing = errors.New("there is nothing to replay: no alert came in that time")

// Nothing says that err is about there being nothing to replay.
func Nothing(err error) bool { return errors.Is(err, errNothing) }

func (p *pipe) work(ctx context.Context, w *worker) {
	for j := range p.todo {
		j.done <- w.try(ctx, j.line)
	}
}

// try keeps a panic to the line whose fault it is.
func (w *worker) try(ctx context.Context, text []byte) (r result) {
	defer func() {
		if p := recover(); p != nil {
			r = result{err: fmt.Errorf("deciding panicked: %v", p)}
		}
	}()
	return w.decide(ctx, text)
}

// result is one line's.
type result struct {
	line  line
	units []unit
	// err says why the line could not be read.
	err error
}
