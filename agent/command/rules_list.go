package command

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"riposte/agent/rules"
)

func newRulesList() *cobra.Command {
	var output []string
	var configFile string
	cmd := &cobra.Command{
		Use:   "list [FILE...]",
		Short: "List the rules of files, in the order in which they are tried",
		Long: `List the rules of files, in the order in which they are tried.

The JSON is that of "falco -L": rules, macros and lists, with what each refers
to.`,
		Example: `  riposte rules list                       # the built-in rules
  riposte rules list -o json falco_rules.yaml`,
		SilenceUsage: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			format, err := outputFormat(output, "table", "json")
			if err != nil {
				return err
			}
			o, err := ruleOptions(configFile)
			if err != nil {
				return err
			}
			rs, err := load(cmd, o, args)
			if err != nil {
				return err
			}
			if format == "json" {
				return printJSON(cmd.OutOrStdout(), rs.Describe())
			}
			return listTable(cmd.OutOrStdout(), rs)
		},
	}
	addOutputFlag(cmd, &output, "table", "json")
	addConfigFlag(cmd, &configFile)
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
