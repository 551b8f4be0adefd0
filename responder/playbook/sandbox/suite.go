package sandbox

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/cover"
	"github.com/open-policy-agent/opa/v1/tester"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// testTimeout bounds one test.
const testTimeout = 5 * time.Second

// Outcome is how a test ended.
type Outcome string

// Outcomes of a test.
const (
	Pass Outcome = "PASS"
	Fail Outcome = "FAIL"
	// Broken: a built-in failed, or the test did not end in time.
	Broken Outcome = "ERROR"
	// Skipped: its name begins with todo_test_.
	Skipped Outcome = "SKIP"
)

// TestResult is one test's end.
type TestResult struct {
	File    string
	Line    int
	Package string
	Name    string
	Outcome Outcome
	// Message says what did not hold, or the error.
	Message string
	// Output is what the test printed.
	Output   string
	Duration time.Duration
}

// Coverage is how much of one file the tests evaluated.
type Coverage struct {
	File string
	// Covered and Missed count lines.
	Covered, Missed int
	// MissedAt are the missed lines, as "12" or "12-14".
	MissedAt []string
	// Lines says of each line that can be evaluated, counted from 1, whether it was.
	Lines map[int]bool
}

// TestOptions choose and feed the tests.
type TestOptions struct {
	// Run, if not nil, chooses tests by package and name: "playbooks.web_test.test_it".
	Run *regexp.Regexp
	// Fixtures are what the tests find under data.fixtures, by name; see ReadFixtures.
	Fixtures map[string]any
}

// Percent is 100 for a file without anything to cover.
func (c Coverage) Percent() float64 {
	if c.Covered+c.Missed == 0 {
		return 100
	}
	return 100 * float64(c.Covered) / float64(c.Covered+c.Missed)
}

// Ordered are the lines that were evaluated and those that were not, never nil.
func (c Coverage) Ordered() (covered, missed []int) {
	covered, missed = []int{}, []int{}
	for _, line := range slices.Sorted(maps.Keys(c.Lines)) {
		if c.Lines[line] {
			covered = append(covered, line)
		} else {
			missed = append(missed, line)
		}
	}
	return covered, missed
}

// Sum is the coverage of all files as one, without its lines.
func Sum(files []Coverage) (total Coverage) {
	for _, f := range files {
		total.Covered += f.Covered
		total.Missed += f.Missed
	}
	return total
}

// RunTests compiles files with their tests and runs every rule whose name begins
// with test_. It returns the results sorted by place and the coverage of the
// files that are no tests. Errors means that it could not be compiled.
func RunTests(ctx context.Context, files []*File, s Schema, o TestOptions) ([]TestResult, []Coverage, error) {
	if err := missingFixtures(files, o.Fixtures); err != nil {
		return nil, nil, err
	}
	covered := cover.New()
	mods := modules(files, true)
	data, err := documents(files)
	if err != nil {
		return nil, nil, err
	}
	first := newRunner(mods, data, s, o).SetCoverageQueryTracer(covered).SetCoverageRuns(nil)
	if o.Run != nil {
		first = first.Filter(o.Run.String())
	}
	raw, err := runTests(ctx, first)
	if err != nil {
		return nil, nil, err
	}
	results := make([]TestResult, len(raw))
	var failed []string
	for i, r := range raw {
		results[i] = testResult(r)
		if r.Fail {
			failed = append(failed, regexp.QuoteMeta(r.Package+"."+r.Name))
		}
	}
	// What failed runs a second time with a trace, which tells where.
	if len(failed) > 0 {
		traced, err := runTests(ctx, newRunner(mods, data, s, o).EnableTracing(true).Filter("^("+strings.Join(failed, "|")+")$"))
		if err != nil {
			return nil, nil, err
		}
		for _, r := range traced {
			i := slices.IndexFunc(results, func(t TestResult) bool { return t.Name == r.Name && "data."+t.Package == r.Package })
			if i >= 0 && len(r.SubResults) == 0 {
				results[i].Message = failedAt(r)
			}
		}
	}
	slices.SortFunc(results, func(a, b TestResult) int {
		if d := strings.Compare(a.File, b.File); d != 0 {
			return d
		}
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return strings.Compare(a.Name, b.Name)
	})
	for _, f := range files {
		if f.Test {
			delete(mods, f.Path)
		}
	}
	return results, coverage(covered.Report(mods), slices.Sorted(maps.Keys(mods))), nil
}

