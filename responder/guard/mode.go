package guard

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"riposte/responder/audit"
	"riposte/responder/playbook"
	"riposte/responder/store"
)

// Mode is a playbook's mode as it was set at run time.
type Mode struct {
	Playbook string
	// Mode is empty for the one that the playbook's METADATA says.
	Mode playbook.Mode
	// Namespaces and Labels are the canary: what is in none of the namespaces, or lacks
	// one of the labels, is only observed. Empty: no canary.
	Namespaces []string
	Labels     map[string]string
	Reason     string
	Actor      string
	// If is the time of the mode that this one is to replace, zero for none; nil: of
	// whichever there is.
	If *time.Time
}

// Bounds of a canary.
const (
	maxCanary = 100
	maxLabel  = 317 // a label's key: 253 of prefix, a slash, 63 of name
)

// ErrMode says why a mode cannot be set.
var ErrMode = errors.New("mode")

// SetMode sets a playbook's mode in place of its METADATA's, and takes back a
// step back to observe. A mode above the configured maximum is refused with ErrMode,
// one of which If is not true with store.ErrChanged.
func (g *Guard) SetMode(ctx context.Context, m Mode) error {
	ceiling := g.settings().limits.ceiling(m.Playbook)
	switch {
	case m.Mode != "" && rank(m.Mode) < 0:
		return fmt.Errorf("%w: %q is none of observe, approve, enforce", ErrMode, string(m.Mode))
	case rank(m.Mode) > rank(ceiling):
		return fmt.Errorf("%w: the guard's configuration lets playbook %s go no further than %s", ErrMode, m.Playbook, ceiling)
	case len(m.Namespaces)+len(m.Labels) > maxCanary:
		return fmt.Errorf("%w: a canary has at most %d namespaces and labels", ErrMode, maxCanary)
	case slices.ContainsFunc(m.Namespaces, func(ns string) bool { return ns == "" || len(ns) > maxSwitchName }):
		return fmt.Errorf("%w: a namespace's name has 1 to %d characters", ErrMode, maxSwitchName)
	}
	for k, v := range m.Labels {
		if k == "" || len(k) > maxLabel || len(v) > maxSwitchName {
			return fmt.Errorf("%w: %.60q is no label", ErrMode, k+"="+v)
		}
	}
	labels, err := encodeLabels(m.Labels)
	if err != nil {
		return err
	}
	word := string(m.Mode)
	if word == "" {
		word = "default"
	}
	note := "playbook " + m.Playbook
	if c := (canary{m.Namespaces, m.Labels}); !c.empty() {
		note += ", only " + c.String()
	}
	err = g.parts.Store.InTx(ctx, func(tx store.Tx) error {
		row := store.ModeRow{Playbook: m.Playbook, Mode: string(m.Mode), Namespaces: m.Namespaces, Labels: labels, Reason: m.Reason, Actor: m.Actor}
		if err := tx.SetMode(ctx, row, m.If); err != nil {
			return err
		}
		return audit.Append(ctx, tx, audit.Entry{
			Cluster: g.parts.Home, Kind: audit.PlaybookMode, Actor: m.Actor, Result: word, Note: note,
			Why: audit.Why{Reason: m.Reason}, What: audit.What{Object: "playbook/" + m.Playbook},
		})
	})
	if err != nil {
		return err
	}
	return g.Refresh(ctx)
}

// ModeOf is what a playbook's mode is now and how it came to it; declared is its METADATA's.
func (g *Guard) ModeOf(name string, declared playbook.Mode) (effective playbook.Mode, row store.ModeRow) {
	row = g.known().modes[name]
	return g.effective(name, declared, row), row
}

// effective is a playbook's mode outside of any canary's say.
func (g *Guard) effective(name string, declared playbook.Mode, row store.ModeRow) playbook.Mode {
	if row.SteppedBack != "" {
		return playbook.Observe
	}
	if row.Mode != "" {
		declared = playbook.Mode(row.Mode)
	}
	if rank(declared) < 0 {
		return declared // unknown: it is refused, not lowered
	}
	return lower(declared, g.settings().limits.ceiling(name))
}

// inMode says what the playbook's mode makes of an effect: nothing, Watch or Ask.
func (g *Guard) inMode(e *Effect, row store.ModeRow) Verdict {
	watch := func(rule, format string, args ...any) Verdict {
		return Verdict{Outcome: Watch, Rule: rule, Reason: fmt.Sprintf(format, args...)}
	}
	switch mode := g.effective(e.Playbook, e.Mode, row); mode {
	case playbook.Observe:
		if row.SteppedBack != "" {
			return watch(RuleSteppedBack, "playbook %s has stepped back to observe: %s", e.Playbook, row.Reason)
		}
		return watch(RuleModeObserve, "playbook %s observes", e.Playbook)
	case playbook.Approve, playbook.Enforce:
		if c := (canary{row.Namespaces, row.LabelMap()}); !c.fits(e) {
			return watch(RuleCanary, "playbook %s only observes outside of its canary, %s", e.Playbook, c)
		}
		// What changes nothing needs nobody's consent: people decide better with the
		// evidence and the notice before them.
		if mode == playbook.Approve && e.Counted {
			return Verdict{Outcome: Ask, Rule: RuleModeApprove, Reason: fmt.Sprintf("playbook %s asks before it acts", e.Playbook)}
		}
		return Verdict{}
	default:
		return refuse(RuleModeObserve, "mode %q is unknown", string(mode))
	}
}
