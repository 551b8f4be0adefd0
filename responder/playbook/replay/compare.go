package replay

import (
	"fmt"
	"regexp"
	"slices"

	"riposte/responder/playbook"
)

// maxChanges bounds how many differences a report tells one by one.
const maxChanges = 1000

func sprint(what string, got, limit int64) string {
	return fmt.Sprintf("%d %s, %d allowed", got, what, limit)
}

// compare finds the differences of one unit.
func compare(u unit) []Change {
	if u.timed {
		return nil
	}
	var out []Change
	change := func(kind string, before, after *playbook.Proposal) {
		c := Change{Kind: kind, Alert: u.alert, At: u.at, Rule: u.rule, Playbook: u.playbook, Before: before, After: after}
		p := after
		if p == nil {
			p = before
		}
		if p != nil {
			c.Action, c.Target = p.Type, target(*p)
		}
		if kind != "added" {
			c.Why = u.after.refusal
		}
		out = append(out, c)
	}
	left := slices.Clone(u.before.proposals)
	take := func(fits func(proposal) bool) *playbook.Proposal {
		i := slices.IndexFunc(left, fits)
		if i < 0 {
			return nil
		}
		p := left[i].Proposal
		left = slices.Delete(left, i, i+1)
		return &p
	}
	var fresh []playbook.Proposal
	for _, a := range u.after.proposals {
		if take(func(b proposal) bool { return equal(a.Proposal, b.Proposal) }) == nil {
			fresh = append(fresh, a.Proposal)
		}
	}
	for i := range fresh {
		a := &fresh[i]
		if b := take(func(b proposal) bool { return b.Type == a.Type && b.Target == a.Target }); b != nil {
			change("changed", b, a)
		} else {
			change("added", nil, a)
		}
	}
	for i := range left {
		change("removed", &left[i].Proposal, nil)
	}
	if len(out) == 0 && bare(u.after.refusal) != bare(u.before.refusal) {
		change("refused", nil, nil)
	}
	return out
}

// folder is where a refusal says that its file lies, which is no part of what was
// decided: the same playbooks may lie elsewhere now.
var folder = regexp.MustCompile(`^.*?/([^/]+\.rego:[0-9]+:[0-9]+: )`)

func bare(refusal string) string { return folder.ReplaceAllString(refusal, "$1") }

func (c *count) compare(u unit) {
	r := &c.report
	p := c.playbook(u.playbook)
	if u.before.asked {
		note(&p.Revisions, u.before.revision)
		note(&p.Modes, u.before.mode)
	}
	if u.after.asked {
		p.Revision, p.Mode = u.after.revision, u.after.mode
	}
	if u.timed {
		r.TimedOut++
		return
	}
	r.Decisions++
	p.Decisions++
	for _, d := range compare(u) {
		switch d.Kind {
		case "added":
			r.Added++
			p.Added++
		case "removed":
			r.Removed++
			p.Removed++
		default:
			r.Changed++
			p.Changed++
		}
		if len(r.Changes) < maxChanges {
			r.Changes = append(r.Changes, d)
		} else {
			r.Untold++
		}
	}
}

// maxNoted bounds the revisions and modes that are told of one playbook.
const maxNoted = 50

// note adds what is not there yet.
func note[T comparable](list *[]T, v T) {
	if len(*list) < maxNoted && !slices.Contains(*list, v) {
		*list = append(*list, v)
	}
}
