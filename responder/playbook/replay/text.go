package replay

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxShown bounds the differences and pods that are shown to people; JSON has more.
const maxShown = 50

// Write writes the report for a terminal. Show makes a text that an attacker may have
// written fit for it.
func (r *Report) Write(w io.Writer, show func(string) string) error {
	p := &page{show: show}
	p.line("%s", r.headline())
	p.notes(r)
	for _, b := range r.Playbooks {
		p.line("  %s: %s; mode %s, revision %s", b.Name, differences(b.Added, b.Removed, b.Changed), b.modes(), b.revisions())
	}
	for i, c := range r.Changes {
		if i == 0 {
			p.line("\nDifferences")
		}
		if i == maxShown {
			p.line("  … and %d more", int64(len(r.Changes)-i)+r.Untold)
			break
		}
		p.line("  %s", c)
	}
	p.line("\n%-26s %10s %10s", "What comes of it", "before", "after")
	for _, row := range r.rows() {
		p.line("  %-24s %10s %10s", row.name, row.before, row.after)
	}
	p.list("\nLimits that would be reached", len(r.After.Limits), len(r.After.Limits), func(i int) string { return r.After.Limits[i].String() })
	p.list("\nPods that would be deleted", len(r.After.Pods), r.After.PodsDeleted, func(i int) string { return r.After.Pods[i].String() })
	_, err := io.WriteString(w, p.b.String())
	return err
}

type page struct {
	b    strings.Builder
	show func(string) string
}

func (p *page) line(format string, args ...any) {
	for i := range args {
		if s, ok := args[i].(string); ok {
			args[i] = p.show(s)
		}
		if s, ok := args[i].(fmt.Stringer); ok {
			args[i] = p.show(s.String())
		}
	}
	fmt.Fprintf(&p.b, format+"\n", args...)
}

func (p *page) list(title string, n, all int, item func(int) string) {
	if n == 0 {
		return
	}
	p.line(strings.ReplaceAll(title, "%", "%%"))
	for i := range min(n, maxShown) {
		p.line("  %s", item(i))
	}
	if all > maxShown {
		p.line("  … and %d more", all-maxShown)
	}
}

func (p *page) notes(r *Report) {
	for _, n := range r.remarks() {
		p.line("%s", n)
	}
}

func (r *Report) headline() string {
	return fmt.Sprintf("%s about %s (%d with equal ones), %s to %s: %s.", number(r.Decisions, "decision"), number(r.Alerts, "alert"), r.Equal,
		stamp(r.From), stamp(r.To), differences(r.Added, r.Removed, r.Changed))
}

