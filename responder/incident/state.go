package incident

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"riposte/responder/audit"
	"riposte/responder/store"
)

// State is an incident's state; the text stands in the database and the API.
type State string

// States of an incident.
const (
	Open State = "open"
	// Contained: an effect against the attack was verified, nothing is under way, and
	// no later alert came.
	Contained State = "contained"
	// Resolved and FalsePositive are a person's last word, or that of the responder
	// about a gap or a silence that has ended.
	Resolved      State = "resolved"
	FalsePositive State = "false_positive"
)

// next are the states that may follow a state.
var next = map[State][]State{
	Open:      {Contained, Resolved, FalsePositive},
	Contained: {Open, Resolved, FalsePositive},
	// A person may correct what a person said.
	Resolved:      {FalsePositive},
	FalsePositive: {Resolved},
}

// Containing are the types of actions whose verified effect contains an attack.
func Containing() []string {
	return []string{
		"delete_pod", "evict_pod", "isolate_pod", "kill_container", "kill_process", "freeze_container", "cut_network", "scale_workload", "suspend_cronjob",
		"delete_resource", "rollback_workload",
	}
}

// ErrState says that an incident cannot go into the wanted state from its own.
var ErrState = errors.New("the incident's state does not allow this")

// Change is one change of a state.
type Change struct {
	// ID is the incident's id, or its last group.
	ID     string
	To     State
	At     time.Time
	Actor  string
	Reason string
}

// Apply changes an incident's state in tx, with a row in its history and an entry
// in the record. Its error wraps ErrState if the incident is not in a state for
// that, and store.ErrNotFound if there is none.
func (c Change) Apply(ctx context.Context, tx store.Tx) error {
	entry, err := c.write(ctx, tx)
	if err != nil {
		return err
	}
	return audit.Append(ctx, tx, entry)
}

// ApplyAll applies several changes, and leaves out those whose incident is not in a
// state for them. The entries come last: all who write wait for the record's head.
func ApplyAll(ctx context.Context, tx store.Tx, all []Change) error {
	var entries []audit.Entry
	for _, c := range all {
		entry, err := c.write(ctx, tx)
		if errors.Is(err, ErrState) {
			continue
		}
		if err != nil {
			return fmt.Errorf("incident %s: %w", c.ID, err)
		}
		entries = append(entries, entry)
	}
	return audit.Append(ctx, tx, entries...)
}

func (c Change) write(ctx context.Context, tx store.Tx) (audit.Entry, error) {
	i, err := tx.LockIncident(ctx, c.ID)
	if err != nil {
		return audit.Entry{}, err
	}
	from := State(i.State)
	if !slices.Contains(next[from], c.To) {
		return audit.Entry{}, fmt.Errorf("%w: it is %s and cannot become %s", ErrState, from, c.To)
	}
	row := store.IncidentChange{
		ID: i.ID, From: i.State, To: string(c.To), Joinable: i.Joinable && (c.To == Open || c.To == Contained), At: c.At, Actor: c.Actor, Reason: c.Reason,
	}
	if c.To == Contained {
		row.ContainedAt = &c.At
	}
	return Entry(i.Cluster, row), tx.ChangeIncident(ctx, row)
}

// Entry is what the record says of a change.
func Entry(cluster string, c store.IncidentChange) audit.Entry {
	kind, note := audit.IncidentState, c.From+" → "+c.To
	if c.From == "" {
		kind, note = audit.IncidentOpened, ""
	}
	return audit.Entry{
		Cluster: cluster, Kind: kind, At: c.At, Actor: c.Actor, Result: c.To, Note: note,
		Why: audit.Why{IncidentID: c.ID, Reason: store.Text(c.Reason)},
	}
}
