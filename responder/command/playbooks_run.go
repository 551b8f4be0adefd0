package command

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"riposte/responder/playbook"
	"riposte/responder/playbook/sandbox"
)

func newPlaybooksTest() *cobra.Command {
	var (
		covered   bool
		threshold float64
	)
	c := &cobra.Command{
		Use:   "test [DIR...]",
		Short: "Run the Rego tests of playbooks",
		Long: "Run every rule whose name begins with test_ in the files *_test.rego, after the\n" +
			"checks of `playbooks check`. The exit code is 1 if a test fails, if there is none,\n" +
			"or if the coverage is below the threshold. In a test a failing built-in is an error,\n" +
			"as it is in the responder.",
		Example: "  riposte playbooks test ./playbooks\n  riposte playbooks test --coverage --threshold 90 ./playbooks",
		RunE: func(cmd *cobra.Command, args []string) error {
			if threshold < 0 || threshold > 100 {
				return fmt.Errorf("--threshold %g: give a percentage from 0 to 100", threshold)
			}
			report, err := playbook.Test(cmd.Context(), sources(args)...)
			if err != nil {
				return explain(cmd.ErrOrStderr(), err)
			}
			if err := printTests(cmd.OutOrStdout(), report.Tests); err != nil {
				return err
			}
			total, err := sum(report.Coverage), error(nil)
			if covered || threshold > 0 {
				err = printCoverage(cmd.OutOrStdout(), report.Coverage, total)
			}
			switch {
			case err != nil:
				return err
			case len(report.Tests) == 0:
				return fmt.Errorf("no tests in %s: a test is a rule test_... in a file *_test.rego", strings.Join(args, ", "))
			case report.Failed() > 0:
				return fmt.Errorf("%s of %d failed", count(report.Failed(), "test"), len(report.Tests))
			case total.Percent() < threshold:
				return fmt.Errorf("the coverage is %.1f %%, --threshold wants %g %%", total.Percent(), threshold)
			}
			return nil
		},
	}
	c.Flags().BoolVar(&covered, "coverage", false, "print how many lines of each file the tests evaluated")
	c.Flags().Float64Var(&threshold, "threshold", 0, "fail below this coverage, in percent; implies --coverage")
	return c
}

func printTests(out io.Writer, tests []sandbox.TestResult) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	passed := 0
	for _, t := range tests {
		if t.Outcome == sandbox.Pass {
			passed++
		}
		fmt.Fprintf(w, "%s\t%s.%s\t%s\t%s:%d\n", t.Outcome, t.Package, t.Name, t.Duration.Round(10*time.Microsecond), t.File, t.Line)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, t := range tests {
		if t.Outcome == sandbox.Pass && t.Output == "" {
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

func sum(files []sandbox.Coverage) sandbox.Coverage {
	var total sandbox.Coverage
	for _, f := range files {
		total.Covered += f.Covered
		total.Missed += f.Missed
	}
	return total
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
