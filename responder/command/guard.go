package command

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"riposte/responder/api"
	"riposte/responder/api/client"
	"riposte/responder/guard"
)

// NewGuard is the command "guard".
func NewGuard() *cobra.Command {
	c := &cobra.Command{
		Use: "guard", Short: "Show how much of the guard's budgets is used, check rules for it", Args: cobra.NoArgs, RunE: help,
		Example: "  riposte guard budgets\n  riposte guard check ./guard",
	}
	ConnectFlags(c)
	var p printer
	budgets := &cobra.Command{
		Use: "budgets", Short: "List the budgets that are in use, the fullest first", Args: cobra.NoArgs,
		Long: "List the guard's budgets of which something is used now: on how many different\n" +
			"targets a playbook acted within the window, or how many were acted on in a workload,\n" +
			"in a namespace, on a node or in a cluster.",
		Example: "  riposte guard budgets\n  riposte guard budgets -o json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := p.begin(cmd); err != nil {
				return err
			}
			return call(cmd, func(ctx context.Context, c *client.Client) error {
				all, err := c.Budgets(ctx)
				if err != nil {
					return err
				}
				return list(&p, []string{"BUDGET", "OF", "CLUSTER", "USED", "WITHIN"}, all, func(b api.Budget) []string {
					window := time.Duration(b.WindowSeconds * float64(time.Second))
					return []string{b.Scope, dash(b.Name), b.Cluster, fmt.Sprintf("%d of %d", b.Used, b.Limit), window.String()}
				})
			})
		},
	}
	printerFlags(budgets, &p)
	c.AddCommand(budgets, newGuardCheck())
	return c
}

func newGuardCheck() *cobra.Command {
	return &cobra.Command{
		Use: "check DIR...", Short: "Compile guard rules of your own", Args: cobra.MinimumNArgs(1),
		Long:    "Compile guard rules as the responder does with --guard-policy. Every error is printed\nwith its file and line, and the exit code is then 1.",
		Example: "  riposte guard check ./guard",
		RunE: func(cmd *cobra.Command, args []string) error {
			names, err := guard.CheckRego(sources(args)...)
			if err != nil {
				return explainIn(cmd.ErrOrStderr(), err, "the guard rules")
			}
			for _, name := range names {
				fmt.Fprintf(cmd.OutOrStdout(), "OK  %s\n", name)
			}
			if len(names) == 0 {
				return fmt.Errorf("no guard rules in %s: one is a .rego file of package riposte.guard.<name>", strings.Join(args, ", "))
			}
			return nil
		},
	}
}
