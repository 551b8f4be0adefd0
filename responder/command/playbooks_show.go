package command

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"riposte/responder/api"
	"riposte/responder/api/client"
)

func newPlaybooksShow() *cobra.Command {
	var p printer
	c := &cobra.Command{
		Use: "show NAME", Short: "Show a loaded playbook with its mode and how much its tests evaluate", Args: cobra.ExactArgs(1), ValidArgsFunction: completePlaybooks,
		Long: "Show a playbook of the running Riposte: its mode in force and why, where it is from, and\n" +
			"how much of it the tests evaluate that are loaded with it. They run there when somebody\n" +
			"asks first, which can take some seconds.",
		Example: "  riposte playbooks show kill_container_on_critical\n  riposte playbooks show kill_container_on_critical -o jsonpath={.coverage.percent}",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := p.begin(cmd); err != nil {
				return err
			}
			return call(cmd, func(ctx context.Context, c *client.Client) error { return showPlaybook(ctx, c, &p, args[0]) })
		},
	}
	ConnectFlags(c)
	printerFlags(c, &p)
	return c
}

func showPlaybook(ctx context.Context, c *client.Client, p *printer, name string) error {
	b, err := c.Playbook(ctx, name)
	if err != nil {
		return err
	}
	covered, err := c.PlaybookCoverage(ctx, name)
	if err != nil {
		return err
	}
	if !p.text() {
		return p.value(struct {
			api.PlaybookStatus
			Coverage api.PlaybookCoverage `json:"coverage"`
		}{b, covered})
	}
	p.widths = []int{10, 0}
	if err := p.rows([][]string{
		{"Playbook", b.Name},
		{"Title", b.Title},
		{"About", b.Description},
		{"Mode", b.Mode},
		{"Declared", b.Declared},
		{"Why", strings.TrimPrefix(whyMode(b), "-")},
		{"Revision", b.Revision},
		{"Source", b.Source},
		{"Tests", testsOf(covered)},
		{"Coverage", fmt.Sprintf("%.1f %%", covered.Percent)},
	}); err != nil {
		return err
	}
	if len(covered.Files) == 0 {
		return nil
	}
	if _, err := fmt.Fprintln(p.out); err != nil {
		return err
	}
	rows := make([][]string, len(covered.Files))
	for i, f := range covered.Files {
		rows[i] = []string{f.File, fmt.Sprintf("%.1f %%", f.Percent), dash(ranges(f.Missed))}
	}
	p.widths = nil
	return p.table([]string{"FILE", "COVERAGE", "LINES NOT EVALUATED"}, rows)
}

func testsOf(c api.PlaybookCoverage) string {
	switch {
	case c.Error != "":
		return "cannot run: " + c.Error
	case c.Failed > 0:
		return fmt.Sprintf("%d of %d fail", c.Failed, c.Tests)
	case c.Tests == 0:
		return "none are loaded"
	}
	return count(c.Tests, "test") + ", all pass"
}

// ranges writes sorted numbers as "3, 5-7".
func ranges(lines []int) string {
	var parts []string
	for i := 0; i < len(lines); {
		j := i
		for j+1 < len(lines) && lines[j+1] == lines[j]+1 {
			j++
		}
		part := strconv.Itoa(lines[i])
		if j > i {
			part += "-" + strconv.Itoa(lines[j])
		}
		parts = append(parts, part)
		i = j + 1
	}
	return strings.Join(parts, ", ")
}
