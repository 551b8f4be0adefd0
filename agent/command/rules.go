// Package command holds the commands of the agent half.
package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"riposte/agent/rules"
	"riposte/agent/rules/defaults"
)

// NewRules makes the command "rules", which looks at rule files without an agent.
func NewRules() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rules",
		Short: "Check and list detection rules",
		Long: `Check and list detection rules, written in Falco's language.

Without a file the commands look at the rules that Riposte brings along.`,
	}
	cmd.AddCommand(newRulesCheck(), newRulesList())
	return cmd
}

func newRulesCheck() *cobra.Command {
	return &cobra.Command{
		Use:   "check [FILE...]",
		Short: "Check rule files and show every error where it is",
		Long: `Check rule files and show every error where it is.

The files are loaded in order, as the agent loads them: a later one may use and
change what an earlier one defines. Standard output has one line a file, Ok or
Invalid, and every error with the line that it is in; warnings go to standard
error and do not make the check fail.`,
		Example: `  riposte rules check                      # the built-in rules
  riposte rules check falco_rules.yaml local.yaml`,
		SilenceUsage: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			files, err := ruleFiles(args)
			if err != nil {
				return err
			}
			rs, err := rules.Load(files...)
			printCheck(cmd.OutOrStdout(), cmd.ErrOrStderr(), files, rs, err)
			if n := len(rules.Errors(err)); n > 0 {
				return fmt.Errorf("%d error(s) in the rules: correct them and check again", n)
			}
			return err
		},
	}
}

// ruleFiles reads the named files, or gives the built-in rules. All that cannot
// be read are told at once.
func ruleFiles(names []string) ([]rules.File, error) {
	if len(names) == 0 {
		return defaults.Files(), nil
	}
	files := make([]rules.File, 0, len(names))
	var errs []error
	for _, name := range names {
		content, err := readRuleFile(name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		files = append(files, rules.File{Name: name, Content: content})
	}
	return files, errors.Join(errs...)
}

func readRuleFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read rules: %w", err)
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, rules.MaxFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read rules: %w", err)
	}
	return content, nil
}

func printCheck(out, errOut io.Writer, files []rules.File, rs *rules.Ruleset, err error) {
	var warnings []*rules.Error
	if rs != nil {
		warnings = rs.Warnings
	}
	bad := byFile(rules.Errors(err))
	odd := byFile(warnings)
	for _, f := range files {
		name := rules.Escape(f.Name)
		switch errs := bad[f.Name]; {
		case len(errs) == 1:
			fmt.Fprintf(out, "%s: Invalid, 1 error\n", name)
		case len(errs) > 1:
			fmt.Fprintf(out, "%s: Invalid, %d errors\n", name, len(errs))
		case len(odd[f.Name]) > 0:
			fmt.Fprintf(out, "%s: Ok, with warnings\n", name)
		case err != nil:
			fmt.Fprintf(out, "%s: not checked to its end, because of errors elsewhere\n", name)
		default:
			fmt.Fprintf(out, "%s: Ok\n", name)
		}
		for _, e := range bad[f.Name] {
			printProblem(out, e)
		}
		for _, e := range odd[f.Name] {
			printProblem(errOut, e)
		}
	}
}

func byFile(list []*rules.Error) map[string][]*rules.Error {
	m := map[string][]*rules.Error{}
	for _, e := range list {
		m[e.File] = append(m[e.File], e)
	}
	return m
}

func printProblem(w io.Writer, e *rules.Error) {
	fmt.Fprintf(w, "  %s: %s\n", e.Code, rules.Escape(e.Error()))
	if e.Snippet != "" {
		fmt.Fprintf(w, "    %s\n", strings.ReplaceAll(e.Snippet, "\n", "\n    "))
	}
}

func newRulesList() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "list [FILE...]",
		Short: "List the rules of files, in the order in which they are tried",
		Example: `  riposte rules list                       # the built-in rules
  riposte rules list -o json falco_rules.yaml`,
		SilenceUsage: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if format != "table" && format != "json" {
				return fmt.Errorf("unknown output %q: use table or json", format)
			}
			files, err := ruleFiles(args)
			if err != nil {
				return err
			}
			rs, err := rules.Load(files...)
			if err != nil {
				printCheck(cmd.ErrOrStderr(), cmd.ErrOrStderr(), files, rs, err)
				return fmt.Errorf("%d error(s) in the rules: correct them and list again", len(rules.Errors(err)))
			}
			if format == "json" {
				return listJSON(cmd.OutOrStdout(), rs)
			}
			return listTable(cmd.OutOrStdout(), rs)
		},
	}
	cmd.Flags().StringVarP(&format, "output", "o", "table", "output format: table or json")
	return cmd
}

func listTable(out io.Writer, rs *rules.Ruleset) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PRIORITY\tENABLED\tRULE\tTAGS")
	for _, r := range rs.Rules() {
		fmt.Fprintf(w, "%s\t%t\t%s\t%s\n", r.Priority, r.Enabled, rules.Escape(r.Name), rules.Escape(strings.Join(r.Tags, ",")))
	}
	return w.Flush()
}

// listed is one rule as "rules list -o json" prints it.
type listed struct {
	Name       string   `json:"name"`
	Priority   string   `json:"priority"`
	Enabled    bool     `json:"enabled"`
	Source     string   `json:"source"`
	Desc       string   `json:"description"`
	Condition  string   `json:"condition"`
	Output     string   `json:"output"`
	Tags       []string `json:"tags"`
	EventTypes []string `json:"event_types"`
	File       string   `json:"file"`
	Line       int      `json:"line"`
}

func listJSON(out io.Writer, rs *rules.Ruleset) error {
	list := make([]listed, 0, len(rs.Rules()))
	for _, r := range rs.Rules() {
		tags := r.Tags
		if tags == nil {
			tags = []string{}
		}
		list = append(list, listed{
			Name: r.Name, Priority: r.Priority.String(), Enabled: r.Enabled, Source: r.Source, Desc: r.Desc, Condition: r.Condition,
			Output: r.Output, Tags: tags, EventTypes: r.EventTypes, File: r.File, Line: r.Line,
		})
	}
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(list)
}
