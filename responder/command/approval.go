package command

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"riposte/responder/api"
	"riposte/responder/api/client"
)

func newActionsApprove() *cobra.Command {
	return newAnswer("approve", true, `Agree to an action that waits for people, in the name of the token's owner. When
enough different people have agreed, it is done. Agreeing covers what was asked and
no more: if the guard has another objection by then, the question is put anew.`)
}

func newActionsReject() *cobra.Command {
	return newAnswer("reject", false, "Reject an action that waits for people: it is never done. One who rejects is enough.")
}

func newAnswer(verb string, agree bool, long string) *cobra.Command {
	var comment string
	c := &cobra.Command{
		Use: verb + " ID", Short: strings.ToUpper(verb[:1]) + verb[1:] + " an action that waits for people", Args: cobra.ExactArgs(1), Long: long,
		ValidArgsFunction: completeActions(client.ActionFilter{State: "waiting"}, anyAction),
		Example:           "  riposte actions " + verb + " 6f0c2b7a91de --comment \"INC-1234\"",
		RunE: func(cmd *cobra.Command, args []string) error {
			return call(cmd, func(ctx context.Context, c *client.Client) error {
				a, err := c.Answer(ctx, args[0], agree, comment)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintln(cmd.OutOrStdout(), visible(sayApproval(a)))
				return err
			})
		},
	}
	c.Flags().StringVar(&comment, "comment", "", "why, for whoever wonders; it is recorded")
	return c
}

func sayApproval(a api.Approval) string {
	what := fmt.Sprintf("%s of %s", a.Action.Type, a.Action.TargetName)
	if a.Action.State == "waiting" {
		return fmt.Sprintf("%d of %d people have agreed to %s; it waits until %s.", a.Agreed, a.Needed, what, utc(a.ExpiresAt))
	}
	return fmt.Sprintf("%s is %s.", what, a.Action.State)
}

// agreed says how many people agree, and who.
func agreed(a api.Approval) string {
	var s strings.Builder
	fmt.Fprintf(&s, "%d of %d", a.Agreed, a.Needed)
	for _, v := range a.Votes {
		if v.Agrees {
			s.WriteString(" " + v.Actor)
		}
	}
	return s.String()
}

func newActionsPending() *cobra.Command {
	var p printer
	var limit int
	c := &cobra.Command{
		Use: "pending", Short: "List what waits for people", Args: cobra.NoArgs,
		Long:    "List the actions that people must agree to, with the guard's rules that ask, and\nuntil when they can be answered. What nobody answers is not done.",
		Example: "  riposte actions pending\n  riposte actions pending -o json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := p.begin(cmd); err != nil {
				return err
			}
			if limit < 1 || limit > api.MaxPage {
				return badFlag(fmt.Errorf("--limit: %d is no number from 1 to %d", limit, api.MaxPage))
			}
			return call(cmd, func(ctx context.Context, c *client.Client) error {
				page, err := c.Approvals(ctx, limit, "")
				if err != nil {
					return err
				}
				if page.Next != "" {
					fmt.Fprintf(cmd.ErrOrStderr(), "There is more: raise --limit.\n")
				}
				return list(&p, []string{"UNTIL", "ACTION", "TARGET", "PLAYBOOK", "AGREED", "RULES", "WHY", "ID"}, page.Items, func(a api.Approval) []string {
					return []string{
						utc(a.ExpiresAt), a.Action.Type, a.Action.TargetName, a.Action.Playbook, agreed(a),
						strings.Join(a.Rules, " "), cut(a.Reason, 80), shortID(a.Action.ID),
					}
				})
			})
		},
	}
	printerFlags(c, &p)
	c.Flags().IntVar(&limit, "limit", 100, "how many at most")
	return c
}
