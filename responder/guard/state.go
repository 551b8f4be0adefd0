package guard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"time"

	"riposte/responder/action"
	"riposte/responder/store"
)

// Parts are what the guard works with once the responder runs.
type Parts struct {
	Store *store.Store
	// Home is the cluster whose chain records what people change.
	Home string
	// Actions say what each type of action is.
	Actions action.Registry
	// Cluster answers questions about the cluster; nil without one: what would need an
	// answer is refused.
	Cluster Cluster
	// Enqueue has approved actions executed, see execute.Enqueue.
	Enqueue func(ctx context.Context, tx store.Tx, actionIDs ...string) error
}

// known is what was last read of the database.
type known struct {
	modes    map[string]store.ModeRow
	switches []Switch
}

// Open gives the guard its parts and reads the modes and kill switches that were
// set. It is called once, before anything is judged. Without it Judge knows the
// METADATA's modes and the switches' files alone, and nothing is counted.
func (g *Guard) Open(ctx context.Context, p Parts) error {
	if p.Store == nil || p.Enqueue == nil || p.Home == "" {
		return errors.New("the guard needs a store, the executor's queue and the name of its cluster")
	}
	g.parts = p
	return g.Refresh(ctx)
}

func (g *Guard) known() known {
	if k := g.last.Load(); k != nil {
		return *k
	}
	return known{}
}

// Refresh reads the modes and kill switches that any responder set, and keeps
// them in files here too.
func (g *Guard) Refresh(ctx context.Context) error {
	if g.parts.Store == nil {
		return nil
	}
	g.refreshing.Lock()
	defer g.refreshing.Unlock()
	return g.refresh(ctx)
}

func (g *Guard) refresh(ctx context.Context) error {
	modes, err := g.parts.Store.Modes(ctx)
	if err != nil {
		return fmt.Errorf("read the playbooks' modes: %w", err)
	}
	rows, err := g.parts.Store.Switches(ctx)
	if err != nil {
		return fmt.Errorf("read the kill switches: %w", err)
	}
	k := known{modes: map[string]store.ModeRow{}, switches: switchesOf(rows)}
	for _, m := range modes {
		k.modes[m.Playbook] = m
	}
	g.last.Store(&k)
	return g.agree(ctx, k.switches)
}

// How often the guard looks what others changed, and whose time is over.
const (
	refreshEvery   = time.Second
	refreshTimeout = 5 * time.Second
)

// Run keeps the guard up to date until ctx ends. What is read late is no danger:
// Reserve and Release read the database themselves.
func (g *Guard) Run(ctx context.Context, log *slog.Logger) {
	tick := time.NewTicker(refreshEvery)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		turn, cancel := context.WithTimeout(ctx, refreshTimeout)
		lapsed, err := g.Lapse(turn)
		err = errors.Join(err, g.Refresh(turn))
		cancel()
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !failing:
			log.Warn("the guard's modes and kill switches could not be brought up to date, trying again", "error", err)
		case err == nil && failing:
			log.Info("the guard is up to date again")
		}
		failing = err != nil
		if lapsed > 0 {
			log.Info("nobody agreed in time, nothing was done", "actions", lapsed)
		}
	}
}

// Limits are the limits in force.
func (g *Guard) Limits() Limits { return g.settings().limits }

// Counts are this process's verdicts by their rule; those that allow count as "allow".
func (g *Guard) Counts() map[string]uint64 {
	g.counting.Lock()
	defer g.counting.Unlock()
	return maps.Clone(g.counts)
}

// maxRules bounds the names of rules that are counted: a user's Rego makes them up.
const maxRules = 200

func (g *Guard) count(v Verdict) {
	rule := v.Rule
	if rule == "" {
		rule = string(Allow)
	}
	g.counting.Lock()
	defer g.counting.Unlock()
	if _, there := g.counts[rule]; !there && len(g.counts) >= maxRules {
		rule = "other"
	}
	g.counts[rule]++
}

// Usage lists what the budgets have used now.
func (g *Guard) Usage(ctx context.Context) ([]Used, error) {
	l := &g.settings().limits
	budgets := map[string]Budget{
		scopePlaybook: l.Playbook, scopeWorkload: l.Workload, scopeNamespace: l.Namespace, scopeNode: l.Node, scopeCluster: l.Cluster,
	}
	var spans []store.Span
	for scope, b := range budgets {
		spans = append(spans, store.Span{Scope: scope, Span: b.Window})
	}
	for name, b := range l.Playbooks {
		spans = append(spans, store.Span{Scope: scopePlaybook, Name: name, Span: b.Window})
	}
	rows, err := g.parts.Store.Usage(ctx, spans)
	if err != nil {
		return nil, err
	}
	all := make([]Used, len(rows))
	for i, r := range rows {
		b := budgets[r.Scope]
		if r.Scope == scopePlaybook {
			b = l.of(r.Name)
		}
		all[i] = Used{Scope: r.Scope, Cluster: r.Cluster, Name: r.Name, Used: int(r.Used), Budget: b}
	}
	return all, nil
}

// Used is how much of one budget is used now.
type Used struct {
	// Scope is playbook, workload, namespace, node or cluster, Name whose in Cluster.
	Scope, Cluster, Name string
	Used                 int
	Budget               Budget
}
