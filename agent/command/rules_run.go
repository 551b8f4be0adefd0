package command

import (
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"riposte/agent/event"
	"riposte/agent/rules"
	"riposte/agent/rules/ruletest"
)

func newRulesTest() *cobra.Command {
	var ruleNames []string
	var verbose bool
	cmd := &cobra.Command{
		Use:   "test FILE...",
		Short: "Run tests of rules: given events, expect these alerts or none",
		Long: `Run tests of rules: given events, expect these alerts or none.

docs/rules.md describes the language of the test files. A file that names no
rules of its own tests those of --rules, or else the built-in ones.`,
		Example: `  riposte rules test --rules my_rules.yaml my_rules.ruletest`,
		Args:    cobra.MinimumNArgs(1), SilenceUsage: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			failed, total := 0, 0
			for _, name := range args {
				results, err := runTests(name, ruleNames)
				if err != nil {
					return err
				}
				for _, r := range results {
					total++
					if len(r.Failures) > 0 {
						failed++
					}
					printResult(cmd.OutOrStdout(), r, verbose)
				}
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%d of %d case(s) passed\n", total-failed, total)
			if failed > 0 {
				return fmt.Errorf("%d of %d test case(s) failed", failed, total)
			}
			return nil
		},
	}
	cmd.Flags().StringArrayVarP(&ruleNames, "rules", "r", nil, "rules file, may be repeated (default the built-in rules)")
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "show the cases that passed too")
	return cmd
}

func runTests(name string, ruleNames []string) ([]ruletest.Result, error) {
	files, err := ruleFiles(ruleNames)
	if err != nil {
		return nil, err
	}
	content, err := readRuleFile(name)
	if err != nil {
		return nil, err
	}
	return ruletest.Run(ruletest.Options{Rules: files}, name, content)
}

func printResult(w io.Writer, r ruletest.Result, verbose bool) {
	switch {
	case len(r.Failures) > 0:
		fmt.Fprintf(w, "FAIL %s\n", rules.Escape(r.Name))
		for _, f := range r.Failures {
			fmt.Fprintf(w, "  %s\n", rules.Escape(f.Error()))
		}
	case verbose:
		fmt.Fprintf(w, "ok   %s\n", rules.Escape(r.Name))
	}
}

func newRulesTrace() *cobra.Command {
	var ruleNames []string
	var file, name string
	cmd := &cobra.Command{
		Use:   "trace RULE --event FILE",
		Short: "Show which part of a rule's condition was true or false for an event",
		Long: `Show which part of a rule's condition was true or false for an event.

The events are those of a test file, in the language of "riposte rules test":
docs/rules.md describes it. Its expectations do not matter here.`,
		Example: `  riposte rules trace "Terminal shell in a container" --event shell.ruletest`,
		Args:    cobra.ExactArgs(1), SilenceUsage: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			results, err := runTests(file, ruleNames)
			if err != nil {
				return err
			}
			n := 0
			for _, r := range results {
				if name != "" && r.Name != name {
					continue
				}
				for _, e := range r.Events {
					n++
					if err := traceEvent(cmd, args[0], ruleNames, r, e, n); err != nil {
						return err
					}
				}
			}
			if n == 0 {
				return fmt.Errorf("no event in %s", file)
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringArrayVarP(&ruleNames, "rules", "r", nil, "rules file, may be repeated (default the built-in rules)")
	f.StringVarP(&file, "event", "e", "", "test file with the event (required)")
	f.StringVar(&name, "case", "", "only the events of the case of that name")
	if err := cmd.MarkFlagRequired("event"); err != nil {
		panic(err) // the flag is defined above
	}
	return cmd
}

func traceEvent(cmd *cobra.Command, ruleName string, ruleNames []string, result ruletest.Result, e *event.Event, n int) (err error) {
	rs := result.Ruleset
	if rs == nil {
		if rs, err = load(cmd, rules.Options{}, ruleNames); err != nil {
			return err
		}
	}
	r, err := findRule(rs, ruleName)
	if err != nil {
		return err
	}
	p, err := rs.Explain(r)
	if err != nil {
		return err
	}
	w := cmd.OutOrStdout()
	fmt.Fprintf(w, "Event %d (%s, case %s): %s\n", n, e.Type, rules.Escape(result.Name), verdict(r, p, e))
	views := []bool{false}
	if e.NameDiffers() {
		views = append(views, true)
	}
	for _, real := range views {
		e.RealView = real
		if real {
			fmt.Fprintln(w, "With the file's real path as fd.name:")
		}
		tracePart(w, p, e, "  ")
		fmt.Fprintln(w, "Because:")
		for _, why := range p.Reasons(e) {
			fmt.Fprintf(w, "  %-5t  %s  (%s)\n", why.True(e), partText(why, false), why.Values(e))
		}
	}
	e.RealView = false
	return nil
}

func verdict(r *rules.Rule, p *rules.Part, e *event.Event) string {
	switch {
	case !p.True(e):
		return "the condition is false"
	case !slices.Contains(r.Types, e.Type):
		return "the condition is true, but the rule is not asked for such events"
	case !r.Enabled:
		return "the condition is true, but the rule is disabled"
	}
	return "the condition is true"
}

func tracePart(w io.Writer, p *rules.Part, e *event.Event, indent string) {
	line := fmt.Sprintf("%-5t  %s%s", p.True(e), indent, partText(p, false))
	if v := p.Values(e); v != "" {
		line += "  (" + v + ")"
	}
	fmt.Fprintln(w, line)
	for _, sub := range p.Parts {
		tracePart(w, sub, e, indent+"  ")
	}
}
