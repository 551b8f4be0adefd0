package command

import (
	"context"

	"github.com/spf13/cobra"

	"riposte/responder/api/client"
)

// NewWhoAmI is the command "whoami".
func NewWhoAmI() *cobra.Command {
	var p printer
	c := &cobra.Command{
		Use: "whoami", Short: "Show who you are for the API, and what you may do", Args: cobra.NoArgs,
		Long:    "Show the name that the record has for what this token does, and its roles.",
		Example: "  riposte whoami\n  riposte whoami -o json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := p.begin(cmd); err != nil {
				return err
			}
			return call(cmd, func(ctx context.Context, c *client.Client) error {
				who, err := c.Identity(ctx)
				if err != nil {
					return err
				}
				if !p.text() {
					return p.value(who)
				}
				p.widths = []int{6, 0}
				rows := [][]string{{"Server", c.Server()}, {"Name", who.Name}}
				if who.ExpiresAt != nil {
					rows = append(rows, []string{"Until", utc(*who.ExpiresAt)})
				}
				for _, g := range who.Grants {
					rows = append(rows, []string{"Role", g.Role + " of " + within(g)})
				}
				return p.rows(rows)
			})
		},
	}
	ConnectFlags(c)
	printerFlags(c, &p)
	return c
}
