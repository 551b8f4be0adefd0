package command

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"riposte/responder/api/client"
)

func newActionsCancel() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use: "cancel ID", Short: "End a planned action before it is begun", Args: cobra.ExactArgs(1),
		ValidArgsFunction: completeActions(client.ActionFilter{State: "planned"}, anyAction),
		Long: "End a planned action before it is begun. One that is under way cannot be cancelled:\n" +
			"\"actions lift\" undoes it afterwards. One that waits for people is rejected instead.\nThis is recorded with the reason.",
		Example: "  riposte actions cancel 6f0c2b7a91de --reason \"our own test\"",
		RunE: func(cmd *cobra.Command, args []string) error {
			return call(cmd, func(ctx context.Context, c *client.Client) error {
				a, err := c.Cancel(ctx, args[0], reason)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s of %s is %s.\n", a.Type, visible(a.TargetName), visible(a.State))
				return err
			})
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why; it is recorded")
	must(c.MarkFlagRequired("reason"))
	return c
}
