package command

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"riposte/agent"
	"riposte/agent/config"
	"riposte/agent/event"
	"riposte/agent/rules"
)

// ask are the flags of Falco that ask something instead of running the agent.
type ask struct {
	validate   []string
	describe   bool
	rule       string
	list       string
	names      bool
	listEvents bool
	support    bool
}

// askFlags defines Falco's flags that are no keys of the configuration.
func askFlags(f *pflag.FlagSet) {
	f.Bool("dry-run", false, "check the configuration and the rules, and end")
	f.StringArrayP("validate", "V", nil, "check a rules file and end, may be repeated; with json_output=true in JSON")
	f.BoolP("describe-rules", "L", false, "list the loaded rules and end; with json_output=true in JSON, macros and lists too")
	f.StringP("describe-rule", "l", "", "show one loaded rule and end")
	f.String("list", "", "list the fields and end; --list=SOURCE those of one source")
	f.Lookup("list").NoOptDefVal = "all"
	f.BoolP("names-only", "N", false, "with --list, only the names")
	f.Bool("list-events", false, "list the events that are captured and end")
	f.Bool("support", false, "print what a report of a problem needs, and end: configuration and rules are in it")
	f.IntP("seconds", "M", 0, "end after so many seconds")
	f.BoolP("unbuffered", "U", false, "as Falco takes it: every line is written at once anyway")
}

func asked(f *pflag.FlagSet) (a ask, err error) {
	var errs [7]error
	a.validate, errs[0] = f.GetStringArray("validate")
	a.describe, errs[1] = f.GetBool("describe-rules")
	a.rule, errs[2] = f.GetString("describe-rule")
	a.list, errs[3] = f.GetString("list")
	a.names, errs[4] = f.GetBool("names-only")
	a.listEvents, errs[5] = f.GetBool("list-events")
	a.support, errs[6] = f.GetBool("support")
	return a, errors.Join(errs[:]...)
}

// seconds is how long the agent shall run, 0 without end.
func seconds(f *pflag.FlagSet) time.Duration {
	n, err := f.GetInt("seconds")
	if err != nil || n < 0 {
		return 0
	}
	return time.Duration(n) * time.Second
}

// answer prints what a flag asks for. done says that this was all.
func answer(cmd *cobra.Command, version string, cfg *config.Config) (done bool, err error) {
	a, err := asked(cmd.Flags())
	if err != nil {
		return true, err
	}
	out := cmd.OutOrStdout()
	opt := options(cfg, nil, nil)
	opt.RuleFilesOptional = !cmd.Flags().Changed("rules")
	switch {
	case a.list != "":
		return true, listFields(out, a)
	case a.listEvents:
		for _, t := range event.Types() {
			fmt.Fprintln(out, t)
		}
		return true, nil
	case len(a.validate) > 0:
		return true, validate(cmd, a, cfg, &opt)
	case a.describe || a.rule != "":
		set, _, err := opt.LoadRules()
		if err != nil {
			return true, explain(err)
		}
		d, err := described(set, a.rule)
		if err != nil {
			return true, err
		}
		return true, printDescription(out, d, cfg.JSONOutput)
	case a.support:
		return true, support(out, version, cfg, &opt)
	}
	return false, nil
}

func listFields(out io.Writer, a ask) error {
	source := a.list
	if source == "all" {
		source = ""
	}
	list, err := pickFields("", source, false)
	if err != nil {
		return err
	}
	if !a.names {
		return fieldTable(out, list)
	}
	for _, f := range list {
		fmt.Fprintln(out, f.Name)
	}
	return nil
}

// validate checks rule files with what the configuration says about rules.
func validate(cmd *cobra.Command, a ask, cfg *config.Config, opt *agent.Options) error {
	list, set := check(a.validate, opt.RuleOptions())
	out := cmd.OutOrStdout()
	var d *rules.Description
	if set != nil && (a.describe || a.rule != "") {
		var err error
		if d, err = described(set, a.rule); err != nil {
			return err
		}
	}
	if cfg.JSONOutput {
		answer := map[string]any{"falco_load_results": results(list)}
		if d != nil {
			answer["falco_describe_results"] = d
		}
		if err := printJSON(out, answer); err != nil {
			return err
		}
		return invalid(list)
	}
	printReport(out, cmd.ErrOrStderr(), list)
	if d != nil {
		fmt.Fprintln(out)
		if err := printDescription(out, d, false); err != nil {
			return err
		}
	}
	return invalid(list)
}

// described is all of a ruleset, or one rule alone.
func described(set *rules.Ruleset, rule string) (*rules.Description, error) {
	d := set.Describe()
	if rule == "" {
		return d, nil
	}
	found, err := findRule(set, rule)
	if err != nil {
		return nil, err
	}
	for i, r := range d.Rules {
		if r.Info.Name == found.Name {
			d.Rules = d.Rules[i : i+1]
			break
		}
	}
	d.Macros, d.Lists = []rules.MacroEntry{}, []rules.ListEntry{}
	return d, nil
}

func printDescription(out io.Writer, d *rules.Description, asJSON bool) error {
	if asJSON {
		return printJSON(out, d)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "RULE\tDESCRIPTION")
	for _, r := range d.Rules {
		fmt.Fprintf(w, "%s\t%s\n", rules.Escape(r.Info.Name), rules.Escape(strings.TrimSpace(r.Info.Description)))
	}
	return w.Flush()
}

// dryRun checks all that can be checked without starting.
func dryRun(out io.Writer, opt agent.Options) error {
	if err := opt.Complete(); err != nil {
		return err
	}
	if err := opt.Check(); err != nil {
		return err
	}
	set, _, err := opt.LoadRules()
	if err != nil {
		return explain(err)
	}
	fmt.Fprintf(out, "The configuration and %d rules are right.\n", set.Len())
	return nil
}

// support prints Falco's keys, so that people know where to look.
func support(out io.Writer, version string, cfg *config.Config, opt *agent.Options) error {
	type variant struct {
		Content string `json:"content"`
	}
	type file struct {
		Name     string    `json:"name"`
		Variants []variant `json:"variants"`
	}
	files, _, err := opt.ReadRules()
	if err != nil {
		return err
	}
	list := make([]file, 0, len(files))
	for _, f := range files {
		list = append(list, file{f.Name, []variant{{string(f.Content)}}})
	}
	var text strings.Builder
	for _, f := range cfg.Files {
		text.Write(f.Content)
	}
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	kernel, err := os.ReadFile("/proc/version")
	if err != nil {
		kernel = nil // there is none where the agent cannot run either
	}
	return printJSON(out, map[string]any{
		"version": version, "engine_info": map[string]string{"engine_version": rules.EngineVersion},
		"system_info": map[string]string{"sysname": runtime.GOOS, "nodename": host, "version": string(bytes.TrimSpace(kernel)), "machine": runtime.GOARCH},
		"cmdline":     strings.Join(os.Args, " "), "config": text.String(), "rules_files": list,
	})
}
