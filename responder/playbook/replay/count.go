package replay

import (
	"container/heap"
	"maps"
	"slices"
	"time"

	"riposte/responder/playbook"
)

const (
	// maxLate bounds the decisions that wait for their time to be counted.
	maxLate = 100_000
	// maxErrors and maxNames bound what the report tells of bad lines and of others' playbooks.
	maxErrors = 5
	maxNames  = 1000
)

// count puts the lines' results together, in their order.
type count struct {
	report        Report
	playbooks     map[string]*PlaybookReport
	before, after *outcome
	// late holds what was decided after the alert that was read last came: equal alerts
	// stand in the line of the first, and must be counted at their own time.
	late late
	seq  int
	took durations
}

func newCount(o Options) (*count, error) {
	c := &count{playbooks: map[string]*PlaybookReport{}, took: durations{}}
	var err error
	if c.before, err = newOutcome(o, c.took); err != nil {
		return nil, err
	}
	if c.after, err = newOutcome(o, c.took); err != nil {
		return nil, err
	}
	if len(o.Namespaces)+len(o.Labels) > 0 {
		c.after.canary = func(name string) error { return c.after.sim.Canary(name, o.Namespaces, o.Labels) }
	}
	return c, nil
}

func (c *count) playbook(name string) *PlaybookReport {
	p := c.playbooks[name]
	if p == nil {
		p = &PlaybookReport{Name: name, Revisions: []string{}, Modes: []playbook.Mode{}}
		c.playbooks[name] = p
	}
	return p
}

func (c *count) add(x result) {
	r := &c.report
	r.Alerts++
	if x.err != nil {
		r.Unreadable++
		if len(r.Errors) < maxErrors {
			r.Errors = append(r.Errors, x.err.Error())
		}
		return
	}
	if r.From.IsZero() {
		r.From = x.line.at
	}
	r.To = x.line.at
	r.Equal += x.line.count
	if x.line.rebuilt {
		r.Rebuilt++
	}
	for name, n := range x.line.others {
		if r.NotCompared == nil {
			r.NotCompared = map[string]int64{}
		}
		if _, there := r.NotCompared[name]; there || len(r.NotCompared) < maxNames {
			r.NotCompared[name] += n
		}
	}
	for _, u := range x.units {
		c.compare(u)
		if c.seq++; !u.timed {
			heap.Push(&c.late, lateUnit{u, c.seq})
		}
	}
	for len(c.late) > 0 && !c.late[0].at.After(x.line.at) {
		c.play()
	}
	for len(c.late) > maxLate {
		r.Reordered++
		c.play()
	}
}

// play counts the earliest decision that waits.
func (c *count) play() {
	u := heap.Pop(&c.late).(lateUnit).unit
	c.took.note(u)
	c.before.play(u, u.before)
	c.after.play(u, u.after)
}

func (c *count) end(took time.Duration) *Report {
	for len(c.late) > 0 {
		c.play()
	}
	r := &c.report
	r.Before, r.After = c.before.end(), c.after.end()
	for _, name := range slices.Sorted(maps.Keys(c.playbooks)) {
		r.Playbooks = append(r.Playbooks, *c.playbooks[name])
	}
	r.Took = took
	return r
}

// late is a heap by the time of the decision, then the order of reading.
type late []lateUnit

type lateUnit struct {
	unit
	seq int
}

func (l late) Len() int      { return len(l) }
func (l late) Swap(i, j int) { l[i], l[j] = l[j], l[i] }
func (l late) Less(i, j int) bool {
	if !l[i].at.Equal(l[j].at) {
		return l[i].at.Before(l[j].at)
	}
	return l[i].seq < l[j].seq
}

// Push is for package heap.
func (l *late) Push(x any) { *l = append(*l, x.(lateUnit)) }

// Pop is for package heap.
func (l *late) Pop() any {
	last := len(*l) - 1
	x := (*l)[last]
	*l = (*l)[:last]
	return x
}
