package publish

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"sync"

	"riposte/agent/alert"
)

// maxRuns bounds the runs whose losses are kept; the spool seldom has more than two.
const maxRuns = 16

// several is the reason of a range that was lost for more than one.
const several = "several"

// losses are the numbers of alerts that were dropped and whose announcement is not
// yet acknowledged, by run. They stand in a file of the spool's folder, so that
// they outlive the process. Its methods may be called from any goroutine.
type losses struct {
	file          string
	cluster, node string
	// changed has a value after an add.
	changed chan struct{}

	mu   sync.Mutex
	runs map[string]*runLoss
}

// runLoss is one run's: what waits, and what is announced at this moment. Both are
// sorted and do not overlap.
type runLoss struct {
	Waiting []alert.LossRange `json:"waiting"`
	Sent    []alert.LossRange `json:"sent,omitempty"`
}

// lossFile is the file's JSON.
type lossFile struct {
	Cluster string              `json:"cluster"`
	Node    string              `json:"node"`
	Runs    map[string]*runLoss `json:"runs"`
}

// openLosses reads what an earlier process left. What it announced counts as not
// announced: a second time does no harm.
func openLosses(dir, cluster, node string) (*losses, error) {
	l := &losses{file: filepath.Join(dir, "losses"), cluster: cluster, node: node, changed: make(chan struct{}, 1), runs: map[string]*runLoss{}}
	b, err := os.ReadFile(l.file)
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err != nil {
		return l, fmt.Errorf("read what was lost: %w", err)
	}
	var f lossFile
	if err := json.Unmarshal(b, &f); err != nil {
		return l, fmt.Errorf("read what was lost: %s: %w", l.file, err)
	}
	if f.Cluster != cluster || f.Node != node { // another name's, which could not be announced
		return l, nil
	}
	for run, r := range f.Runs {
		if r == nil || len(l.runs) >= maxRuns {
			continue
		}
		for _, x := range append(r.Waiting, r.Sent...) {
			if x.First > 0 && x.Last >= x.First && x.Last < math.MaxInt64 && x.Count > 0 && x.Count <= x.Last-x.First+1 {
				l.put(run, x)
			}
		}
	}
	l.told()
	return l, nil
}

// add notes one lost alert. Without a name of ours there is nobody to say it for.
func (l *losses) add(run string, seq uint64, reason string) {
	if run == "" || seq == 0 || l.node == "" {
		return
	}
	l.mu.Lock()
	l.put(run, alert.LossRange{First: seq, Last: seq, Count: 1, Reason: reason})
	l.mu.Unlock()
	l.told()
}

func (l *losses) told() {
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// put adds a range to what waits. It must be called with the lock held, or alone.
func (l *losses) put(run string, x alert.LossRange) {
	r := l.runs[run]
	if r == nil {
		if len(l.runs) >= maxRuns {
			return // the responder will miss these numbers and say so
		}
		r = &runLoss{}
		l.runs[run] = r
	}
	r.Waiting = insert(r.Waiting, x)
}

// insert keeps ranges sorted, joins neighbours that were lost for one reason, and
// keeps them few: of too many the two that are closest become one, whose count
// still is what was lost.
func insert(all []alert.LossRange, x alert.LossRange) []alert.LossRange {
	i := sort.Search(len(all), func(i int) bool { return all[i].First > x.First })
	if i > 0 && all[i-1].Last >= x.First {
		all[i-1] = join(all[i-1], x)
	} else {
		all = slices.Insert(all, i, x)
		i++
	}
	// i-1 is where x is: it may touch what stands before and behind it.
	for at := max(i-2, 0); at < min(i+1, len(all)-1); {
		if a, b := all[at], all[at+1]; b.First <= a.Last || b.First == a.Last+1 && a.Reason == b.Reason {
			all[at] = join(a, b)
			all = slices.Delete(all, at+1, at+2)
		} else {
			at++
		}
	}
	for len(all) > alert.MaxLossRanges {
		closest := 0
		for at := range len(all) - 1 {
			if all[at+1].First-all[at].Last < all[closest+1].First-all[closest].Last {
				closest = at
			}
		}
		all[closest] = join(all[closest], all[closest+1])
		all = slices.Delete(all, closest+1, closest+2)
	}
	return all
}

func join(a, b alert.LossRange) alert.LossRange {
	x := alert.LossRange{First: min(a.First, b.First), Last: max(a.Last, b.Last), Reason: a.Reason}
	x.Count = min(a.Count+b.Count, x.Last-x.First+1)
	if a.Reason != b.Reason {
		x.Reason = several
	}
	return x
}

// take moves what waits of one run to what is sent, and returns its announcement;
// nil if nothing waits that is not on its way.
func (l *losses) take() (run string, said *alert.Loss) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for run, r := range l.runs {
		if len(r.Waiting) > 0 && len(r.Sent) == 0 {
			r.Sent, r.Waiting = r.Waiting, nil
			return run, &alert.Loss{Schema: alert.Schema, Cluster: l.cluster, Node: l.node, BootID: run, Ranges: slices.Clone(r.Sent)}
		}
	}
	return "", nil
}

// settle ends an announcement: it has arrived, or waits again.
func (l *losses) settle(run string, arrived bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.runs[run]
	if r == nil {
		return
	}
	if !arrived {
		for _, x := range r.Sent {
			r.Waiting = insert(r.Waiting, x)
		}
	}
	if r.Sent = nil; len(r.Waiting) == 0 {
		delete(l.runs, run)
	}
}

// len is how many runs have something to announce.
func (l *losses) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.runs)
}

// save writes the file, or removes it if there is nothing to say.
func (l *losses) save() error {
	l.mu.Lock()
	b, err := json.Marshal(lossFile{Cluster: l.cluster, Node: l.node, Runs: l.runs})
	none := len(l.runs) == 0
	l.mu.Unlock()
	if none {
		if err := os.Remove(l.file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("forget what was lost: %w", err)
		}
		return nil
	}
	if err == nil {
		if err = os.WriteFile(l.file+".new", b, 0o600); err == nil {
			err = os.Rename(l.file+".new", l.file)
		}
	}
	if err != nil {
		return fmt.Errorf("write down what was lost: %w", err)
	}
	return nil
}