func number(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func differences(added, removed, changed int64) string {
	if added+removed+changed == 0 {
		return "no difference"
	}
	return fmt.Sprintf("%d added, %d removed, %d changed", added, removed, changed)
}

// remarks are what a reader must know to believe the numbers.
func (r *Report) remarks() []string {
	var out []string
	if r.Rebuilt > 0 {
		out = append(out, fmt.Sprintf("No playbook was asked about %s of them: the input is made of the alert, without history.", number(r.Rebuilt, "alert")))
	}
	if r.Unreadable > 0 {
		out = append(out, fmt.Sprintf("%s could not be read and left out: %s", number(r.Unreadable, "line"), strings.Join(r.Errors, "; ")))
	}
	if r.TimedOut > 0 {
		out = append(out, fmt.Sprintf("%s had run out of time, and nothing is compared with that.", number(r.TimedOut, "decision")))
	}
	if r.Reordered > 0 {
		out = append(out, fmt.Sprintf("%s counted later than made.", number(r.Reordered, "decision")))
	}
	if len(r.NotCompared) > 0 {
		var n int64
		for _, m := range r.NotCompared {
			n += m
		}
		out = append(out, fmt.Sprintf("Not compared: %s of other playbooks: %s", number(n, "decision"), strings.Join(slices.Sorted(maps.Keys(r.NotCompared)), ", ")))
	}
	return out
}

func (b PlaybookReport) modes() string {
	all := make([]string, len(b.Modes))
	for i, m := range b.Modes {
		all[i] = string(m)
	}
	return arrow(all, string(b.Mode))
}

func (b PlaybookReport) revisions() string {
	all := make([]string, len(b.Revisions))
	for i, r := range b.Revisions {
		all[i] = short(r)
	}
	return arrow(all, short(b.Revision))
}

func short(revision string) string { return fmt.Sprintf("%.12s", revision) }

// arrow is "a, b → c", or c alone if nothing else was before.
func arrow(before []string, after string) string {
	if after == "" {
		after = "none"
	}
	if len(before) == 0 {
		before = []string{"none"}
	}
	if len(before) == 1 && before[0] == after {
		return after
	}
	return strings.Join(before, ", ") + " → " + after
}

// String is the difference in one line.
func (c Change) String() string {
	what := c.Action + " of " + c.Target
	if c.Action == "" {
		what = "the whole decision"
	}
	s := fmt.Sprintf("%s %s by %s, alert %s (%s) at %s", c.Kind, what, c.Playbook, c.Alert, c.Rule, stamp(c.At))
	if c.Before != nil && c.After != nil {
		s += ": " + strings.Join(c.fields(), ", ")
	}
	if c.Why != "" {
		s += ": " + c.Why
	}
	return s
}

// fields are the keys in which a changed proposal differs.
func (c Change) fields() []string {
	var out []string
	add := func(key, before, after string) {
		if before != after {
			out = append(out, fmt.Sprintf("%s %q → %q", key, before, after))
		}
	}
	add("params", string(c.Before.Params), string(c.After.Params))
	add("ttl", c.Before.TTL, c.After.TTL)
	add("reason", c.Before.Reason, c.After.Reason)
	add("requires_approval", strconv.FormatBool(c.Before.RequiresApproval), strconv.FormatBool(c.After.RequiresApproval))
	return out
}

// String is the limit in one line.
func (x Reached) String() string {
	return fmt.Sprintf("%s, %d times from %s on: %s", x.Rule, x.Times, stamp(x.First), x.Reason)
}

// String is the pod in one line.
func (d Death) String() string {
	return fmt.Sprintf("%s/%s (%s) at %s, %s by %s", d.Namespace, d.Name, d.UID, stamp(d.At), d.Action, d.Playbook)
}

type row struct{ name, before, after string }

// rows are the two outcomes side by side.
func (r *Report) rows() []row {
	n := func(name string, get func(Outcome) int64) row {
		return row{name, strconv.FormatInt(get(r.Before), 10), strconv.FormatInt(get(r.After), 10)}
	}
	d := func(name string, get func(Times) time.Duration) row {
		of := func(t Times) string {
			if t.Effects == t.Unknown {
				return "-"
			}
			return get(t).Round(100 * time.Microsecond).String()
		}
		return row{name, of(r.Before.Contain), of(r.After.Contain)}
	}
	rows := []row{
		n("proposed", func(o Outcome) int64 { return o.Proposed }),
		n("done", func(o Outcome) int64 { return o.Allowed }),
		n("asked about", func(o Outcome) int64 { return o.Asked }),
		n("observed", func(o Outcome) int64 { return o.Observed }),
		n("refused", func(o Outcome) int64 { return o.Refused }),
		n("joined", func(o Outcome) int64 { return o.Joined }),
		n("pods deleted", func(o Outcome) int64 { return int64(o.PodsDeleted) }),
		d("time to effect, median", func(t Times) time.Duration { return t.Median }),
		d("9 in 10 below", func(t Times) time.Duration { return t.P90 }),
		d("longest", func(t Times) time.Duration { return t.Longest }),
	}
	rules := slices.Sorted(maps.Keys(r.Before.Rules))
	for rule := range r.After.Rules {
		if _, there := r.Before.Rules[rule]; !there {
			rules = append(rules, rule)
		}
	}
	slices.Sort(rules)
	for _, rule := range rules {
		rows = append(rows, n("guard: "+rule, func(o Outcome) int64 { return o.Rules[rule] }))
	}
	return rows
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}
