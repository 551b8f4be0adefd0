package command

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"riposte/agent/rules"
	"riposte/agent/rules/defaults"
)

func newRulesCheck() *cobra.Command {
	var output []string
	var all bool
	var configFile string
	cmd := &cobra.Command{
		Use:   "check [FILE...]",
		Short: "Check rule files as falco -V does",
		Long: `Check rule files as "falco -V" does.

The files are loaded in order, as the agent loads them: a later one may use and
change what an earlier one defines. Each file is Ok, "Ok, with warnings" or
Invalid. An error is shown with the items that it is in, the line and a caret;
warnings go to standard error and do not make the check fail. Like Falco, a file
is read up to its first error: --all-errors goes on.`,
		Example: `  riposte rules check                      # the built-in rules
  riposte rules check falco_rules.yaml local.yaml
  riposte rules check -o json_output=true falco_rules.yaml`,
		SilenceUsage: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			format, err := outputFormat(output, "text", "json")
			if err != nil {
				return err
			}
			o, err := ruleOptions(configFile)
			if err != nil {
				return err
			}
			o.AllErrors = all
			report, _ := check(args, o)
			if format == "json" {
				if err := printJSON(cmd.OutOrStdout(), map[string]any{"falco_load_results": results(report)}); err != nil {
					return err
				}
			} else {
				printReport(cmd.OutOrStdout(), cmd.ErrOrStderr(), report)
			}
			return invalid(report)
		},
	}
	addOutputFlag(cmd, &output, "text", "json")
	addConfigFlag(cmd, &configFile)
	cmd.Flags().BoolVar(&all, "all-errors", false, "show every error of a file, not the first alone")
	return cmd
}

// invalid says how many errors there are, nil if none.
func invalid(report []rules.FileReport) error {
	n := 0
	for _, f := range report {
		n += len(f.Errors)
	}
	if n > 0 {
		return fmt.Errorf("%d error(s) in the rules: correct them and check again", n)
	}
	return nil
}

// check loads the named files, or the built-in rules. A file that cannot be read
// is a file with that error. The ruleset is nil if something is wrong.
func check(names []string, o rules.Options) ([]rules.FileReport, *rules.Ruleset) {
	if len(names) == 0 {
		r := o.Check(defaults.Files()...)
		return r.Files, r.Ruleset
	}
	var files []rules.File
	unread := map[int]*rules.Error{}
	for i, name := range names {
		content, err := readRuleFile(name)
		if err != nil {
			unread[i] = &rules.Error{File: name, Code: rules.CodeFileRead, Msg: err.Error(), Locations: []rules.Location{{Type: "rules content", File: name}}}
			continue
		}
		files = append(files, rules.File{Name: name, Content: content})
	}
	whole := o.Check(files...)
	read := whole.Files
	list := make([]rules.FileReport, 0, len(names))
	for i, name := range names {
		if e := unread[i]; e != nil {
			list = append(list, rules.FileReport{Name: name, Errors: []*rules.Error{e}})
			continue
		}
		list = append(list, read[0])
		read = read[1:]
	}
	if len(unread) > 0 {
		return list, nil
	}
	return list, whole.Ruleset
}

func printReport(out, errOut io.Writer, report []rules.FileReport) {
	for _, f := range report {
		printFile(out, f)
		if len(f.Warnings) > 0 {
			fmt.Fprintf(errOut, "%s: %d Warnings:\n", rules.Escape(f.Name), len(f.Warnings))
			for _, e := range f.Warnings {
				printProblem(errOut, e)
			}
		}
	}
}

func printFile(out io.Writer, f rules.FileReport) {
	name := rules.Escape(f.Name)
	switch {
	case len(f.Errors) > 0:
		fmt.Fprintf(out, "%s: Invalid\n%d Errors:\n", name, len(f.Errors))
	case len(f.Warnings) > 0:
		fmt.Fprintf(out, "%s: Ok, with warnings\n", name)
	default:
		fmt.Fprintf(out, "%s: Ok\n", name)
	}
	for _, e := range f.Errors {
		printProblem(out, e)
	}
}

// printProblem writes the way to the error, the line with a caret, and the code.
func printProblem(w io.Writer, e *rules.Error) {
	for i, l := range e.Locations {
		lead := "    "
		if i == 0 {
			lead = "In "
		}
		what := l.Type
		if l.Name != "" {
			what += " '" + rules.Escape(l.Name) + "'"
		}
		fmt.Fprintf(w, "%s%s: (%s:%d:%d)\n", lead, what, rules.Escape(l.File), l.Line, l.Column)
	}
	snippet := e.Snippet
	if snippet == "" {
		snippet = "<No context available>"
	}
	fmt.Fprintf(w, "------\n%s\n------\n%s (%s): %s\n", snippet, e.Code, rules.CodeText(e.Code), rules.Escape(e.Msg))
}

// The JSON of falco -V. Lines and columns count from 0 there.
type loadResult struct {
	Name           string        `json:"name"`
	Successful     bool          `json:"successful"`
	SchemaValid    bool          `json:"schema_valid"`
	SchemaWarnings []string      `json:"schema_warnings"`
	Errors         []loadProblem `json:"errors"`
	Warnings       []loadProblem `json:"warnings"`
}

type loadProblem struct {
	Code     string      `json:"code"`
	CodeDesc string      `json:"codedesc"`
	Message  string      `json:"message"`
	Context  loadContext `json:"context"`
}

type loadContext struct {
	Locations []loadLocation `json:"locations"`
	Snippet   string         `json:"snippet"`
}

type loadLocation struct {
	ItemType string       `json:"item_type"`
	ItemName string       `json:"item_name"`
	Position loadPosition `json:"position"`
}

type loadPosition struct {
	Name   string `json:"name"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
	Offset int    `json:"offset"`
}

func results(report []rules.FileReport) []loadResult {
	list := make([]loadResult, 0, len(report))
	for _, f := range report {
		list = append(list, loadResult{
			Name: f.Name, Successful: len(f.Errors) == 0, SchemaValid: len(f.Schema) == 0, SchemaWarnings: append([]string{}, f.Schema...),
			Errors: problems(f.Errors), Warnings: problems(f.Warnings),
		})
	}
	return list
}

func problems(list []*rules.Error) []loadProblem {
	out := make([]loadProblem, 0, len(list))
	for _, e := range list {
		p := loadProblem{Code: e.Code, CodeDesc: rules.CodeText(e.Code), Message: e.Msg, Context: loadContext{Snippet: e.Snippet + "\n"}}
		for _, l := range e.Locations {
			p.Context.Locations = append(p.Context.Locations, loadLocation{
				ItemType: l.Type, ItemName: l.Name,
				Position: loadPosition{Name: l.File, Line: max(l.Line-1, 0), Column: max(l.Column-1, 0), Offset: l.Offset},
			})
		}
		out = append(out, p)
	}
	return out
}