func newRunner(mods map[string]*ast.Module, data map[string]any, s Schema, o TestOptions) *tester.Runner {
	c := compiler(s).WithEnablePrintStatements(true)
	fresh := make(map[string]*ast.Module, len(mods))
	for name, m := range mods {
		fresh[name] = m.Copy()
	}
	data["fixtures"] = o.Fixtures
	return tester.NewRunner().SetCompiler(c).SetStore(storeOf(data)).SetModules(fresh).SetTimeout(testTimeout).RaiseBuiltinErrors(true).CapturePrintOutput(true)
}

func runTests(ctx context.Context, r *tester.Runner) ([]*tester.Result, error) {
	ch, err := r.RunTests(ctx, nil)
	if err != nil {
		return nil, sorted(Errors(nil).Append(err))
	}
	var out []*tester.Result
	for t := range ch {
		out = append(out, t)
	}
	return out, ctx.Err()
}

// failedAt finds the expression of the test itself that stopped it: the furthest
// one that did not hold, since those before it may have been tried several times.
func failedAt(r *tester.Result) string {
	if r.Location == nil {
		return ""
	}
	first, last := r.Location.Row, r.Location.Row+strings.Count(string(r.Location.Text), "\n")
	var at *ast.Location
	for _, e := range r.Trace {
		if e.Op != topdown.FailOp || e.Node == nil {
			continue
		}
		loc := e.Node.Loc()
		if loc == nil || loc.File != r.Location.File || loc.Row < first || loc.Row > last {
			continue
		}
		if at == nil || loc.Row >= at.Row {
			at = loc
		}
	}
	if at == nil {
		return ""
	}
	text, _, _ := strings.Cut(string(at.Text), "\n")
	return fmt.Sprintf("line %d does not hold: %s", at.Row, text)
}

func testResult(r *tester.Result) TestResult {
	t := TestResult{
		Package: strings.TrimPrefix(r.Package, "data."), Name: r.Name, Duration: r.Duration,
		Output: strings.TrimSpace(string(r.Output)), Outcome: Pass,
	}
	if r.Location != nil {
		t.File, t.Line = r.Location.File, r.Location.Row
	}
	switch {
	case r.Skip:
		t.Outcome = Skipped
	case r.Error != nil:
		t.Outcome, t.Message = Broken, policyError(r.Error).Error()
	case r.Fail:
		t.Outcome = Fail
		for name, sub := range r.SubResults.Iter {
			if sub.Fail && len(sub.SubResults) == 0 {
				t.Message = strings.TrimPrefix(t.Message+"; case "+strings.Join(name, "/")+" fails", "; ")
			}
		}
	}
	return t
}

func coverage(r cover.Report, names []string) []Coverage {
	out := make([]Coverage, 0, len(names))
	for _, name := range names {
		f := r.Files[name]
		if f == nil {
			continue
		}
		c := Coverage{File: name, Covered: f.CoveredLines, Missed: f.NotCoveredLines, Lines: map[int]bool{}}
		for _, ranges := range [][]cover.Range{f.NotCovered, f.Covered} { // a line in both was evaluated
			for _, m := range ranges {
				for row := m.Start.Row; row <= m.End.Row; row++ {
					c.Lines[row] = f.IsCovered(row)
				}
			}
		}
		for _, m := range f.NotCovered {
			at := strconv.Itoa(m.Start.Row)
			if m.End.Row > m.Start.Row {
				at += fmt.Sprintf("-%d", m.End.Row)
			}
			if !slices.Contains(c.MissedAt, at) {
				c.MissedAt = append(c.MissedAt, at)
			}
		}
		out = append(out, c)
	}
	return out
}
