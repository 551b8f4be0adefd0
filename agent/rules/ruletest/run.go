package ruletest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"riposte/agent/event"
	"riposte/agent/rules"
	"riposte/agent/rules/compile"
	"riposte/agent/rules/syntax"
)

// Options of a run.
type Options struct {
	// Rules are tested by files that name none of their own.
	Rules []rules.File
}

// Result is what came out of one case.
type Result struct {
	Name string
	Line int
	// Failures are in the order of the file; none means that the case passed.
	Failures []*Error
	// Fired counts how often each rule fired.
	Fired map[string]int
	// Quiet counts the events for which no alert was expected, and none came.
	Quiet int
	// Events are the case's events, in order.
	Events []*event.Event
	// Ruleset is what they were matched against, nil if it did not load.
	Ruleset *rules.Ruleset
}

// Run runs the tests of one file, whose name is used in errors and for the files
// that it refers to. The error is about the file itself, not about a test.
func Run(o Options, name string, content []byte) ([]Result, error) {
	list, err := parse(name, string(content))
	if err != nil {
		return nil, err
	}
	r := &runner{options: o, file: name, world: newWorld(), files: o.Rules}
	for _, s := range list {
		if err := r.statement(s); err != nil {
			return nil, &Error{File: name, Line: s.line, Msg: err.Error()}
		}
	}
	if err := r.finish(); err != nil {
		return nil, err
	}
	return r.results, nil
}

type runner struct {
	options Options
	file    string
	// base is the world before the first case, which every case begins with.
	base, world *world
	baseFiles   []rules.File
	files       []rules.File
	matchAll    bool

	report *rules.Report
	event  *event.Event
	line   int
	fired  []firing
	// expected says that the event has a statement below it, matched that it was
	// shown to the rules.
	expected, matched bool

	results []Result
}

type firing struct{ rule, output string }

func (r *runner) current() *Result {
	if len(r.results) == 0 {
		r.results = append(r.results, Result{Name: "main", Line: 1, Fired: map[string]int{}})
	}
	return &r.results[len(r.results)-1]
}

func (r *runner) fail(line int, format string, args ...any) {
	c := r.current()
	c.Failures = append(c.Failures, &Error{File: r.file, Line: line, Msg: fmt.Sprintf(format, args...)})
}

func (r *runner) statement(s *statement) error {
	needsName := s.verb == "case" || s.verb == "process" || s.verb == "container"
	if needsName && s.rest == "" {
		return fmt.Errorf("%s needs a name", s.verb)
	}
	switch s.verb {
	case "case":
		return r.begin(s)
	case "rules":
		return r.load(s)
	case "match":
		if s.rest != "all" && s.rest != "first" {
			return errors.New("use match all or match first")
		}
		r.matchAll, r.report = s.rest == "all", nil
		return nil
	case "load":
		return r.checkLoad(s)
	case "process":
		return r.world.addProcess(s)
	case "container":
		return r.world.addContainer(s)
	case "event":
		return r.newEvent(s)
	case "expect":
		return r.expect(s)
	case "output":
		return r.output(s)
	case "true", "false":
		return r.condition(s)
	case "refuse":
		return r.refuse(s)
	}
	known := []string{"case", "rules", "match", "load", "process", "container", "event", "expect", "output", "true", "false", "refuse"}
	if near := syntax.Nearest(s.verb, known); near != "" {
		return fmt.Errorf("unknown statement %q: did you mean %s?", s.verb, near)
	}
	return fmt.Errorf("unknown statement %q: use one of %s", s.verb, strings.Join(known, ", "))
}

// begin starts a case with what was defined before the first one.
func (r *runner) begin(s *statement) error {
	if err := r.finish(); err != nil {
		return err
	}
	if r.base == nil {
		r.base, r.baseFiles = r.world, r.files
	}
	r.world, r.files, r.report, r.event = r.base.clone(), r.baseFiles, nil, nil
	r.results = append(r.results, Result{Name: s.rest, Line: s.line, Fired: map[string]int{}})
	return nil
}

// finish checks that the event above expects something.
func (r *runner) finish() error {
	if r.event != nil && !r.expected {
		return &Error{File: r.file, Line: r.line, Msg: "nothing is expected of this event: add 'expect RULE' or 'expect none'"}
	}
	return nil
}

// load reads rules from files or from the block.
func (r *runner) load(s *statement) error {
	r.report = nil
	if s.rest == "" {
		r.files = []rules.File{{Name: fmt.Sprintf("%s:%d", r.file, s.line), Content: []byte(s.text())}}
		return nil
	}
	names, err := words(s.rest)
	if err != nil {
		return err
	}
	r.files = nil
	for _, name := range names {
		if !filepath.IsAbs(name) {
			name = filepath.Join(filepath.Dir(r.file), name)
		}
		content, err := readFile(name)
		if err != nil {
			return fmt.Errorf("read rules: %w", err)
		}
		r.files = append(r.files, rules.File{Name: name, Content: content})
	}
	if len(s.block) > 0 {
		r.files = append(r.files, rules.File{Name: fmt.Sprintf("%s:%d", r.file, s.line), Content: []byte(s.text())})
	}
	return nil
}

// readFile reads no more than a rules file may have.
func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, rules.MaxFileBytes+1))
}

func (r *runner) loaded() *rules.Report {
	if r.report == nil {
		r.report = rules.Options{MatchAll: r.matchAll, AllErrors: true}.Check(r.files...)
	}
	return r.report
}

