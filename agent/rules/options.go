package rules

import (
	"slices"
	"strings"

	"riposte/agent/alert"
)

// Options say how rule files are loaded. The zero value loads every rule as its
// file has it.
type Options struct {
	// Selections enable and disable rules, one after the other, whatever their files say.
	Selections []Selection
	// MinPriority leaves out the rules that are less severe, unless it is nil.
	MinPriority *alert.Priority
	// MatchAll lets every rule fire that matches an event, not the first alone.
	MatchAll bool
	// Append adds to the rules' outputs, in its order. Nil adds the suggested fields
	// alone, an empty list nothing.
	Append []Append
	// Static are the values of the fields "static.NAME" that outputs may have, by NAME.
	Static map[string]string
	// AllErrors reports every error of a file; Falco stops at a file's first one.
	AllErrors bool
}

// Selection enables or disables the rules that have a name or a tag. In Rule
// each '*' stands for any text; exactly one of Rule and Tag is set.
type Selection struct {
	Rule, Tag string
	Disable   bool
}

func (s Selection) selects(r *Rule) bool {
	if s.Tag != "" {
		return slices.Contains(r.Tags, s.Tag)
	}
	return s.Rule != "" && wildcard(s.Rule, r.Name)
}

// wildcard matches a text with a pattern in which '*' is all that is special.
func wildcard(pattern, s string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == s
	}
	if !strings.HasPrefix(s, parts[0]) {
		return false
	}
	s = s[len(parts[0]):]
	last := parts[len(parts)-1]
	for _, p := range parts[1 : len(parts)-1] {
		i := strings.Index(s, p)
		if i < 0 {
			return false
		}
		s = s[i+len(p):]
	}
	return len(s) >= len(last) && strings.HasSuffix(s, last)
}

// Report is what came out of loading files.
type Report struct {
	// Ruleset is nil if a file has an error.
	Ruleset *Ruleset
	Files   []FileReport

	err error
}

// FileReport is what came out of one file.
type FileReport struct {
	Name             string
	Errors, Warnings []*Error
	// Schema lists where the file is not as the schema of rule files wants it.
	// Such a file loads nevertheless.
	Schema []string
}

// Err joins all errors; it is nil if there is a Ruleset.
func (r *Report) Err() error { return r.err }

// Check loads files in order and reports on each.
func (o Options) Check(files ...File) *Report {
	l := newLoader()
	l.all = o.AllErrors
	additions, err := newFormatter(o.Static).additions(o.Append)
	if err != nil {
		return &Report{err: err}
	}
	for _, f := range files {
		l.file(f)
	}
	rs := l.build(o.Static, additions)
	report := &Report{err: l.err()}
	for _, f := range files {
		ofFile := func(list []*Error) (found []*Error) {
			for _, e := range list {
				if e.File == f.Name {
					found = append(found, e)
				}
			}
			return found
		}
		report.Files = append(report.Files, FileReport{Name: f.Name, Errors: ofFile(l.errs), Warnings: ofFile(l.warnings), Schema: l.schema[f.Name]})
	}
	if report.err == nil {
		rs.Warnings = l.warnings
		rs.hash = hash(files)
		rs.finish(o)
		report.Ruleset = rs
	}
	return report
}

// Load loads files in order; a later definition replaces an earlier one and
// keeps its place. The error joins an *Error for what is wrong with each file.
func (o Options) Load(files ...File) (*Ruleset, error) {
	report := o.Check(files...)
	return report.Ruleset, report.err
}

// finish applies the options and indexes the rules by event type.
func (r *Ruleset) finish(o Options) {
	r.matchAll = o.MatchAll
	for _, rule := range r.rules {
		for _, s := range o.Selections {
			if s.selects(rule) {
				rule.Enabled = !s.Disable
			}
		}
		if o.MinPriority != nil && rule.Priority > *o.MinPriority {
			rule.Enabled = false
		}
	}
	r.index()
}
