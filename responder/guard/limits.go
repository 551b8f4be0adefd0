package guard

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"riposte/responder/playbook"
)

// Budget allows effects on so many different objects within a window.
type Budget struct {
	Count  int
	Window time.Duration
}

// String is the budget as its file has it: "10 in 10m0s".
func (b Budget) String() string { return fmt.Sprintf("%d in %s", b.Count, b.Window) }

// Limits are what the guard lets happen at most. Nothing in them can be widened
// by a playbook.
type Limits struct {
	// Playbook, Workload, Namespace, Node and Cluster are the budgets of each one.
	Playbook, Workload, Namespace, Node, Cluster Budget
	// Playbooks are the budgets of some playbooks, by name, in place of Playbook.
	Playbooks map[string]Budget
	// Cooldown is how long after an action the same action on the same target is refused.
	Cooldown time.Duration
	// Loop: a workload one of whose pods or containers was killed between
	// LoopSettle and LoopWindow ago, and that offends again, is a matter for people.
	LoopSettle, LoopWindow time.Duration
	// ReadyShare is which part of a workload's ready replicas may be killed within a
	// minute, in percent; at least one.
	ReadyShare int
	// CordonedNodes is how many nodes may be cordoned at once.
	CordonedNodes int
	// ErrorShare of at least ErrorActions actions, in percent, that fail within
	// ErrorWindow make their playbook step back to observe.
	ErrorShare, ErrorActions int
	ErrorWindow              time.Duration
	// MaxMode is how far any playbook may go, MaxModes how far some may, by name.
	MaxMode  playbook.Mode
	MaxModes map[string]playbook.Mode
	// Uncounted are types of actions that change nothing in a cluster, beside those
	// that only gather evidence.
	Uncounted []string
}

// DefaultLimits are the limits where nothing else is configured.
func DefaultLimits() Limits {
	const window = 10 * time.Minute
	return Limits{
		Playbook: Budget{10, window}, Workload: Budget{5, window}, Namespace: Budget{10, window}, Node: Budget{10, window}, Cluster: Budget{30, window},
		Cooldown: 5 * time.Minute, LoopSettle: time.Minute, LoopWindow: 30 * time.Minute,
		ReadyShare: 30, CordonedNodes: 1,
		ErrorShare: 50, ErrorActions: 5, ErrorWindow: window,
		MaxMode: playbook.Enforce, Uncounted: []string{"notify", "webhook", "acknowledge_incident"},
	}
}

// maxWindow bounds what the guard looks back.
const maxWindow = 7 * 24 * time.Hour

// Budget numbers that are checked: more is no budget any more.
const maxCount = 100_000

func (l Limits) check() error {
	var errs []error
	bad := func(key, format string, args ...any) { errs = append(errs, fmt.Errorf(key+": "+format, args...)) }
	budget := func(key string, b Budget) {
		if b.Count < 0 || b.Count > maxCount {
			bad(key, "count must be 0 to %d, not %d", maxCount, b.Count)
		}
		if b.Window < time.Second || b.Window > maxWindow {
			bad(key, "window must be 1s to %s, not %s", maxWindow, b.Window)
		}
	}
	span := func(key string, d time.Duration) {
		if d < 0 || d > maxWindow {
			bad(key, "must be 0 to %s, not %s", maxWindow, d)
		}
	}
	percent := func(key string, n int) {
		if n < 0 || n > 100 {
			bad(key, "must be 0 to 100, not %d", n)
		}
	}
	mode := func(key string, m playbook.Mode) {
		if rank(m) < 0 {
			bad(key, "must be observe, approve or enforce, not %q", string(m))
		}
	}
	budget("budgets.playbook", l.Playbook)
	budget("budgets.workload", l.Workload)
	budget("budgets.namespace", l.Namespace)
	budget("budgets.node", l.Node)
	budget("budgets.cluster", l.Cluster)
	for _, name := range slices.Sorted(maps.Keys(l.Playbooks)) {
		budget("budgets.playbooks."+name, l.Playbooks[name])
	}
	span("cooldown", l.Cooldown)
	span("loop.settle", l.LoopSettle)
	span("loop.window", l.LoopWindow)
	percent("ready_share", l.ReadyShare)
	if l.CordonedNodes < 0 || l.CordonedNodes > maxCount {
		bad("cordoned_nodes", "must be 0 to %d, not %d", maxCount, l.CordonedNodes)
	}
	percent("errors.share", l.ErrorShare)
	if l.ErrorActions < 1 {
		bad("errors.actions", "must be at least 1, not %d", l.ErrorActions)
	}
	span("errors.window", l.ErrorWindow)
	mode("modes.max", l.MaxMode)
	for _, name := range slices.Sorted(maps.Keys(l.MaxModes)) {
		mode("modes.playbooks."+name, l.MaxModes[name])
	}
	return errors.Join(errs...)
}

// of is a playbook's own budget.
func (l Limits) of(name string) Budget {
	if b, ok := l.Playbooks[name]; ok {
		return b
	}
	return l.Playbook
}

// ceiling is how far a playbook may go: never above MaxMode.
func (l Limits) ceiling(name string) playbook.Mode {
	if m, ok := l.MaxModes[name]; ok {
		return lower(m, l.MaxMode)
	}
	return l.MaxMode
}

// fingerprint is equal for equal limits.
func (l Limits) fingerprint() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%v", l)) // maps are printed in the order of their keys
	return hex.EncodeToString(sum[:8])
}

// LookBack is the longest that the guard looks back.
func (l Limits) LookBack() time.Duration {
	longest := max(l.Playbook.Window, l.Workload.Window, l.Namespace.Window, l.Node.Window, l.Cluster.Window, l.Cooldown, l.LoopWindow, cordonSpan)
	for _, b := range l.Playbooks {
		longest = max(longest, b.Window)
	}
	return longest
}

// rank orders modes, -1 for what is none.
func rank(m playbook.Mode) int {
	return slices.Index([]playbook.Mode{playbook.Observe, playbook.Approve, playbook.Enforce}, m)
}

func lower(a, b playbook.Mode) playbook.Mode {
	if rank(a) < rank(b) {
		return a
	}
	return b
}

// checkNames refuses patterns that path.Match cannot read: they would protect nothing.
func checkNames(patterns []string) error {
	for _, p := range patterns {
		if _, err := path.Match(p, ""); err != nil || p == "" || strings.Count(p, "/") > 1 {
			return fmt.Errorf("protected name %q is no pattern such as vault-* or shop/payments-*", p)
		}
	}
	return nil
}
