package ingest

import (
	"sync"

	"riposte/responder/store"
)

// maxRuns bounds the runs that are remembered; a forgotten one is noted once more.
const maxRuns = 10_000

// runs are the agents' runs that the database knows of, as far as this process
// remembers. Their numbers are watched, see package watch.
type runs struct {
	mu    sync.Mutex
	known map[store.RunKey]bool
}

// unknown are the drafts' runs that may have to be noted, each once. What came
// over the HTTP intake has no run: nobody counts there.
func (r *runs) unknown(drafts []draft) (all []store.RunKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	found := map[store.RunKey]bool{}
	for _, d := range drafts {
		k := store.RunKey{Cluster: d.origin.Cluster, Node: d.origin.Node, BootID: d.origin.BootID}
		if !r.known[k] && !found[k] && d.alert.Riposte.Intake == "" {
			found[k] = true
			all = append(all, k)
		}
	}
	return all
}

// note remembers runs that the database knows of now.
func (r *runs) note(all []store.RunKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known == nil || len(r.known) > maxRuns {
		r.known = map[store.RunKey]bool{}
	}
	for _, k := range all {
		r.known[k] = true
	}
}
