package command

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/spf13/cobra"

	"riposte/responder/api"
	"riposte/responder/playbook"
	"riposte/responder/playbook/sandbox"
)

func newPlaybooksCoverage() *cobra.Command {
	var form string
	c := &cobra.Command{
		Use: "coverage [DIR...]", Short: "Show line by line what the tests evaluate",
		Long: "Run the tests and print each file that is no test: + before a line that was evaluated,\n" +
			"- before one that was not, nothing before one that cannot be. `riposte playbooks show`\n" +
			"has the coverage of a playbook that is loaded.",
		Example: "  riposte playbooks coverage ./playbooks\n  riposte playbooks coverage -o json ./playbooks",
		RunE: func(cmd *cobra.Command, args []string) error {
			if form != "text" && form != "json" {
				return fmt.Errorf("--output: there is no form %q: use text, json", form)
			}
			src := sources(args)
			report, err := playbook.Test(cmd.Context(), src...)
			if err != nil {
				return explain(cmd.ErrOrStderr(), err)
			}
			if n := report.Failed(); n > 0 {
				fmt.Fprintf(cmd.ErrOrStderr(), "%s of %d failed: `riposte playbooks test` says which\n", count(n, "test"), len(report.Tests))
			}
			if form == "json" {
				return writeJSON(cmd.OutOrStdout(), coverageOf(report.Coverage))
			}
			for _, f := range report.Coverage {
				if err := printGutter(cmd.OutOrStdout(), src, f); err != nil {
					return err
				}
			}
			return printCoverage(cmd.OutOrStdout(), report.Coverage, sandbox.Sum(report.Coverage))
		},
	}
	c.Flags().StringVarP(&form, "output", "o", "text", "form of the output: text or json")
	complete(c, "output", []string{"text", "json"})
	return c
}

func coverageOf(files []sandbox.Coverage) []api.FileCoverage {
	out := make([]api.FileCoverage, len(files))
	for i, f := range files {
		out[i] = api.FileCoverage{File: f.File, Percent: f.Percent()}
		out[i].Covered, out[i].Missed = f.Ordered()
	}
	return out
}

func printGutter(out io.Writer, sources []sandbox.Source, f sandbox.Coverage) error {
	text, err := textOf(sources, f.File)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s, %.1f %%\n", f.File, f.Percent())
	line := 0
	for l := range bytes.Lines(text) {
		line++
		mark := " "
		if covered, counts := f.Lines[line]; counts {
			mark = map[bool]string{true: "+", false: "-"}[covered]
		}
		fmt.Fprintf(out, "%s %4d  %s\n", mark, line, bytes.TrimRight(l, "\r\n"))
	}
	_, err = fmt.Fprintln(out)
	return err
}

func textOf(sources []sandbox.Source, file string) ([]byte, error) {
	for _, s := range sources {
		rel, inside := file, true
		if base := path.Clean(s.Name); base != "." {
			rel, inside = strings.CutPrefix(file, base+"/")
		}
		if inside {
			return fs.ReadFile(s.FS, rel)
		}
	}
	return nil, fmt.Errorf("%s is in none of the directories", file)
}