// checkLoad reads "load ok", "load error CODE [text]" and "load warning CODE [text]".
func (r *runner) checkLoad(s *statement) error {
	what, rest, _ := strings.Cut(s.rest, " ")
	code, text, _ := strings.Cut(strings.TrimSpace(rest), " ")
	report := r.loaded()
	var list []*rules.Error
	switch what {
	case "ok":
		for _, f := range report.Files {
			for _, e := range append(f.Errors, f.Warnings...) {
				r.fail(s.line, "%s: %s", e.Code, e)
			}
		}
		return nil
	case "error":
		for _, f := range report.Files {
			list = append(list, f.Errors...)
		}
	case "warning":
		for _, f := range report.Files {
			list = append(list, f.Warnings...)
		}
	default:
		return errors.New("use load ok, load error CODE or load warning CODE")
	}
	var got []string
	for _, e := range list {
		if e.Code == code && strings.Contains(e.Error(), strings.TrimSpace(text)) {
			return nil
		}
		got = append(got, e.Code+": "+e.Error())
	}
	r.fail(s.line, "expected the %s %s, got: %s", what, strings.TrimSpace(rest), strings.Join(append(got, "nothing else"), "; "))
	return nil
}

func (r *runner) newEvent(s *statement) error {
	if err := r.finish(); err != nil {
		return err
	}
	e, err := r.world.newEvent(s)
	if err != nil {
		return err
	}
	r.event, r.line, r.expected, r.matched, r.fired = e, s.line, false, false, nil
	c := r.current()
	c.Events = append(c.Events, e)
	return nil
}

// match shows the event to the rules as the agent does: once with each name.
func (r *runner) match() bool {
	report := r.loaded()
	if report.Ruleset == nil {
		r.fail(r.line, "the rules do not load: %s", report.Err())
		return false
	}
	c := r.current()
	c.Ruleset = report.Ruleset
	fire := func(rule *rules.Rule) {
		message, _ := rule.Format(r.event)
		r.fired = append(r.fired, firing{rule.Name, message})
		c.Fired[rule.Name]++
	}
	report.Ruleset.Match(r.event, fire)
	if len(r.fired) == 0 && r.event.NameDiffers() {
		r.event.RealView = true
		report.Ruleset.Match(r.event, fire)
		r.event.RealView = false
	}
	return true
}

func (r *runner) expect(s *statement) error {
	want := unquote(s.rest)
	if want == "" || r.event == nil {
		return errors.New("expect stands below an event and names a rule, or none")
	}
	r.expected = true
	if !r.matched {
		r.matched = true
		if !r.match() {
			return nil
		}
		if want == "none" && len(r.fired) == 0 {
			r.current().Quiet++
		}
	}
	if r.loaded().Ruleset == nil {
		return nil
	}
	got := make([]string, len(r.fired))
	for i, f := range r.fired {
		if got[i] = f.rule; f.rule == want {
			return nil
		}
	}
	if want == "none" && len(got) == 0 {
		return nil
	}
	if rs := r.report.Ruleset; rs != nil && want != "none" {
		if _, ok := rs.Rule(want); !ok {
			var names []string
			for _, rule := range rs.Rules() {
				names = append(names, rule.Name)
			}
			return fmt.Errorf("no rule is called %q%s", want, meant(want, names))
		}
	}
	if len(got) == 0 {
		got = []string{"none"}
	}
	r.fail(s.line, "expected %s, got %s", want, strings.Join(got, ", "))
	return nil
}

func meant(name string, names []string) string {
	if near := syntax.Nearest(name, names); near != "" {
		return fmt.Sprintf(": did you mean %q?", near)
	}
	return ""
}

func (r *runner) output(s *statement) error {
	if !r.matched {
		return errors.New("output stands below expect")
	}
	for _, f := range r.fired {
		if strings.Contains(f.output, unquote(s.rest)) {
			return nil
		}
	}
	if len(r.fired) == 0 {
		r.fail(s.line, "there is no alert")
		return nil
	}
	r.fail(s.line, "the output does not have %q: %s", unquote(s.rest), r.fired[0].output)
	return nil
}

// compileCondition compiles a condition on its own, without macros and lists.
func compileCondition(text string) (*compile.Program, error) {
	n, err := syntax.Parse(text)
	if err != nil {
		return nil, err
	}
	return compile.New(nil).Compile(n)
}

func (r *runner) condition(s *statement) error {
	if r.event == nil {
		return fmt.Errorf("%s stands below an event", s.verb)
	}
	r.expected = true
	p, err := compileCondition(s.rest)
	if err != nil {
		r.fail(s.line, "%s", err)
		return nil
	}
	if got := p.Match(r.event); got != (s.verb == "true") {
		r.fail(s.line, "expected %s, got %t: %s", s.verb, got, s.rest)
	}
	return nil
}

// refuse checks that a condition does not compile; the block is a part of the error.
func (r *runner) refuse(s *statement) error {
	_, err := compileCondition(s.rest)
	want := strings.TrimSpace(s.text())
	switch {
	case err == nil:
		r.fail(s.line, "this condition should be refused: %s", s.rest)
	case want == "":
		return errors.New("say below, indented, what the error should have")
	case !strings.Contains(err.Error(), want):
		r.fail(s.line, "the error is: %s", err)
	}
	return nil
}
