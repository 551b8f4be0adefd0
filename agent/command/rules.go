// Package command holds the commands of the agent half.
package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"riposte/agent/config"
	"riposte/agent/rules"
	"riposte/agent/rules/defaults"
)

// NewRules makes the command "rules", which looks at rule files without an agent.
func NewRules() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rules",
		Short: "Check, list, explain and test detection rules",
		Long: `Check, list, explain and test detection rules, written in Falco's language.

Without a file the commands look at the rules that Riposte brings along.`,
	}
	cmd.AddCommand(newRulesCheck(), newRulesList(), newRulesFields(), newRulesExplain(), newRulesTest(), newRulesTrace())
	return cmd
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

// load loads the named files for a command that needs all of them to be right.
func load(cmd *cobra.Command, o rules.Options, names []string) (*rules.Ruleset, error) {
	files, err := ruleFiles(names)
	if err != nil {
		return nil, err
	}
	report := o.Check(files...)
	if report.Err() == nil {
		return report.Ruleset, nil
	}
	n := 0
	for _, f := range report.Files {
		if len(f.Errors) > 0 {
			n++
			printFile(cmd.ErrOrStderr(), f)
		}
	}
	return nil, fmt.Errorf("%d file(s) with errors in the rules: correct them first", n)
}

// addConfigFlag lets a command take what a configuration says about rules.
func addConfigFlag(cmd *cobra.Command, name *string) {
	cmd.Flags().StringVarP(name, "config", "c", "", "configuration file whose rules selection, append_output and static_fields hold (default none)")
}

func ruleOptions(configFile string) (rules.Options, error) {
	if configFile == "" {
		return rules.Options{}, nil
	}
	cfg, err := config.Load(config.Options{File: configFile, Lookup: os.LookupEnv})
	if err != nil {
		return rules.Options{}, explain(err)
	}
	opt := options(cfg, nil, nil)
	return opt.RuleOptions(), nil
}

// outputFormat reads the values of -o. Falco's json_output=true means json.
func outputFormat(values []string, known ...string) (string, error) {
	format := known[0]
	for _, v := range values {
		switch {
		case slices.Contains(known, v):
			format = v
		case v == "json_output=true" && slices.Contains(known, "json"):
			format = "json"
		case v == "json_output=false":
			format = known[0]
		default:
			return "", fmt.Errorf("unknown output %q: use %s", v, strings.Join(known, " or "))
		}
	}
	return format, nil
}

func addOutputFlag(cmd *cobra.Command, values *[]string, known ...string) {
	cmd.Flags().StringArrayVarP(values, "output", "o", nil, fmt.Sprintf("output format: %s (default %s); json_output=true means json, as in Falco", strings.Join(known, " or "), known[0]))
	if err := cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(known, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // the flag is defined above
	}
}

func printJSON(out io.Writer, v any) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
