package command

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"riposte/responder/api/client"
)

func newPlaybooksSource() *cobra.Command {
	var p printer
	c := &cobra.Command{
		Use: "source NAME", Short: "Print a playbook's text as the running Riposte has it", Args: cobra.ExactArgs(1), ValidArgsFunction: completePlaybooks,
		Long:    "Print the files of a playbook of the running Riposte: what decides there, whatever\nlies in a folder here.",
		Example: "  riposte playbooks source kill_container_on_critical\n  riposte playbooks source kill_container_on_critical -o jsonpath={.revision}",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := p.begin(cmd); err != nil {
				return err
			}
			return call(cmd, func(ctx context.Context, c *client.Client) error {
				s, err := c.PlaybookSource(ctx, args[0])
				if err != nil {
					return err
				}
				if !p.text() {
					return p.value(s)
				}
				for _, f := range s.Files {
					if _, err := fmt.Fprintf(p.out, "# %s, revision %.12s, of %s\n", visible(f.Path), visible(s.Revision), visible(s.Source)); err != nil {
						return err
					}
					for line := range strings.Lines(f.Text) {
						if _, err := fmt.Fprintln(p.out, tabbed(strings.TrimRight(line, "\r\n"))); err != nil {
							return err
						}
					}
				}
				return nil
			})
		},
	}
	ConnectFlags(c)
	printerFlags(c, &p)
	return c
}

// tabbed is visible that leaves the tabs at the beginning, which Rego is written with.
func tabbed(line string) string {
	rest := strings.TrimLeft(line, "\t")
	return line[:len(line)-len(rest)] + visible(rest)
}
