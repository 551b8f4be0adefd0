package playbook

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"riposte/responder/playbook/sandbox"
)

// Coverage is how much of a loaded playbook its tests evaluate.
type Coverage struct {
	Playbook *Playbook
	// At is when the tests ran. Err is why they could not; nothing else is known then.
	At  time.Time
	Err error
	// Tests are those of the playbook's package that ran, Failed how many did not pass.
	Tests, Failed int
	// Files are the playbook's.
	Files []sandbox.Coverage
}

// Percent is of all files' lines: 100 if there is nothing to evaluate.
func (c Coverage) Percent() float64 { return sandbox.Sum(c.Files).Percent() }

// ErrTesting says that the tests have not ended yet.
var ErrTesting = errors.New("the playbooks' tests are running: ask again in some seconds")

// testsTime bounds one run of the tests.
const testsTime = time.Minute

// Tester runs the tests of the loaded playbooks when somebody asks for the first time
// how much of a set they evaluate: one run at a time and one for each set, so that
// asking often costs nothing, and apart from the decisions.
type Tester struct {
	holder *Holder
	wake   chan struct{}
	mu     sync.Mutex
	// newest is the run for the set that was asked about last.
	newest *testRun
}

type testRun struct {
	set  *Set
	done chan struct{}
	// What follows is set when done is closed.
	report Report
	at     time.Time
	err    error
}

// NewTester makes a Tester for whatever set is loaded.
func NewTester(h *Holder) *Tester { return &Tester{holder: h, wake: make(chan struct{}, 1)} }

// Run runs tests as they are asked for, until ctx ends.
func (t *Tester) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.wake:
		}
		t.mu.Lock()
		r := t.newest
		t.mu.Unlock()
		select {
		case <-r.done: // woken twice for it
		default:
			r.do(ctx)
		}
	}
}

func (r *testRun) do(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, testsTime)
	defer cancel()
	r.report, r.err = r.set.tests.run(ctx, nil)
	r.at = time.Now()
	close(r.done)
}

// Coverage is that of a playbook of the current set. It waits for the tests as long as
// ctx says, and then returns ErrTesting; ErrNotLoaded if there is no such playbook.
func (t *Tester) Coverage(ctx context.Context, name string) (Coverage, error) {
	set := t.holder.Set()
	i := slices.IndexFunc(set.playbooks, func(p *Playbook) bool { return p.Name == name })
	if i < 0 {
		return Coverage{}, ErrNotLoaded
	}
	r := t.run(set)
	select {
	case <-r.done:
		return r.of(set.playbooks[i]), nil
	case <-ctx.Done():
		return Coverage{}, ErrTesting
	}
}

// run is the one for a set; it begins if there is none.
func (t *Tester) run(set *Set) *testRun {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.newest == nil || t.newest.set != set {
		t.newest = &testRun{set: set, done: make(chan struct{})}
		select {
		case t.wake <- struct{}{}:
		default: // it will be woken anyway, and takes the newest
		}
	}
	return t.newest
}

func (r *testRun) of(p *Playbook) Coverage {
	c := Coverage{Playbook: p, At: r.at, Err: r.err}
	for _, test := range r.report.Tests {
		if test.Package == playbookPackage+p.Name+"_test" && test.Outcome != sandbox.Skipped {
			c.Tests++
			if test.Outcome != sandbox.Pass {
				c.Failed++
			}
		}
	}
	for _, f := range r.report.Coverage {
		if slices.Contains(p.Files, f.File) {
			c.Files = append(c.Files, f)
		}
	}
	slices.SortFunc(c.Files, func(a, b sandbox.Coverage) int { return strings.Compare(a.File, b.File) })
	return c
}
