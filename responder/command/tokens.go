package command

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"riposte/responder/api"
	"riposte/responder/api/client"
)

// tokenRoles are access.RoleNames: the command line knows the API, not the server.
var tokenRoles = []string{"viewer", "responder", "approver", "admin"}

// NewTokens is the command "tokens".
func NewTokens() *cobra.Command {
	c := &cobra.Command{
		Use: "tokens", Short: "Make and revoke tokens of the API", Args: cobra.NoArgs, RunE: help,
		Long: "Make and revoke tokens of the API: for a person or a program, with a role, an end,\nand perhaps within some clusters or namespaces alone. It needs the role admin.",
		Example: "  riposte tokens create jane --role approver --expires 30d\n" +
			"  riposte tokens create argocd --role viewer --namespaces shop,cart --expires 90d\n  riposte tokens revoke 5f8a9b0c1d2e --reason \"laptop lost\"",
	}
	ConnectFlags(c)
	c.AddCommand(newTokensList(), newTokensCreate(), newTokensRevoke())
	return c
}

func newTokensList() *cobra.Command {
	var name string
	l := &listing[api.Token]{
		header: []string{"CREATED", "NAME", "ROLE", "WITHIN", "EXPIRES", "USED", "STATE", "ID"},
		row: func(p *printer, t api.Token) []string {
			used := "-"
			if t.UsedAt != nil {
				used = p.time(*t.UsedAt)
			}
			return []string{p.time(t.CreatedAt), t.Name, t.Role, within(t.Grant), p.time(t.ExpiresAt), used, tokenState(t, time.Now()), shortID(t.ID)}
		},
		name: func(t api.Token) string { return t.ID },
		fetch: func(ctx context.Context, c *client.Client, limit int, before string) (api.Page[api.Token], error) {
			return c.Tokens(ctx, name, limit, before)
		},
	}
	c := &cobra.Command{
		Use: "list", Short: "List tokens, the newest first", Args: cobra.NoArgs,
		Example: "  riposte tokens list --name jane", RunE: l.run,
	}
	l.flags(c, "tokens")
	c.Flags().StringVar(&name, "name", "", "only this person's or program's")
	return c
}

func within(g api.Grant) string {
	var parts []string
	if len(g.Clusters) > 0 {
		parts = append(parts, "clusters "+strings.Join(g.Clusters, ","))
	}
	if len(g.Namespaces) > 0 {
		parts = append(parts, "namespaces "+strings.Join(g.Namespaces, ","))
	}
	if parts == nil {
		return "everything"
	}
	return strings.Join(parts, " and ")
}

func tokenState(t api.Token, now time.Time) string {
	switch {
	case t.RevokedAt != nil:
		return "revoked"
	case !now.Before(t.ExpiresAt):
		return "expired"
	}
	return "good"
}

func newTokensCreate() *cobra.Command {
	n := api.NewToken{}
	var expires string
	c := &cobra.Command{
		Use: "create NAME", Short: "Make a token and print it", Args: cobra.ExactArgs(1), ValidArgsFunction: cobra.NoFileCompletions,
		Long:    "Make a token for a person or a program and print it, once: only its hash is kept.\nThe record names its owner as user:NAME; several tokens of one name are one person.\nThe token alone goes to standard output.",
		Example: "  riposte tokens create jane --role approver --expires 30d > jane.token",
		RunE: func(cmd *cobra.Command, args []string) error {
			until, err := expiry(expires, time.Now())
			if err != nil {
				return err
			}
			n.Name, n.ExpiresAt = args[0], until
			return call(cmd, func(ctx context.Context, c *client.Client) error {
				t, err := c.CreateToken(ctx, n)
				if err != nil {
					return err
				}
				_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "Token %s of %s: %s of %s until %s. It is not shown again:\n", shortID(t.ID), t.Name, t.Role, within(t.Grant), utc(t.ExpiresAt))
				_, err = fmt.Fprintln(cmd.OutOrStdout(), t.Secret)
				return err
			})
		},
	}
	f := c.Flags()
	f.StringVar(&n.Role, "role", "viewer", "what it may do: "+strings.Join(tokenRoles, ", "))
	f.StringVar(&expires, "expires", "30d", "how long it holds: 12h, 30d; at most 366d")
	f.StringSliceVar(&n.Clusters, "clusters", nil, "only in these clusters")
	f.StringSliceVar(&n.Namespaces, "namespaces", nil, "only in these namespaces")
	f.StringVar(&n.Reason, "reason", "", "what for; it is recorded")
	complete(c, "role", tokenRoles)
	return c
}

// expiry is a time, or a duration such as 12h or 30d from now.
func expiry(value string, now time.Time) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, value); err == nil {
		return t, nil
	}
	if days, ok := strings.CutSuffix(value, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n > 0 && n < 100_000 {
			return now.AddDate(0, 0, n), nil
		}
	}
	if d, err := time.ParseDuration(value); err == nil && d > 0 {
		return now.Add(d), nil
	}
	return time.Time{}, badFlag(fmt.Errorf("--expires: %q is neither a time such as 2006-01-02T15:04:05Z nor a duration such as 12h or 30d", value))
}

func newTokensRevoke() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use: "revoke ID", Short: "End a token and its sessions at once", Args: cobra.ExactArgs(1), ValidArgsFunction: once(completeTokens),
		Example: "  riposte tokens revoke 5f8a9b0c1d2e --reason \"laptop lost\"",
		RunE: func(cmd *cobra.Command, args []string) error {
			return call(cmd, func(ctx context.Context, c *client.Client) error {
				t, err := c.RevokeToken(ctx, args[0], reason)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "Token %s of %s is revoked.\n", shortID(t.ID), t.Name)
				return err
			})
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why; it is recorded")
	must(c.MarkFlagRequired("reason"))
	return c
}
