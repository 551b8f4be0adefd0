package guard

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"riposte/responder/audit"
	"riposte/responder/store"
)

// recordGrace is how long Turn may take to record what it did.
const recordGrace = 20 * time.Second

// ErrNotRecorded says that a kill switch is on here, and that neither the record
// nor the other responders know: the database is away.
var ErrNotRecorded = errors.New("the kill switch is on, but that could not be written into the record")

// ErrSwitchName says that a kill switch has no such scope or name.
var ErrSwitchName = errors.New("a kill switch is for all, or for a cluster or a playbook with a name of 1 to 63 characters")

// KillSwitch reads the switch that stops everything.
func (g *Guard) KillSwitch() Switch { return g.switchOf(ScopeAll, "") }

// Switches lists every kill switch that is on: by its file here, or as another
// responder turned it.
func (g *Guard) Switches() []Switch {
	all := g.kill.list()
	for _, s := range g.known().switches {
		if s.On && !slices.ContainsFunc(all, func(o Switch) bool { return o.Scope == s.Scope && o.Name == s.Name }) {
			all = append(all, s)
		}
	}
	return all
}

func (g *Guard) switchOf(scope Scope, name string) Switch {
	if s := g.kill.read(scope, name); s.On {
		return s
	}
	for _, s := range g.known().switches {
		if s.On && s.Scope == scope && s.Name == name {
			return s
		}
	}
	return Switch{Scope: scope, Name: name}
}

// killed says whether a switch stops what a playbook wants to do in a cluster.
func (g *Guard) killed(cluster, playbook string) Verdict {
	for _, s := range []Switch{g.switchOf(ScopeAll, ""), g.switchOf(ScopeCluster, cluster), g.switchOf(ScopePlaybook, playbook)} {
		if s.On {
			return stoppedBy(s)
		}
	}
	return Verdict{}
}

func (s Switch) stops(e *Effect) bool {
	return s.On && (s.Scope == ScopeAll || s.Scope == ScopeCluster && s.Name == e.Cluster || s.Scope == ScopePlaybook && s.Name == e.Playbook)
}

func stoppedBy(s Switch) Verdict {
	which := "the kill switch"
	if s.Scope != ScopeAll {
		which += fmt.Sprintf(" of %s %s", s.Scope, s.Name)
	}
	if s.Reason != "" {
		return refuse(RuleKillSwitch, "%s is on: %s", which, s.Reason)
	}
	return refuse(RuleKillSwitch, "%s is on", which)
}

// Turn turns a kill switch on or off. On holds from the moment that its file is
// on disk, for every Judge, Reserve and Release that begins then, even if Turn
// returns ErrNotRecorded. Off lets effects happen, so it is recorded first.
func (g *Guard) Turn(ctx context.Context, s Switch) error {
	if s.Scope == "" {
		s.Scope = ScopeAll
	}
	named := s.Scope == ScopeCluster || s.Scope == ScopePlaybook
	if s.Scope == ScopeAll && s.Name != "" || s.Scope != ScopeAll && (!named || s.Name == "" || len(s.Name) > maxSwitchName) {
		return ErrSwitchName
	}
	if g.kill.base == "" {
		return ErrNoKillSwitch
	}
	s.ID, s.At = uuid.NewString(), g.options.Now().UTC()
	if !s.On {
		return g.turnOff(ctx, s)
	}
	if err := g.kill.set(s); err != nil {
		return err
	}
	if err := g.recordSwitch(ctx, s); err != nil {
		return fmt.Errorf("%w: %w", ErrNotRecorded, err)
	}
	return g.Refresh(ctx)
}

func (g *Guard) turnOff(ctx context.Context, s Switch) error {
	if err := func() error {
		g.refreshing.Lock() // or Refresh could bring back the file from rows that it read before
		defer g.refreshing.Unlock()
		if err := g.recordSwitch(ctx, s); err != nil {
			return err
		}
		return g.kill.set(s)
	}(); err != nil {
		return err
	}
	return g.Refresh(ctx)
}

func (g *Guard) recordSwitch(ctx context.Context, s Switch) error {
	if g.parts.Store == nil {
		return nil
	}
	result := "off"
	if s.On {
		result = "on"
	}
	e := audit.Entry{Cluster: g.parts.Home, Kind: audit.KillSwitch, Actor: s.Actor, Result: result, Why: audit.Why{Reason: s.Reason}}
	if s.Scope != ScopeAll {
		e.Note = fmt.Sprintf("for %s %s alone", s.Scope, s.Name)
		e.What.Object = string(s.Scope) + "/" + s.Name
	}
	return g.parts.Store.InTx(ctx, func(tx store.Tx) error {
		row := store.SwitchRow{Scope: string(s.Scope), Name: s.Name, On: s.On, ID: s.ID, Reason: s.Reason, Actor: s.Actor, At: s.At}
		if err := tx.SetSwitch(ctx, row); err != nil {
			return err
		}
		return audit.Append(ctx, tx, e)
	})
}

// agree brings this responder's files in line with what was turned elsewhere, and
// tells the others what was turned here while the database was away.
func (g *Guard) agree(ctx context.Context, rows []Switch) error {
	if g.kill.base == "" {
		return nil
	}
	var errs []error
	for _, row := range rows {
		here := g.kill.read(row.Scope, row.Name)
		switch {
		case row.On && (!here.On || here.ID != "" && here.ID != row.ID):
			errs = append(errs, g.kill.set(row))
		case !row.On && here.On && here.ID == row.ID:
			errs = append(errs, g.kill.set(row))
		}
	}
	for _, here := range g.kill.list() {
		// A young one is being recorded by who turned it.
		if here.ID == "" || g.options.Now().Sub(here.At) < recordGrace || slices.ContainsFunc(rows, func(r Switch) bool { return r.Scope == here.Scope && r.Name == here.Name && (r.On || r.ID == here.ID) }) {
			continue // made by hand, or known
		}
		errs = append(errs, g.recordSwitch(ctx, here))
	}
	return errors.Join(errs...)
}

func switchesOf(rows []store.SwitchRow) []Switch {
	all := make([]Switch, len(rows))
	for i, r := range rows {
		all[i] = Switch{Scope: Scope(r.Scope), Name: r.Name, On: r.On, ID: r.ID, Reason: r.Reason, Actor: r.Actor, At: r.At.UTC()}
	}
	return all
}
