package command

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"riposte/responder/api"
	"riposte/responder/api/client"
)

func newActionsLift() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use: "lift ID", Short: "End an action's effect now", Args: cobra.ExactArgs(1), ValidArgsFunction: completeActions(client.ActionFilter{}, liftable),
		Long:    "End an action's effect now, if it can be undone: bring back what was before.\nWhat somebody else has changed since stays as it is. This is recorded with the\nreason; a kill switch does not stop it. \"actions show\" says how it went.",
		Example: "  riposte actions lift 6f0c2b7a91de --reason \"false alarm, INC-1234\"",
		RunE: func(cmd *cobra.Command, args []string) error {
			return call(cmd, func(ctx context.Context, c *client.Client) error {
				a, err := c.Lift(ctx, args[0], reason)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "The effect of %s on %s is being lifted.\n", a.Type, visible(a.TargetName))
				return err
			})
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why; it is recorded")
	must(c.MarkFlagRequired("reason"))
	return c
}

// liftRows say when an effect ends or ended, and how.
func liftRows(a api.Action) (rows [][]string) {
	switch {
	case a.LiftedAt != nil:
		rows = append(rows, []string{"Lifted", utc(*a.LiftedAt)})
	case a.LiftAt != nil:
		rows = append(rows, []string{"Lift at", utc(*a.LiftAt)})
	}
	for _, r := range [][]string{{"Lift by", a.LiftBy}, {"Lift why", a.LiftReason}, {"Lift", a.LiftNote}} {
		if r[1] != "" {
			rows = append(rows, r)
		}
	}
	return rows
}
