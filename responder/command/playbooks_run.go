package command

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"riposte/responder/playbook"
	"riposte/responder/playbook/sandbox"
)

// testRun is how "test" was asked to run.
type testRun struct {
	run       string
	verbose   bool
	covered   bool
	threshold float64
	form      string
	watch     bool
}

func newPlaybooksTest() *cobra.Command {
	var t testRun
	c := &cobra.Command{
		Use:   "test [DIR...]",
		Short: "Run the Rego tests of playbooks",
		Long: "Run every rule whose name begins with test_ in the files *_test.rego, after the\n" +
			"checks of `playbooks check`. A test finds the JSON and YAML files beside it under\n" +
			"data.fixtures, by their names. The exit code is 1 if a test fails, if there is none,\n" +
			"or if the coverage is below the threshold. In a test a failing built-in is an error,\n" +
			"as it is in the responder.",
		Example: "  riposte playbooks test ./playbooks\n  riposte playbooks test -v --run 'web_test.*pod' ./playbooks\n  riposte playbooks test --threshold 90 -o junit ./playbooks",
		RunE: func(cmd *cobra.Command, args []string) error {
			if t.threshold < 0 || t.threshold > 100 {
				return fmt.Errorf("--threshold %g: give a percentage from 0 to 100", t.threshold)
			}
			if !slices.Contains(testForms, t.form) {
				return fmt.Errorf("--output: there is no form %q: use %s", t.form, strings.Join(testForms, ", "))
			}
			if t.watch {
				return t.follow(cmd, args)
			}
			return t.once(cmd, args)
		},
	}
	f := c.Flags()
	f.StringVar(&t.run, "run", "", "only the tests of whose package and name this pattern fits a part")
	f.BoolVarP(&t.verbose, "verbose", "v", false, "print the tests that pass too")
	f.BoolVar(&t.covered, "coverage", false, "print how many lines of each file the tests evaluated")
	f.Float64Var(&t.threshold, "threshold", 0, "fail below this coverage, in percent; implies --coverage")
	f.StringVarP(&t.form, "output", "o", "text", "form of the output: text, json or junit")
	f.BoolVarP(&t.watch, "watch", "w", false, "run them again whenever a file changes, until Ctrl-C")
	complete(c, "output", testForms)
	return c
}

// once runs the tests. Its error is the exit code's reason.
func (t testRun) once(cmd *cobra.Command, args []string) error {
	run, err := regexp.Compile(t.run)
	if err != nil {
		return fmt.Errorf("--run: %w", err)
	}
	if t.run == "" {
		run = nil
	}
	report, err := playbook.TestOnly(cmd.Context(), run, sources(args)...)
	if err != nil {
		return explain(cmd.ErrOrStderr(), err)
	}
	total := sandbox.Sum(report.Coverage)
	if err := t.print(cmd.OutOrStdout(), report, total); err != nil {
		return err
	}
	switch {
	case len(report.Tests) == 0 && run != nil:
		return fmt.Errorf("--run: no test fits %q", t.run)
	case len(report.Tests) == 0:
		return fmt.Errorf("no tests in %s: a test is a rule test_... in a file *_test.rego", strings.Join(args, ", "))
	case report.Failed() > 0:
		return fmt.Errorf("%s of %d failed", count(report.Failed(), "test"), len(report.Tests))
	case total.Percent() < t.threshold:
		return fmt.Errorf("the coverage is %.1f %%, --threshold wants %g %%", total.Percent(), t.threshold)
	}
	return nil
}

func (t testRun) print(out io.Writer, report playbook.Report, total sandbox.Coverage) error {
	covered := t.covered || t.threshold > 0
	switch t.form {
	case "json":
		return writeTestsJSON(out, report, covered)
	case "junit":
		return writeJUnit(out, report.Tests)
	}
	if err := printTests(out, report.Tests, t.verbose); err != nil || !covered {
		return err
	}
	return printCoverage(out, report.Coverage, total)
}

func printTests(out io.Writer, tests []sandbox.TestResult, verbose bool) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	passed := 0
	for _, t := range tests {
		if t.Outcome == sandbox.Pass {
			passed++
			if !verbose {
				continue
			}
		}
		fmt.Fprintf(w, "%s\t%s.%s\t%s\t%s:%d\n", t.Outcome, t.Package, t.Name, t.Duration.Round(10*time.Microsecond), t.File, t.Line)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, t := range tests {
		if t.Outcome == sandbox.Pass && (t.Output == "" || !verbose) {
			continue
		}
		for line := range strings.SplitSeq(strings.TrimSpace(t.Message+"\n"+t.Output), "\n") {
			if line != "" {
				fmt.Fprintf(out, "  %s: %s\n", t.Name, line)
			}
		}
	}
	_, err := fmt.Fprintf(out, "%d of %s passed\n", passed, count(len(tests), "test"))
	return err
}

func printCoverage(out io.Writer, files []sandbox.Coverage, total sandbox.Coverage) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	for _, f := range files {
		missed := ""
		if len(f.MissedAt) > 0 {
			missed = "not evaluated: " + strings.Join(f.MissedAt, ", ")
		}
		fmt.Fprintf(w, "%.1f %%\t%s\t%s\n", f.Percent(), f.File, missed)
	}
	fmt.Fprintf(w, "%.1f %%\ttotal\t\n", total.Percent())
	return w.Flush()
}
